//! The audit log as a history for people. A call of an upstream's tool is one event, with its arguments and its outcome,
//! although the log has one entry for its beginning and one for its end.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::{Money, UnixMicros};

/// A page of the audit log, as `getAuditTrail` answers it.
#[derive(Deserialize)]
pub struct LogPage {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` at the end.
    pub next_cursor: Option<String>,
}

/// An entry of the audit log. It is read leniently: where the entry was altered outside haldir, fields may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Names the entry; empty where it cannot be read.
    #[serde(rename = "entry_id")]
    pub id: String,
    /// Its place in the log, from 1.
    pub seq: i64,
    /// What keeps the entry from being read.
    pub unreadable: Option<String>,
    /// Whether it was altered outside haldir, although it can be read.
    pub altered: bool,
    /// Whether an operator erased it: only its place, time, cost and hashes are left.
    pub erased: bool,
    /// `action` or `governance`.
    pub kind: String,
    /// What was done.
    pub action: String,
    /// The agent.
    pub agent_id: String,
    /// The session, or empty.
    pub session_id: String,
    /// The tool or service.
    pub tool: String,
    /// When it was recorded.
    pub timestamp: UnixMicros,
    /// More about it.
    pub details: Value,
    /// Whether it was flagged as anomalous.
    pub flagged: bool,
    /// Why; empty if it was not.
    pub flag_reason: String,
    /// The key that caused it, by its first characters, or `local` or `operator`.
    pub actor: String,
    /// What it cost.
    pub cost_usd: Money,
    /// The digest of its details, in hexadecimal.
    pub details_digest: Option<String>,
    /// The hash of the entry before, in hexadecimal.
    pub prev_hash: String,
    /// Its own hash, in hexadecimal.
    #[serde(rename = "entry_hash")]
    pub hash: String,
}

/// An event of the history.
pub struct Event {
    /// The entry that shows it.
    pub entry: Entry,
    /// The outcome: `running`, `refused`, `held`, `logged`, `done`, or the end of a call and how long it took.
    pub outcome: String,
    /// Why, as the log has it; of a decision its note and by which key; empty if there is no reason.
    pub reason: String,
    /// The place of the entry that ended the call.
    pub end: Option<i64>,
}

impl Event {
    /// The tool of a call; of a decision of haldir's own, what was decided.
    pub fn what(&self) -> String {
        let entry = &self.entry;
        let is_call = entry.action.starts_with("proxyCall.") || entry.kind == "action";
        match (is_call, entry.kind == "action" && !entry.action.is_empty()) {
            (true, true) => format!("{} {}", entry.tool, entry.action).trim().to_owned(),
            (true, false) => entry.tool.clone(),
            _ => entry.action.trim_end_matches(".denied").to_owned(),
        }
    }

    /// The arguments of a call, or what an agent says of its action.
    pub fn arguments(&self) -> Value {
        let entry = &self.entry;
        match (entry.kind.as_str(), entry.action.starts_with("proxyCall.")) {
            ("action", _) => entry.details.clone(),
            (_, true) => entry.details["arguments"].clone(),
            _ => Value::Null,
        }
    }

    /// Why, with the policy that decided where it is known and not named yet.
    pub fn why(&self) -> String {
        match policy(&self.entry.details) {
            Some(policy) if !self.reason.contains(policy) => format!("{} ({policy})", self.reason).trim().to_owned(),
            _ => self.reason.clone(),
        }
    }

    /// The approval request that it is about.
    pub fn request(&self) -> Option<&str> {
        let details = &self.entry.details;
        let in_trace = || {
            let steps = details["trace"].as_array()?;
            steps.iter().find_map(|step| step["saw"]["request_id"].as_str())
        };
        details["request_id"].as_str().or_else(in_trace)
    }

    /// Whether the event is a refusal, or waits for a decision.
    pub fn is_refused(&self) -> bool {
        matches!(self.outcome.as_str(), "refused" | "held")
    }
}

/// Joins the ends of calls with their beginnings. Entries are given newest first, so that an end comes before its beginning.
pub struct History {
    /// Of each call: its end in a word, why, and the place of the entry.
    ends: HashMap<String, (String, String, i64)>,
    ends_are_alone: bool,
}

impl History {
    /// An empty history. Under a filter that may leave beginnings out, ends are events of their own.
    pub fn new(ends_are_alone: bool) -> Self {
        Self { ends: HashMap::new(), ends_are_alone }
    }

    /// The event that an entry shows; `None` for the end of a call, which belongs to the event of its beginning.
    pub fn read(&mut self, entry: Entry) -> Option<Event> {
        let text = |name: &str| entry.details[name].as_str().unwrap_or_default().to_owned();
        let altered = match &entry.unreadable {
            Some(problem) => Some(("UNREADABLE", problem.as_str())),
            None => entry.altered.then_some(("ALTERED", "its fields are not those of its hash")),
        };
        if let Some((outcome, problem)) = altered {
            let reason = format!("altered outside haldir: {problem}; run haldir audit verify");
            return Some(Event { outcome: outcome.to_owned(), reason, entry, end: None });
        }
        let mut end = None;
        let (outcome, reason) = match entry.action.strip_prefix("proxyCall.") {
            Some("begin") => match self.ends.remove(&text("call_id")) {
                Some((outcome, reason, seq)) => {
                    end = Some(seq);
                    (outcome, reason)
                }
                None => ("running".to_owned(), String::new()),
            },
            Some("denied") => ("refused".to_owned(), text("reason")),
            Some("held") => ("held".to_owned(), text("reason")),
            Some("asked") => ("asked".to_owned(), text("method")),
            Some(word) if self.ends_are_alone => (ending(word, &entry.details), text("reason")),
            Some(word) if !text("call_id").is_empty() => {
                self.ends.insert(text("call_id"), (ending(word, &entry.details), text("reason"), entry.seq));
                return None;
            }
            _ if matches!(entry.action.as_str(), "approval.approve" | "approval.deny") => {
                let word = if entry.action == "approval.approve" { "approved" } else { "denied" };
                let (by, note) = (text("decided_by"), text("decision_note"));
                (word.to_owned(), if note.is_empty() { format!("by {by}") } else { format!("by {by}: {note}") })
            }
            _ if entry.action.ends_with(".denied") => ("refused".to_owned(), text("reason")),
            _ if entry.kind == "action" => ("logged".to_owned(), String::new()),
            _ => ("done".to_owned(), text("reason")),
        };
        Some(Event { entry, outcome, reason, end })
    }
}

/// A step of a decision, as the log has it.
pub struct Step<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it let the call pass.
    pub passed: bool,
    /// The rule that decided, or empty.
    pub rule: &'a str,
    /// What it looked at, or null.
    pub saw: &'a Value,
}

impl Step<'_> {
    /// Its result in words.
    pub fn result(&self) -> &'static str {
        if self.passed { "passed" } else { "stopped the call" }
    }
}

/// What a trace of steps is called, and its columns.
pub const DECISION: &str = "How it was decided";
/// Names of the columns of a trace.
pub const STEPS: [&str; 4] = ["Step", "Result", "Rule", "What it looked at"];
/// Shown in place of details that were erased.
pub const ERASED: &str = "What was here was erased at an operator's word. Its place, time, cost and hashes are left.";
/// Shown for an entry that was altered.
pub const ALTERED: &str =
    "This entry was altered outside haldir: its fields are not those of its hash. Do not rely on it.";

/// The steps of a decision, in their order; `None` where the entry is not about one.
pub fn steps(details: &Value) -> Option<Vec<Step<'_>>> {
    let steps = details["trace"].as_array().or_else(|| details["steps"].as_array())?;
    let step = |step| {
        let step: &Value = step;
        Step {
            name: step["step"].as_str().unwrap_or_default(),
            passed: step["ok"].as_bool().unwrap_or(false),
            rule: step["rule"].as_str().unwrap_or_default(),
            saw: &step["saw"],
        }
    };
    Some(steps.iter().map(step).collect())
}

/// The policy or the approval rule that stopped a call.
fn policy(details: &Value) -> Option<&str> {
    let stopped = steps(details)?.into_iter().find(|step| !step.passed)?;
    stopped.rule.split(' ').find(|word| word.starts_with("pol_") || word.starts_with("rule_"))
}

/// The end of a call, in a word, and how long it took.
fn ending(action: &str, details: &Value) -> String {
    match details["milliseconds"].as_u64() {
        Some(millis) => format!("{action}, {millis} ms"),
        None => action.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_names_the_policy_that_stopped_the_call() {
        let event = |rule: &str| {
            let trace = json!([{"step": "session", "ok": true}, {"step": "policy", "ok": false, "rule": rule}]);
            let entry = json!({
                "entry_id": "e", "seq": 1, "kind": "governance", "action": "proxyCall.denied", "agent_id": "bot", "session_id": "",
                "tool": "t.x", "timestamp": 1, "flag_reason": "", "details": {"reason": "it is blocked", "trace": trace},
            });
            History::new(false).read(serde_json::from_value(entry).unwrap()).unwrap()
        };
        assert_eq!(event("deny_list pol_T6lzK").why(), "it is blocked (pol_T6lzK)");
        assert_eq!(event("scope").why(), "it is blocked");
        let event = event("deny_list pol_T6lzK");
        let steps = steps(&event.entry.details).unwrap();
        assert_eq!(steps.iter().map(Step::result).collect::<Vec<_>>(), ["passed", "stopped the call"]);
    }
}
