//! Asking the person at the agent's client, as MCP has it: `elicitation/create`, or from 2026-07-28 on an
//! `input_required` result (SEP-2322). The answer comes from the client; no tool call and no model can give it.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use crate::{
    config::duration::within,
    model::{ApprovalId, ElicitationResponse},
    protocol::{
        message::{notification, quoted, request},
        request::{ServerRequest, input_required},
    },
};

/// What stands in front of a `requestState` that is haldir's own.
const STATE: &str = "haldir-approval:";
/// The one request in haldir's `inputRequests`.
pub const INPUT: &str = crate::proxy::question::INPUT;
/// The longest state, in characters: an upstream's own may stand in it.
const MAX_STATE_CHARS: usize = 1024 * 1024;

/// How calls that need an approval are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApproveBy {
    /// The person at the agent's client, where it can ask them and no rule wants an operator; else an operator.
    Elicitation,
    /// An operator alone.
    Operator,
}

/// How people decide.
#[derive(Args, Clone, Debug)]
pub struct DecisionOptions {
    /// Who decides about a call that needs an approval: the person at the client, asked by elicitation, or an operator
    /// alone. Default: elicitation on standard input and output, operator with serve.
    #[arg(long, env = "HALDIR_APPROVE_BY", value_name = "WHO", global = true)]
    approve_by: Option<ApproveBy>,
    /// How long the person at the client has to decide; the call waits for them.
    #[arg(long, env = "HALDIR_APPROVE_WITHIN", value_name = "DURATION", default_value = "5m", global = true,
        value_parser = within(1..=3_600))]
    approve_within: u64,
    /// How often a client that waits is told so, in milliseconds. For tests only.
    #[arg(long, env = "HALDIR_TEST_TELL_EVERY", value_name = "MILLIS", hide = true, global = true)]
    tell_every: Option<u32>,
}

impl DecisionOptions {
    /// What is set; `default` where nothing is.
    pub fn asking(&self, default: ApproveBy) -> AskSettings {
        let enabled = self.approve_by.unwrap_or(default) == ApproveBy::Elicitation;
        let tell_every = self.tell_every.map_or(TELL_EVERY, |millis| Duration::from_millis(u64::from(millis.max(1))));
        AskSettings { enabled, within: Duration::from_secs(self.approve_within), tell_every }
    }
}

/// Whether the person at the client is asked, and how long they have.
#[derive(Clone, Copy, Debug)]
pub struct AskSettings {
    /// Whether at all.
    pub enabled: bool,
    /// How long a call waits for them.
    pub within: Duration,
    /// How often a client that waits is told so.
    pub tell_every: Duration,
}

impl Default for AskSettings {
    fn default() -> Self {
        Self { enabled: false, within: Duration::ZERO, tell_every: TELL_EVERY }
    }
}

/// What a person answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalReply {
    /// Yes, and what they had to say about it.
    Approve(String),
    /// No, and what they had to say about it.
    Deny(String),
    /// Neither: the dialog was closed, or could not be shown.
    None,
}

/// A person's decision on a request.
#[derive(Clone, Debug)]
pub struct ElicitedDecision {
    /// What they answered to which request.
    pub response: ElicitationResponse,
    /// Whether they approved it.
    pub approved: bool,
    /// What shows that they were asked, where that was not on this very connection.
    pub proof: Option<String>,
}

impl ApprovalReply {
    /// Reads an `ElicitResult`. Only a clear yes is one.
    pub fn read(result: Option<&RawValue>) -> Self {
        #[derive(Deserialize)]
        struct Result {
            action: String,
            content: Option<Content>,
        }
        #[derive(Deserialize)]
        struct Action {
            action: String,
        }
        #[derive(Deserialize)]
        struct Content {
            decision: String,
            reason: Option<String>,
        }
        let Some(result) = result else { return Self::None };
        // Of a `decline` only the action counts, whatever comes with it.
        if serde_json::from_str::<Action>(result.get()).is_ok_and(|said| said.action == "decline") {
            return Self::Deny(String::new());
        }
        match serde_json::from_str(result.get()) {
            Ok(Result { action, content: Some(Content { decision, reason }) }) if action == "accept" => {
                let reason = reason.unwrap_or_default();
                match decision.as_str() {
                    APPROVE => Self::Approve(reason),
                    DENY => Self::Deny(reason),
                    _ => Self::None,
                }
            }
            _ => Self::None,
        }
    }

    /// What it decides on this request; `None` if nothing.
    pub fn decided(self, request_id: ApprovalId, client: &str) -> Option<ElicitedDecision> {
        let (approved, note) = match self {
            Self::Approve(note) => (true, note),
            Self::Deny(note) => (false, note),
            Self::None => return None,
        };
        let response = ElicitationResponse { request_id, client: client.to_owned(), note };
        Some(ElicitedDecision { response, approved, proof: None })
    }
}

const APPROVE: &str = "approve";
const DENY: &str = "deny";

/// The form: one decision, and perhaps a reason.
pub fn form() -> Value {
    json!({
        "type": "object",
        "properties": {
            "decision": {
                "type": "string", "title": "Decision", "description": "Whether this one call may be made.",
                "enum": [APPROVE, DENY],
            },
            "reason": {
                "type": "string", "title": "Reason", "maxLength": 500,
                "description": "Optional. It is recorded, and the agent sees it.",
            },
        },
        "required": ["decision"],
    })
}

/// The parameters of `elicitation/create`.
pub fn params(message: &str) -> Value {
    json!({"message": message, "requestedSchema": form()})
}

/// What a client gives back with the answers: which request it is about, and what was an upstream's before.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct ApprovalState {
    /// The request.
    pub request_id: String,
    /// What shows that haldir has asked about it.
    #[serde(default)]
    pub proof: String,
    /// The call's own state, from an upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_state: Option<String>,
    /// The call's own answers, for an upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_responses: Option<Box<RawValue>>,
}

impl ApprovalState {
    /// Reads a `requestState`. `None` if it is not haldir's; an error if it was altered.
    pub fn read(text: &str) -> Option<Result<Self, &'static str>> {
        let encoded = text.strip_prefix(STATE)?;
        let read = || {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        Some(read().ok_or("requestState is not what haldir has made"))
    }

    /// The result that asks, as JSON: the client calls again with the answer. `None` if the call's own state is so long
    /// that it cannot travel along.
    pub fn asking(&self, message: &str) -> Option<String> {
        let state = serde_json::to_vec(self).ok()?;
        let state = format!("{STATE}{}", BASE64_URL_SAFE_NO_PAD.encode(state));
        let params = params(message).to_string();
        let request = (INPUT, ServerRequest::Elicitation.method(), params.as_str());
        (state.len() <= MAX_STATE_CHARS).then(|| input_required([request], &state))
    }
}

/// The answer among `inputResponses`.
pub fn answer_in(responses: Option<&RawValue>) -> ApprovalReply {
    let all: BTreeMap<String, Box<RawValue>> =
        responses.and_then(|all| serde_json::from_str(all.get()).ok()).unwrap_or_default();
    ApprovalReply::read(all.get(INPUT).map(AsRef::as_ref))
}

/// How often a client that waits while a person decides is told so: many give a call up that is silent for a minute.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// What it is told.
pub const WAITS: &str = "waiting for a person to decide about the call";

/// How far a call is that waits for a person, when that is told for the `times`th time: so little that whatever the tool
/// says of its own progress later is more.
pub fn step(times: u32) -> f64 {
    f64::from(times) * 1e-6
}

/// The notification that a call waits for a person, under this token, for the `times`th time.
pub fn waits(token: &str, times: u32) -> String {
    let (progress, words) = (step(times), quoted(WAITS));
    let params = format!(r#"{{"progressToken":{token},"progress":{progress},"message":{words}}}"#);
    notification("notifications/progress", &params)
}

/// The request that shows the form; `id` as it is written.
pub fn dialog(id: &str, message: &str) -> String {
    request(id, ServerRequest::Elicitation.method(), &params(message).to_string())
}

/// What a model is told besides, where a person was asked and has not decided.
pub const UNDECIDED: &str = "The person at this client was asked, and has not decided.";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ApprovalReply {
        ApprovalReply::read(Some(&RawValue::from_string(json.to_owned()).unwrap()))
    }

    #[test]
    fn only_a_clear_yes_of_the_person_is_one() {
        let yes = r#"{"action":"accept","content":{"decision":"approve","reason":"ok"}}"#;
        assert_eq!(read(yes), ApprovalReply::Approve("ok".to_owned()));
        for no in [r#"{"action":"decline"}"#, r#"{"action":"decline","content":{"decision":"approve"}}"#] {
            assert_eq!(read(no), ApprovalReply::Deny(String::new()), "{no}");
        }
        for unclear in [
            r#"{"action":"accept"}"#,
            r#"{"action":"accept","content":{}}"#,
            r#"{"action":"accept","content":{"decision":true}}"#,
            r#"{"action":"accept","content":{"decision":"Approve"}}"#,
            r#"{"action":"accept","content":{"decision":["approve"]}}"#,
            r#"{"action":"cancel","content":{"decision":"approve"}}"#,
            r#"{"action":"cancel","action":"accept","content":{"decision":"approve"}}"#,
            r#"{"content":{"decision":"approve"}}"#,
            "[]",
        ] {
            assert_eq!(read(unclear), ApprovalReply::None, "{unclear}");
        }
        assert_eq!(ApprovalReply::read(None), ApprovalReply::None);
    }

    #[test]
    fn a_state_comes_back_as_it_left_and_others_are_not_taken_for_it() {
        let responses = RawValue::from_string(r#"{"a":{"n":1.10}}"#.to_owned()).unwrap();
        let state = ApprovalState {
            request_id: "apr_x".to_owned(),
            proof: "p".to_owned(),
            request_state: Some("theirs".to_owned()),
            input_responses: Some(responses),
        };
        let asked: Value = serde_json::from_str(&state.asking("m").unwrap()).unwrap();
        assert_eq!(asked["resultType"], "input_required");
        let back = ApprovalState::read(asked["requestState"].as_str().unwrap()).unwrap().unwrap();
        assert_eq!((back.request_id.as_str(), back.request_state.as_deref()), ("apr_x", Some("theirs")));
        assert_eq!(back.input_responses.unwrap().get(), r#"{"a":{"n":1.10}}"#);
        assert!(ApprovalState::read("theirs").is_none());
        assert!(ApprovalState::read("haldir-approval:???").unwrap().is_err());
    }
}
