//! The Cedar engine: compiles text into a validated policy set, and evaluates a call against it.
//!
//! - `bounds`, `compile`: from text to a set that is validated against the schema, and the facts that it uses (`asked`).
//! - `facts`, `values`, `request`: from a call to a Cedar request.
//! - `cache`: compiled sets, by the digest of their text.
//!
//! Cedar skips a policy whose evaluation fails; here that refuses the call, and so does an argument that a policy uses and
//! Cedar cannot represent. A forbid that names a tool also holds for look-alike names: Cedar is asked about those too, and
//! only its forbids count then.

mod asked;
mod bounds;
mod cache;
mod compile;
mod facts;
mod request;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeSet;

use cedar_policy::{Authorizer, Decision, Effect, PolicySet, Response};
use compile::{Compiled, Named};
use request::{Asking, Name};
use serde_json::{Value, json};

use super::{
    super::{History, PolicyInput, PolicyResult},
    FIELD, MAX_BYTES, SCHEMA,
};
use crate::{
    error::{Error, Result},
    model::{Policy, tool_name::Folded},
};

/// Names in a reason.
const MAX_SHOWN: usize = 8;

/// Validates a policy set against the schema; returns warnings for the operator who adds it.
pub fn check(text: &str) -> Result<Vec<String>> {
    compile::compile(text).map(|(_, warnings)| warnings)
}

/// Evaluates one policy set.
pub(in super::super) fn judge(policy: &Policy, question: &PolicyInput<'_>, past: &dyn History) -> Result<PolicyResult> {
    let text = policy.definition.cedar.as_deref().unwrap_or_default();
    let compiled = match cache::compiled(text) {
        Ok(compiled) => compiled,
        // It was valid when another version of haldir added it.
        Err(error) => {
            let why = format!("the Cedar policies of {} cannot be read: {}", policy.id, error.message);
            return Ok(PolicyResult::Forbidden(why, json!({"decision": "unreadable"})));
        }
    };
    let (facts, uses) = facts::gather(&compiled, policy, question, past)?;
    let (asking, names) = (Asking::new(&compiled, question, &facts)?, names(&compiled, question)?);
    let saw = |decision: &str, by: &BTreeSet<String>| {
        let mut saw = facts.shown();
        saw.insert("decision".to_owned(), decision.into());
        saw.insert("by".to_owned(), by.iter().take(MAX_SHOWN).cloned().collect());
        Value::Object(saw)
    };
    let shown = format!("{}.{}", question.upstream, question.tool);
    if let Some(problem) = asking.unreadable(&compiled, &names, question.arguments) {
        let why = format!(
            "the Cedar policy {} cannot be asked about the call: the argument at {} {}",
            problem.statement, problem.place, problem.what
        );
        return Ok(PolicyResult::Forbidden(why, saw("failed", &[problem.statement].into())));
    }
    if let Some(place) = &facts.no_amount {
        let why =
            format!("the Cedar policies of {} look at the amount, and {place} is none that can be read", policy.id);
        return Ok(PolicyResult::Forbidden(why, saw("failed", &BTreeSet::new())));
    }
    let answers = Answers::of(&compiled, &asking, &names, question)?;
    if !answers.failed.is_empty() {
        let why = format!(
            "the Cedar policy {} could not be evaluated for this call: a number overflowed, or something is not there",
            listed(&answers.failed)
        );
        return Ok(PolicyResult::Forbidden(why, saw("failed", &answers.failed)));
    }
    if let Some(reasons) = answers.approval(&compiled) {
        return if answers.permitted_otherwise {
            Ok(PolicyResult::Ask(reasons, saw("approval", &answers.forbids), uses))
        } else {
            Ok(PolicyResult::Forbidden(nothing_permits(&shown, policy), saw("not permitted", &BTreeSet::new())))
        };
    }
    if !answers.forbids.is_empty() {
        let why = format!("the call of {shown} is forbidden by the Cedar policy {}", listed(&answers.forbids));
        return Ok(PolicyResult::Forbidden(why, saw("forbidden", &answers.forbids)));
    }
    if answers.permits.is_empty() {
        return Ok(PolicyResult::Forbidden(nothing_permits(&shown, policy), saw("not permitted", &BTreeSet::new())));
    }
    Ok(PolicyResult::Pass(saw("permitted", &answers.permits), uses))
}

fn nothing_permits(tool: &str, policy: &Policy) -> String {
    format!(
        "no Cedar policy of {} permits the call of {tool}, and Cedar refuses what nothing permits: add a permit to it",
        policy.id
    )
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().take(MAX_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The tool's own name first, then those in forbids that look like it.
fn names(compiled: &Compiled, question: &PolicyInput<'_>) -> Result<Vec<Name>> {
    let qualified = format!("{}.{}", question.upstream, question.tool);
    let mut names = vec![Name::new(question, &qualified, &[question.upstream])?];
    let Named { tools, upstreams } = &compiled.forbidden;
    let mut lies_in = vec![question.upstream];
    if !upstreams.is_empty() {
        let own = Folded::new(question.upstream);
        let alike = upstreams.iter().filter(|named| named.is_alike(&own)).map(Folded::name);
        lies_in.extend(alike.filter(|named| *named != question.upstream));
        lies_in.dedup();
    }
    if lies_in.len() > 1 {
        names.push(Name::new(question, &qualified, &lies_in)?);
    }
    if !tools.is_empty() {
        let own = [Folded::new(&qualified), Folded::new(question.tool)];
        let alike: BTreeSet<&str> =
            tools.iter().filter(|named| own.iter().any(|own| named.is_alike(own))).map(Folded::name).collect();
        for name in alike.into_iter().filter(|name| *name != qualified) {
            names.push(Name::new(question, name, &lies_in)?);
        }
    }
    Ok(names)
}

/// Cedar's results for a call under all names of its tool.
#[derive(Default)]
struct Answers {
    permits: BTreeSet<String>,
    forbids: BTreeSet<String>,
    /// Policies whose evaluation failed.
    failed: BTreeSet<String>,
    /// Whether a permit matches besides forbids.
    permitted_otherwise: bool,
}

impl Answers {
    fn of(compiled: &Compiled, asking: &Asking, names: &[Name], question: &PolicyInput<'_>) -> Result<Self> {
        let mut answers = Self::default();
        for (index, name) in names.iter().enumerate() {
            let (request, entities) = asking.about(name, question)?;
            let ask = |set: &PolicySet| Authorizer::new().is_authorized(&request, set, &entities);
            answers.take(compiled, &ask(&compiled.set), index == 0)?;
            if let (0, Some(permits)) = (index, &compiled.permits) {
                answers.permitted_otherwise = ask(permits).decision() == Decision::Allow;
            }
        }
        Ok(answers)
    }

    fn take(&mut self, compiled: &Compiled, response: &Response, is_own_name: bool) -> Result<()> {
        let effect = |name: &str| compiled.statements.get(name).map(|statement| statement.effect);
        for error in response.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let name = error.policy_id().to_string();
            if is_own_name || effect(&name) == Some(Effect::Forbid) {
                self.failed.insert(name);
            }
        }
        for name in response.diagnostics().reason() {
            let name = name.to_string();
            match effect(&name) {
                Some(Effect::Forbid) => drop(self.forbids.insert(name)),
                Some(Effect::Permit) if is_own_name => drop(self.permits.insert(name)),
                Some(Effect::Permit) => {}
                None => return Err(Error::internal("Cedar names a policy that the set does not have")),
            }
        }
        Ok(())
    }

    /// Why a person has to approve the call, if every matching forbid says so.
    fn approval(&self, compiled: &Compiled) -> Option<String> {
        let reasons = self.forbids.iter().map(|name| compiled.statements.get(name)?.approval.as_deref());
        let reasons: Vec<&str> = reasons.collect::<Option<_>>()?;
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}
