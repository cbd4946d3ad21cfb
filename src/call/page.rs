//! Pages of lists.

use crate::error::{Error, Result};

/// Cuts rows that were read with one more than `limit`; returns the cursor of the next page, if there is one.
pub fn cut<T, C>(rows: &mut Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> C) -> Option<C> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more).map(cursor)
}

/// The `limit` field of a list, within its bounds. Default 100.
pub fn page_size(asked: Option<i64>, max: i64) -> Result<usize> {
    let asked = asked.unwrap_or(100.min(max));
    if (1..=max).contains(&asked) {
        usize::try_from(asked).map_err(Error::internal)
    } else {
        Err(Error::invalid("limit", format!("limit must be from 1 to {max}")))
    }
}
