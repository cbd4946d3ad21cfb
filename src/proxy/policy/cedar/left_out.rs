//! What a build without the feature `cedar` does about such policies: it fails closed.

use serde_json::json;

use super::{
    super::{Past, Question, Said},
    FIELD,
};
use crate::{
    error::{Error, Result},
    model::Policy,
};

const REMEDY: &str = "this haldir was built without Cedar; install one that was built with `--features cedar`, as published \
                      programs are, or use the other types of policy";

/// Refuses every policy set: none could be held to.
pub fn check(_text: &str) -> Result<Vec<String>> {
    Err(Error::invalid(FIELD, REMEDY))
}

/// Forbids every call: another build added the policy, and this one cannot tell what it forbids.
#[allow(clippy::unnecessary_wraps)] // The same signature as with Cedar.
pub(in super::super) fn judge(policy: &Policy, _question: &Question<'_>, _past: &dyn Past) -> Result<Said> {
    let why = format!("the Cedar policies of {} cannot be evaluated: {REMEDY}", policy.id);
    Ok(Said::Forbidden(why, json!({"decision": "unreadable"})))
}
