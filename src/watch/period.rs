//! What the log has come to since a day: the difference of two totals, however long the log is.

use crate::{call::ReadContext, error::Result, model::Day, store::LogTotals};

/// What came since midnight UTC of `day`, given the log's totals now.
pub fn since(cx: &ReadContext<'_>, now: LogTotals, day: Day) -> Result<LogTotals> {
    let before = cx.tx.log_before(&cx.caller.tenant, day)?;
    Ok(before.map_or_else(LogTotals::default, |before| now.since(before)))
}
