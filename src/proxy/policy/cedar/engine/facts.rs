//! The facts that policies use besides the arguments. Only those are looked up.

use serde_json::{Map, Value, json};

use super::{
    super::super::{History, PolicyInput, amount, rate},
    compile::Compiled,
};
use crate::{
    error::Result,
    model::{Money, Policy, PolicyUse},
};

const SECONDS_OF_DAY: i64 = 86_400;
/// 1 January 1970 was a Thursday.
const FIRST_WEEKDAY: i64 = 4;

/// The facts of a call.
#[derive(Default)]
pub struct Facts {
    /// The largest amount in the arguments, if a policy uses it.
    pub amount: Option<Money>,
    /// The place of an amount that cannot be read.
    pub no_amount: Option<String>,
    /// Members of the context that are integers.
    pub numbers: Vec<(&'static str, i64)>,
    /// Whether the session has read from a source.
    pub tainted: Option<bool>,
    /// The arguments that policies use.
    places: Vec<String>,
}

/// Looks up the facts that a set uses; returns also the counts to add once the call is sent.
pub fn gather(
    compiled: &Compiled,
    policy: &Policy,
    question: &PolicyInput<'_>,
    past: &dyn History,
) -> Result<(Facts, Vec<PolicyUse>)> {
    let wants = |name: &str| compiled.asked.facts.contains(name);
    let mut facts = Facts { places: compiled.asked.places.keys().cloned().collect(), ..Facts::default() };
    if wants("amount") || wants("amount_nanos") {
        match amount::largest(question.arguments)? {
            Ok(largest) => {
                facts.amount = Some(largest);
                facts.number(compiled, "amount_nanos", largest.nanos());
            }
            Err(place) => facts.no_amount = Some(place),
        }
    }
    let seconds = question.at.as_seconds();
    let of_day = seconds.rem_euclid(SECONDS_OF_DAY);
    let days = seconds.div_euclid(SECONDS_OF_DAY);
    facts.number(compiled, "time", seconds);
    facts.number(compiled, "hour", of_day / 3_600);
    facts.number(compiled, "minute", of_day % 3_600 / 60);
    facts.number(compiled, "weekday", (days + FIRST_WEEKDAY - 1).rem_euclid(7) + 1);
    let mut uses = Vec::new();
    for count in counts(question) {
        if !wants(count.name) {
            continue;
        }
        // An agent chooses its name, but not its key. The larger count applies.
        let mut calls = 0;
        for subject in std::iter::once(count.subject).chain(count.of_key) {
            calls = calls.max(past.used(&policy.id, &subject, count.after)?);
            uses.push(PolicyUse { policy: policy.id.to_string(), subject, at: count.at });
        }
        facts.numbers.push((count.name, calls));
    }
    if wants("tainted") {
        facts.tainted = Some(past.tainted()?);
    }
    Ok((facts, uses))
}

/// A count of calls.
struct Count {
    name: &'static str,
    subject: String,
    /// The same for the key, if calls count for it.
    of_key: Option<String>,
    /// Calls after this time count.
    after: i64,
    /// The row that this call would be counted in.
    at: i64,
}

fn counts(question: &PolicyInput<'_>) -> [Count; 4] {
    let tool = format!("{}.{}", question.upstream, question.tool);
    let (session, agent) = (question.session_id, question.agent);
    // Counts of a session last until it ends.
    let end = question.session.and_then(|session| session.expires_at).map_or(i64::MAX, |end| end.0);
    let (after, at) = (rate::window_start(question.at), rate::grain(question.at));
    // As JSON, which is unambiguous.
    let text = |subject: Value| subject.to_string();
    let count = |name, subject: Value, after, at| Count { name, subject: text(subject), of_key: None, after, at };
    let by_key = |count: Count, subject: &dyn Fn(&str) -> Value| Count {
        of_key: question.bound_key.map(|key| text(subject(key))),
        ..count
    };
    [
        count("session_calls", json!(["session", session]), 0, end),
        count("session_tool_calls", json!(["session", session, tool]), 0, end),
        by_key(count("minute_calls", json!(["agent", agent]), after, at), &|key| json!(["key", key])),
        by_key(count("minute_tool_calls", json!(["agent", agent, tool]), after, at), &|key| json!(["key", key, tool])),
    ]
}

impl Facts {
    fn number(&mut self, compiled: &Compiled, name: &'static str, value: i64) {
        if compiled.asked.facts.contains(name) {
            self.numbers.push((name, value));
        }
    }

    /// For the log. Arguments are named, without values.
    pub fn shown(&self) -> Map<String, Value> {
        let mut shown: Map<_, _> =
            self.numbers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        if let Some(amount) = self.amount {
            shown.insert("amount".to_owned(), json!(amount));
        }
        if let Some(tainted) = self.tainted {
            shown.insert("tainted".to_owned(), tainted.into());
        }
        if !self.places.is_empty() {
            shown.insert("arguments".to_owned(), self.places.clone().into());
        }
        shown
    }
}
