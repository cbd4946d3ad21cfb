//! Times for people: short at a terminal, whole elsewhere, where scripts may read them.

use std::io::{self, IsTerminal};

use crate::model::{Clock, UnixMicros, time::SystemClock};

/// Characters of a date in RFC 3339.
const DATE: usize = "2026-11-21".len();

/// A time on standard output: at a terminal `09:30:00` if it is of today (UTC), else `2026-11-21 09:30:00`; elsewhere as RFC
/// 3339 has it.
pub fn when(at: UnixMicros) -> String {
    if io::stdout().is_terminal() { short(at, SystemClock.now()) } else { at.to_rfc3339() }
}

/// A time that may be none at all.
pub fn when_any(at: Option<UnixMicros>, none: &str) -> String {
    at.map_or_else(|| none.to_owned(), when)
}

fn short(at: UnixMicros, now: UnixMicros) -> String {
    let (at, now) = (at.to_rfc3339(), now.to_rfc3339());
    let (Some((date, time)), Some(today)) = (at.split_once('T'), now.get(..DATE)) else { return at };
    let time = time.trim_end_matches('Z');
    if date == today { time.to_owned() } else { format!("{date} {time}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_today_has_no_date() {
        let at = |text: &str| UnixMicros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
        let now = at("2026-11-21T23:59:59Z");
        assert_eq!(short(at("2026-11-21T09:30:00Z"), now), "09:30:00");
        assert_eq!(short(at("2026-11-22T00:00:00Z"), now), "2026-11-22 00:00:00");
        assert_eq!(short(at("2025-11-21T09:30:00Z"), now), "2025-11-21 09:30:00");
    }
}
