//! `time_window`: calls only at certain hours, UTC.

use serde_json::json;

use super::PolicyResult;
use crate::model::{PolicyDefinition, UnixMicros};

const SECONDS_OF_DAY: i64 = 86_400;
const SECONDS_OF_HOUR: i64 = 3_600;

/// Whether `now` is within the window. It includes the first hour, excludes the last one, and may span midnight.
pub(super) fn open(definition: &PolicyDefinition, now: UnixMicros) -> PolicyResult {
    let (start, end) = (definition.start_hour.unwrap_or(0), definition.end_hour.unwrap_or(24));
    let second = now.as_seconds().rem_euclid(SECONDS_OF_DAY);
    let (from, until) = (start * SECONDS_OF_HOUR, end * SECONDS_OF_HOUR);
    let within = if from < until { (from..until).contains(&second) } else { second >= from || second < until };
    let saw = json!({"now": now.to_rfc3339(), "start_hour": start, "end_hour": end});
    if within {
        return PolicyResult::Pass(saw, Vec::new());
    }
    PolicyResult::Forbidden(format!("tools may be called from {start}:00 to {end}:00 UTC only"), saw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PolicyType;

    fn is_open(start: i64, end: i64, second: i64) -> bool {
        let definition = PolicyDefinition {
            policy_type: PolicyType::TimeWindow,
            tool: None,
            tools: None,
            max: None,
            argument: None,
            cedar: None,
            max_per_minute: None,
            start_hour: Some(start),
            end_hour: Some(end),
            dry_run: false,
        };
        matches!(open(&definition, UnixMicros(1_800_057_600_000_000).plus_seconds(second)), PolicyResult::Pass(..))
    }

    #[test]
    fn a_window_opens_and_closes_on_the_second_and_may_span_midnight() {
        assert_eq!(1_800_057_600 % SECONDS_OF_DAY, 0);
        let hour = SECONDS_OF_HOUR;
        for (second, open) in [(9 * hour - 1, false), (9 * hour, true), (17 * hour - 1, true), (17 * hour, false)] {
            assert_eq!(is_open(9, 17, second), open, "{second}");
        }
        for (second, open) in
            [(22 * hour - 1, false), (22 * hour, true), (0, true), (6 * hour - 1, true), (6 * hour, false)]
        {
            assert_eq!(is_open(22, 6, second), open, "{second}");
        }
        assert!(
            is_open(0, 24, 0) && is_open(0, 24, SECONDS_OF_DAY - 1) && is_open(22, 0, 23 * hour) && !is_open(22, 0, 0)
        );
    }
}
