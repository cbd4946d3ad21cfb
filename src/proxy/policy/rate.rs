//! `rate_limit`: so many calls of one agent within any minute, counted in the store, so that several processes agree.

use serde_json::json;

use super::{Question, Said};
use crate::{
    call::WriteContext,
    error::Result,
    model::{Policy, PolicyUse},
};

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

pub(super) fn within(cx: &WriteContext<'_>, policy: &Policy, question: &Question<'_>) -> Result<Said> {
    let most = policy.definition.max_per_minute.unwrap_or(0);
    let subject = question.session.agent_id.as_str();
    // A grain that lies partly in the window counts in full.
    let used = cx.tx.policy_uses(&cx.caller.tenant, &policy.id, subject, cx.now.0 - MINUTE - GRAIN)?;
    let saw = json!({"agent_id": subject, "calls": used, "max_per_minute": most});
    if used >= most {
        let why = format!("the agent has made {used} calls within a minute, and may make {most}: try again later");
        return Ok(Said::Forbidden(why, saw));
    }
    let counted = PolicyUse {
        policy: policy.id.to_string(),
        subject: subject.to_owned(),
        at: cx.now.0 - cx.now.0.rem_euclid(GRAIN),
    };
    Ok(Said::Pass(saw, Some(counted)))
}
