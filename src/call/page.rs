//! Pages of lists.

use crate::error::{Error, Result};

/// The `limit` field of a list, within its bounds. Default 100.
pub fn page_size(asked: Option<i64>, max: i64) -> Result<usize> {
    let asked = asked.unwrap_or(100.min(max));
    if (1..=max).contains(&asked) {
        usize::try_from(asked).map_err(Error::internal)
    } else {
        Err(Error::invalid("limit", format!("limit must be from 1 to {max}")))
    }
}
