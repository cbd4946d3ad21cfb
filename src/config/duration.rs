//! Durations as operators write them.

use jiff::{Span, SpanRelativeTo, Unit};

/// Reads a number of seconds, or a duration with units such as `90s`, `15m`, `1h 30m` or `30d`; a day has 24 hours.
///
/// Answers whole seconds. Months and years have no fixed length, and are refused.
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
