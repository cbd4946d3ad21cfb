//! `rate_limit`: so many calls of one agent within any minute, counted in the store, so that several processes agree.

use serde_json::json;

use super::{Question, Said};
use crate::model::{Policy, PolicyUse, UnixMicros};

/// The window, in microseconds.
const MINUTE: i64 = 60_000_000;
/// Calls are counted by tenths of a second: at most 601 rows make up a window.
const GRAIN: i64 = 100_000;
/// Rows that lie behind every window, and are cleared away with each call: more than it adds.
pub(in crate::proxy) const CLEAR_AT_ONCE: usize = 4;

/// The time before which no count matters any more.
pub(in crate::proxy) fn over(now: i64) -> i64 {
    now - 2 * MINUTE
}

/// Where the minute before `now` begins. A grain that lies partly in it counts in full.
pub(in crate::proxy) fn window_start(now: UnixMicros) -> i64 {
    now.0 - MINUTE - GRAIN
}

/// Where a call of this time is counted.
pub(super) fn grain(at: UnixMicros) -> i64 {
    at.0 - at.0.rem_euclid(GRAIN)
}

pub(super) fn within(policy: &Policy, question: &Question<'_>, used: i64) -> Said {
    let most = policy.definition.max_per_minute.unwrap_or(0);
    let subject = question.agent;
    let saw = json!({"agent_id": subject, "calls": used, "max_per_minute": most});
    if used >= most {
        let why = format!("the agent has made {used} calls within a minute, and may make {most}: try again later");
        return Said::Forbidden(why, saw);
    }
    let counted = PolicyUse { policy: policy.id.to_string(), subject: subject.to_owned(), at: grain(question.at) };
    Said::Pass(saw, vec![counted])
}
