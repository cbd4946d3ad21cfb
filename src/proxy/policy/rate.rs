//! `rate_limit`: calls of one agent, and of one key, within any minute, counted in the store, so that several processes agree.

use serde_json::json;

use super::{History, PolicyInput, PolicyResult};
use crate::{
    error::Result,
    model::{Policy, PolicyUse, UnixMicros},
    proxy::flow::key_subject,
};

/// The window, in microseconds.
const MINUTE: i64 = 60_000_000;
/// Calls are counted by tenths of a second: at most 601 rows make up a window.
const GRAIN: i64 = 100_000;
/// Expired rows that each call deletes: more than it adds.
pub(in crate::proxy) const CLEAR_AT_ONCE: usize = 8;

/// Counts before this time no longer matter.
pub(in crate::proxy) fn over(now: i64) -> i64 {
    now - 2 * MINUTE
}

/// The start of the minute before `now`. A grain that is partly in it counts in full.
pub(in crate::proxy) fn window_start(now: UnixMicros) -> i64 {
    now.0 - MINUTE - GRAIN
}

/// The grain that a call of this time counts in.
pub(super) fn grain(at: UnixMicros) -> i64 {
    at.0 - at.0.rem_euclid(GRAIN)
}

/// Counts by the agent that the session names, and by the key, which the agent cannot choose.
pub(super) fn within(policy: &Policy, input: &PolicyInput<'_>, past: &dyn History) -> Result<PolicyResult> {
    let most = policy.definition.max_per_minute.unwrap_or(0);
    let after = window_start(input.at);
    let used = past.used(&policy.id, input.agent, after)?;
    let mut saw = json!({"agent_id": input.agent, "calls": used, "max_per_minute": most});
    let mut subjects = vec![input.agent.to_owned()];
    let mut reached = (used >= most).then_some(("the agent", used));
    if let Some(key) = input.bound_key {
        let subject = key_subject(key);
        let used = past.used(&policy.id, &subject, after)?;
        saw["key"] = key.into();
        saw["calls_of_key"] = used.into();
        subjects.push(subject);
        reached = reached.or((used >= most).then_some(("the agent's key", used)));
    }
    if let Some((caller, used)) = reached {
        let why = format!("{caller} has made {used} calls within a minute, and may make {most}: try again later");
        return Ok(PolicyResult::Forbidden(why, saw));
    }
    let (policy, at) = (policy.id.to_string(), grain(input.at));
    let counted = subjects.into_iter().map(|subject| PolicyUse { policy: policy.clone(), subject, at });
    Ok(PolicyResult::Pass(saw, counted.collect()))
}
