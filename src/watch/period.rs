//! What the log has come to since a day: the sum of its day counters.

use crate::{
    call::ReadContext,
    error::Result,
    model::Day,
    store::stats::{Counted, Tally},
};

/// What came since midnight UTC of `day`.
pub fn since(cx: &ReadContext<'_>, day: Day) -> Result<Tally> {
    // A log's time does not go back: an entry may be later than the clock of this process, by as much as clocks differ.
    let last = cx.tx.head(&cx.caller.tenant)?.map_or(Day::of(cx.now), |head| Day::of(head.at.max(cx.now)));
    Ok(cx.tx.day_tally(&cx.caller.tenant, Counted::Tenant, day.0, last.0 + 1)?)
}
