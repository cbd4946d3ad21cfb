//! Durations in text form.

use jiff::{Span, SpanRelativeTo, Unit};

/// Units of which a duration may be a whole number, the largest first, in seconds.
const UNITS: [(u64, char); 3] = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];

/// Parses a number of seconds, or a duration with units such as `90s`, `15m`, `1h 30m` or `30d`; a day has 24 hours.
///
/// Returns whole seconds. Months and years have no fixed length, and are refused.
pub fn parse_seconds(text: &str) -> Result<i64, String> {
    let expected = || format!("`{text}` is no duration: expected seconds, or units such as 90s, 15m, 1h or 30d");
    if let Ok(seconds) = text.trim().parse() {
        return Ok(seconds);
    }
    let span: Span = text.trim().parse().map_err(|_| expected())?;
    let (whole, days) = (SpanRelativeTo::days_are_24_hours(), jiff::SpanRound::new().largest(Unit::Second));
    let seconds = span.round(days.smallest(Unit::Second).relative(whole)).map_err(|_| expected())?;
    let is_whole = span.compare((seconds, whole)).is_ok_and(std::cmp::Ordering::is_eq);
    if is_whole { Ok(seconds.get_seconds()) } else { Err(expected()) }
}

/// A duration in its largest whole unit, such as `1d` or `90s`.
pub fn shown(seconds: u64) -> String {
    let whole = UNITS.iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::parse_seconds;

    #[test]
    fn seconds_and_units_are_read_and_nothing_else() {
        for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("1h", 3_600), ("1h 30m", 5_400)] {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
        assert_eq!(
            (parse_seconds("30d"), parse_seconds("2w"), parse_seconds("-5")),
            (Ok(2_592_000), Ok(1_209_600), Ok(-5))
        );
        for text in ["", "soon", "1mo", "1y", "1.5", "10ms", "1h1"] {
            assert!(parse_seconds(text).is_err_and(|problem| problem.contains("30d")), "{text}");
        }
    }
}
