//! Cedar policies in a build without the feature `cedar`: it fails closed.

use serde_json::json;

use super::{
    super::{History, PolicyInput, PolicyResult},
    FIELD,
};
use crate::{
    error::{Error, Result},
    model::Policy,
};

const REMEDY: &str = "this haldir was built without Cedar; install one that was built with `--features cedar`, as published \
                      programs are, or use the other types of policy";

/// Refuses every policy set, since none could be evaluated.
pub fn check(_text: &str) -> Result<Vec<String>> {
    Err(Error::invalid(FIELD, REMEDY))
}

/// Forbids every call: another build added the policy, and this one cannot evaluate it.
#[allow(clippy::unnecessary_wraps)] // The same signature as with Cedar.
pub(in super::super) fn judge(
    policy: &Policy,
    _question: &PolicyInput<'_>,
    _past: &dyn History,
) -> Result<PolicyResult> {
    let why = format!("the Cedar policies of {} cannot be evaluated: {REMEDY}", policy.id);
    Ok(PolicyResult::Forbidden(why, json!({"decision": "unreadable"})))
}
