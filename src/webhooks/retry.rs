//! When a failed delivery is tried again.

use crate::{
    crypto,
    error::{Error, Result},
    model::UnixMicros,
};

/// The first retry waits up to this many seconds; each further one up to twice as long.
const BASE: i64 = 5;
/// The longest wait, in seconds, also where a receiver asks for more.
const LONGEST: i64 = 3 * 3_600;
/// How long an event is retried, in seconds since it was put into the outbox.
pub(super) const GIVE_UP_AFTER: i64 = 86_400;

/// The longest wait, in seconds, after this many failures in a row.
fn bound(failures: i64) -> i64 {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(32);
    (BASE << doublings).min(LONGEST)
}

/// The time of the next attempt: exponential backoff with full jitter (uniform up to the bound, so that events that failed
/// together are not retried together), not before the receiver's `Retry-After`, and a last time at `deadline`.
pub(super) fn next_at(
    now: UnixMicros,
    failures: i64,
    retry_after: Option<i64>,
    deadline: UnixMicros,
    second: i64,
) -> Result<UnixMicros> {
    let mut random = [0; 8];
    crypto::nonce(&mut random).map_err(Error::internal)?;
    let asked = retry_after.unwrap_or(0).clamp(0, LONGEST);
    Ok(at(now, failures, u64::from_be_bytes(random), asked, deadline, second))
}

fn at(now: UnixMicros, failures: i64, random: u64, asked: i64, deadline: UnixMicros, second: i64) -> UnixMicros {
    let span = bound(failures) * second;
    let jitter = i64::try_from(random % span.max(1).unsigned_abs()).unwrap_or(0);
    let wait = jitter.max(second).max(asked * second);
    UnixMicros(now.0.saturating_add(wait)).min(deadline.max(UnixMicros(now.0.saturating_add(second))))
}

/// `Retry-After` in seconds from now: a number, or a date (RFC 9110).
pub(super) fn retry_after(text: &str, now: UnixMicros) -> Option<i64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Any number of digits is accepted; the wait is bounded.
        return Some(text.parse().unwrap_or(i64::MAX));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some((i64::try_from(at.as_secs()).ok()? - now.as_seconds()).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMicros = UnixMicros(1_800_000_000_000_000);
    const SECOND: i64 = 1_000_000;
    const FAR: UnixMicros = UnixMicros(i64::MAX);

    #[test]
    fn waits_double_from_seconds_to_hours_and_are_spread_over_the_whole_span() {
        let waited = |failures, random| (at(NOW, failures, random, 0, FAR, SECOND).0 - NOW.0) / SECOND;
        assert_eq!((bound(1), bound(2), bound(3), bound(12), bound(1_000)), (5, 10, 20, 10_240, LONGEST));
        for failures in [1, 5, 20] {
            let span = bound(failures).unsigned_abs() * SECOND.unsigned_abs();
            assert_eq!(waited(failures, span - 1), bound(failures) - 1);
            assert_eq!(waited(failures, 0), 1, "never at once");
        }
    }

    #[test]
    fn a_receiver_can_ask_for_more_time_but_not_for_ever_and_the_last_try_is_at_the_deadline() {
        assert_eq!(at(NOW, 1, 0, 60, FAR, SECOND), NOW.plus_seconds(60));
        assert_eq!(next_at(NOW, 1, Some(i64::MAX), FAR, SECOND).unwrap(), NOW.plus_seconds(LONGEST));
        let deadline = NOW.plus_seconds(30);
        assert_eq!(at(NOW, 1, 0, 60, deadline, SECOND), deadline);
        assert_eq!(at(NOW, 1, 0, 60, NOW, SECOND), NOW.plus_seconds(1), "after the deadline, never at once");
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        assert_eq!(retry_after(" 120 ", NOW), Some(120));
        assert_eq!(retry_after("99999999999999999999", NOW), Some(i64::MAX));
        assert_eq!(retry_after("Fri, 15 Jan 2027 08:01:00 GMT", NOW), Some(60));
        assert_eq!(retry_after("Fri, 15 Jan 2021 08:01:00 GMT", NOW), Some(0));
        for text in ["", "soon", "-5", "1.5"] {
            assert_eq!(retry_after(text, NOW), None, "{text}");
        }
    }
}
