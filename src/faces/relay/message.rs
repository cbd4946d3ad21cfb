//! A JSON-RPC message, as far as the relay looks into it.

mod id;

use std::borrow::Cow;

pub use id::id_of;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};

use super::json;
use crate::{
    faces::elicitation::{self, Answer, Client, Decided, State},
    model::{ApprovalId, text::without_halves},
    operations::proxied::Question,
};

/// Where a call of a client that knows haldir names its session, in the call's `_meta`.
pub const SESSION_META: &str = "io.haldir/session_id";

/// Where a request names its revision, from 2026-07-28 on, which is the first to do so.
const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";
/// What a client calls again with, from 2026-07-28 on (SEP-2322).
const STATE: &str = "requestState";
const RESPONSES: &str = "inputResponses";
/// See `VERSION_META`.
pub const FIRST_MODERN: &str = "2026-07-28";

/// The envelope. A field that stands twice makes it unreadable; what JSON-RPC does not know is not passed on.
#[derive(Deserialize, Serialize)]
pub struct Message<'a> {
    #[serde(borrow)]
    pub(super) jsonrpc: Cow<'a, str>,
    /// Of requests and responses, in the one form that there is of each: two that are written otherwise and are one to
    /// whoever reads them would have one's answer go for the other's.
    #[serde(borrow, default, deserialize_with = "id::plain", skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, RawValue>>,
    /// Of requests and notifications.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// Of requests and notifications.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub params: Option<&'a RawValue>,
    /// Of responses. One that is null is there: what bears it answers a request.
    #[serde(borrow, default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a RawValue>,
    /// Of responses.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a RawValue>,
}

/// The method that is governed.
const CALL: &str = "tools/call";

/// Why a message is not passed on: a code of JSON-RPC, and what was wrong.
pub type Refused = (i32, String);

/// JSON-RPC: the text is no JSON.
pub const PARSE_ERROR: i32 = -32_700;
/// JSON-RPC: the message is none.
pub const INVALID_REQUEST: i32 = -32_600;
/// JSON-RPC: the parameters are not what the method takes.
pub const INVALID_PARAMS: i32 = -32_602;
/// JSON-RPC: the fault is on this side.
pub const INTERNAL_ERROR: i32 = -32_603;

impl<'a> Message<'a> {
    /// Reads a message.
    pub fn read(text: &'a str) -> Result<Self, Refused> {
        match serde_json::from_str::<Self>(text) {
            Ok(message) if message.jsonrpc == "2.0" => message.without_empty_result().unmistakable(),
            Ok(_) => Err((INVALID_REQUEST, "expected \"jsonrpc\": \"2.0\"".to_owned())),
            Err(error) if error.is_syntax() || error.is_eof() => {
                Err((PARSE_ERROR, format!("this is no JSON: {error}")))
            }
            Err(_) if text.trim_start().starts_with('[') => {
                Err((INVALID_REQUEST, "batches are not supported: send one message at a time".to_owned()))
            }
            Err(error) => Err((INVALID_REQUEST, format!("expected a JSON-RPC 2.0 message: {error}"))),
        }
    }

    /// Some write a null beside an error.
    fn without_empty_result(self) -> Self {
        let result = self.result.filter(|result| self.error.is_none() || result.get() != "null");
        Self { result, ..self }
    }

    /// Refuses a method that a careless server takes for a call of a tool, and that is not governed as one.
    fn unmistakable(self) -> Result<Self, Refused> {
        let method = self.method.as_deref().unwrap_or_default();
        if method == CALL {
            return Ok(self);
        }
        let plain: String = method.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        if plain.eq_ignore_ascii_case(CALL) {
            return Err((INVALID_REQUEST, format!("the method is written \"{CALL}\"")));
        }
        Ok(self)
    }

    /// Whether it is one thing: a request or a notification, or a response with a result or an error.
    pub fn is_one(&self) -> bool {
        match self.method {
            Some(_) => self.result.is_none() && self.error.is_none(),
            None => self.result.is_some() != self.error.is_some() && self.params.is_none(),
        }
    }

    /// The id of a request, as it was written; JSON-RPC's `null` is none.
    pub fn request_id(&self) -> Option<&str> {
        self.method.as_ref()?;
        self.id.as_deref().map(RawValue::get).filter(|id| *id != "null")
    }

    /// The id that a response answers.
    pub fn answers(&self) -> Option<&str> {
        let is_response = self.method.is_none() && (self.result.is_some() || self.error.is_some());
        self.id.as_deref().map(RawValue::get).filter(|_| is_response)
    }

    /// Whether it is a request or a notification of this method.
    pub fn is(&self, method: &str) -> bool {
        self.method.as_deref() == Some(method)
    }

    /// Whether it says of itself that it is of a revision without handshake, from 2026-07-28 on.
    pub fn is_modern(&self) -> bool {
        // Nearly all of the others are told by a look: whatever is written with escapes may say so.
        let may_say = |params: &&RawValue| params.get().contains('\\') || params.get().contains(VERSION_META);
        if !self.params.as_ref().is_some_and(may_say) {
            return false;
        }
        let meta = || json::object(json::object(self.params?).ok()?.get("_meta")?).ok();
        let version = || serde_json::from_str::<String>(meta()?.get(VERSION_META)?.get()).ok();
        version().is_some_and(|version| version.as_str() >= FIRST_MODERN)
    }

    /// The client, as its `initialize` or, from 2026-07-28 on, each of its requests says.
    pub fn speaker(&self) -> Client {
        let params: Value = self.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
        Client::read(if self.is("initialize") { &params } else { &params["_meta"] })
    }

    /// What it says of its client, from 2026-07-28 on: who it is, and what it can do.
    pub fn client(&self) -> Option<String> {
        let meta = json::object(json::object(self.params?).ok()?.get("_meta")?).ok()?;
        let of = |name: &str| meta.get(&format!("io.modelcontextprotocol/{name}")).map_or("", RawValue::get);
        Some(format!("{} {}", of("clientInfo"), of("clientCapabilities")))
    }

    /// The token that a request gives for its progress, as it was written.
    pub fn progress_token(&self) -> Option<String> {
        let meta = json::object(self.params?).ok()?.get("_meta")?;
        json::object(meta).ok()?.get("progressToken").map(|token| token.get().to_owned())
    }

    /// The token that a notification about progress names, as it was written.
    pub fn named_token(&self) -> Option<String> {
        json::object(self.params?).ok()?.get("progressToken").map(|token| token.get().to_owned())
    }

    /// Written anew: exactly what was read, and nothing that another reader might see in it besides.
    pub fn text(&self) -> String {
        // Texts and raw JSON under fixed names: there is nothing here that cannot be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Messages of a batch.
const MAX_BATCH: usize = 256;

/// The messages that a text holds: itself, or those of a batch (2025-03-26). A batch that cannot be read holds none.
pub fn messages(text: String) -> Vec<String> {
    if !text.trim_start().starts_with('[') {
        return vec![text];
    }
    let batch: Vec<&RawValue> = serde_json::from_str(&text).unwrap_or_default();
    if batch.len() > MAX_BATCH {
        return Vec::new();
    }
    batch.into_iter().map(|message| message.get().to_owned()).collect()
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The parameters of a `tools/call`.
pub struct Call<'a> {
    /// The tool.
    pub name: String,
    /// Its arguments, as they were written.
    pub arguments: Option<&'a RawValue>,
    /// The session that the call itself names.
    pub session: Option<String>,
    /// haldir's own question, and the answer with which the client calls again (2026-07-28).
    pub answered: Option<(State, Answer)>,
    params: json::Object<'a>,
    /// Its `_meta`, where that can be read in one way only.
    meta: Option<json::Object<'a>>,
}

impl<'a> Call<'a> {
    /// Reads the parameters, strictly: what is judged must be what the upstream reads.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, Refused> {
        let bad = |problem: String| (INVALID_PARAMS, format!("the parameters of tools/call: {problem}"));
        let params = params.ok_or_else(|| bad("there are none".to_owned()))?;
        let params = json::object(params).map_err(bad)?;
        for known in ["name", "arguments", "_meta", STATE, RESPONSES] {
            if params.0.iter().any(|(name, _)| name != known && name.eq_ignore_ascii_case(known)) {
                return Err(bad(format!("write `{known}` exactly so")));
            }
        }
        let name = params.get("name").ok_or_else(|| bad("`name` is missing".to_owned()))?;
        let name = serde_json::from_str(name.get()).map_err(|_| bad("`name` must be text".to_owned()))?;
        let arguments = params.get("arguments").filter(|arguments| arguments.get() != "null");
        let mut meta = None;
        for (name, value) in &params.0 {
            match name.as_ref() {
                "arguments" if arguments.is_some() => {
                    json::unambiguous_object(value).and_then(json::Object::distinct).map_err(bad)?;
                }
                "_meta" if value.get().starts_with('{') => {
                    meta = json::unambiguous_object(value).map_err(bad)?.distinct().ok();
                }
                _ => json::unambiguous(value).map_err(bad)?,
            }
        }
        let session =
            match meta.as_ref().and_then(|meta| meta.get(SESSION_META)).map(|id| serde_json::from_str(id.get())) {
                None => None,
                Some(Ok(id)) => Some(id),
                Some(Err(_)) => return Err(bad(format!("`{SESSION_META}` must be text"))),
            };
        let state = params.get(STATE).and_then(|state| serde_json::from_str::<String>(state.get()).ok());
        let answered = match state.as_deref().and_then(State::read) {
            None => None,
            Some(Ok(state)) => Some((state, elicitation::answer_in(params.get(RESPONSES)))),
            Some(Err(problem)) => return Err(bad(problem.to_owned())),
        };
        Ok(Self { name, arguments, session, answered, params, meta })
    }

    /// What the person at the client has decided on the call, as it says itself; `message` is the one that it came in.
    pub fn decided(&self, message: &Message<'_>) -> Option<Decided> {
        let (state, answer) = self.answered.as_ref()?;
        let request = ApprovalId::parse(state.request_id.clone()).ok()?;
        let decided = answer.clone().decided(request, &message.speaker().name)?;
        Some(Decided { proof: Some(state.proof.clone()), ..decided })
    }

    /// The result that asks the person at the client, who calls again with the answer (2026-07-28). What the call has
    /// for the upstream travels along.
    pub fn asking(&self, question: &Question) -> Option<String> {
        let (request_id, proof) = (question.request_id.to_string(), question.proof.clone());
        let state = match &self.answered {
            Some((state, _)) => State {
                request_id,
                proof,
                request_state: state.request_state.clone(),
                input_responses: state.input_responses.clone(),
            },
            None => State {
                request_id,
                proof,
                request_state: self
                    .params
                    .get(STATE)
                    .map(|state| serde_json::from_str(state.get()))
                    .transpose()
                    .ok()?,
                input_responses: self.params.get(RESPONSES).map(ToOwned::to_owned),
            },
        };
        state.asking(&question.message)
    }

    /// The call as it goes on: with these arguments, and without what was for haldir.
    pub fn forwarded(&self, id: &str, arguments: &str) -> String {
        let mut text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"#);
        let mut member = |name: &str, value: &str| {
            if !text.ends_with('{') {
                text.push(',');
            }
            text.push_str(&quoted(name));
            text.push(':');
            text.push_str(value);
        };
        for (name, value) in &self.params.0 {
            match name.as_ref() {
                "name" => member(name, &quoted(&self.name)),
                "arguments" if self.arguments.is_some() => member(name, arguments),
                "_meta" if self.session.is_some() => match self.meta_for_upstream().as_str() {
                    "{}" => {}
                    meta => member(name, meta),
                },
                STATE | RESPONSES if self.answered.is_some() => {}
                _ => member(name, value.get()),
            }
        }
        if self.arguments.is_none() && arguments != "{}" {
            member("arguments", arguments);
        }
        if let Some((state, _)) = &self.answered {
            if let Some(theirs) = &state.request_state {
                member(STATE, &quoted(theirs));
            }
            if let Some(theirs) = &state.input_responses {
                member(RESPONSES, theirs.get());
            }
        }
        text.push_str("}}");
        text
    }

    /// Its `_meta` without the session.
    fn meta_for_upstream(&self) -> String {
        let kept = self.meta.iter().flat_map(|meta| &meta.0).filter(|(name, _)| name != SESSION_META);
        let members: Vec<_> = kept.map(|(name, value)| format!("{}:{}", quoted(name), value.get())).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// A message in which no half of a character stands, so that what is judged is what the upstream reads; `None` if there is
/// none in it. One in its id stays: that message is refused.
pub fn whole(text: &str) -> Option<String> {
    let Cow::Owned(whole) = without_halves(text.as_bytes()) else { return None };
    Message::read(text).ok()?;
    String::from_utf8(whole).ok()
}

/// Text as JSON.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A response that is an error.
pub fn error(id: Option<&str>, code: i32, message: &str) -> String {
    let id = id.unwrap_or("null");
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{}}}}}"#, quoted(message))
}

/// The notification that a call waits for a person, told under this token for the `times`th time.
pub fn waits(token: &str, times: u32) -> String {
    let (progress, words) = (elicitation::step(times), quoted(elicitation::WAITS));
    let params = format!(r#"{{"progressToken":{token},"progress":{progress},"message":{words}}}"#);
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)
}

/// A response with this result.
pub fn response(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> i32 {
        let message = Message::read(text).and_then(|message| Call::read(message.params).map(drop));
        message.err().unwrap_or_else(|| panic!("{text} was taken")).0
    }

    #[test]
    fn that_a_call_waits_is_told_under_its_token_and_as_less_than_any_progress() {
        let read = |text: String| serde_json::from_str::<Value>(&text).unwrap()["params"].clone();
        let (first, last) = (read(waits("\"p\"", 1)), read(waits("7", 40)));
        assert_eq!((&first["progressToken"], &last["progressToken"]), (&Value::from("p"), &Value::from(7)));
        let steps = [&first, &last].map(|told| told["progress"].as_f64().unwrap());
        assert!(0.0 < steps[0] && steps[0] < steps[1] && steps[1] < 0.001, "{steps:?}");
    }

    #[test]
    fn what_two_readers_would_understand_differently_is_no_call() {
        let call = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#), INVALID_REQUEST);
        assert_eq!(refused(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#), INVALID_REQUEST);
        assert_eq!(refused("{"), PARSE_ERROR);
        for params in [
            r#"{"name":"read","name":"delete"}"#,
            r#"{"name":"read","Name":"delete"}"#,
            r#"{"name":"read","n\u0061me":"delete"}"#,
            r#"{"Name":"read"}"#,
            r#"{"name":7}"#,
            r#"{"name":"read","arguments":{"path":"a","path":"b"}}"#,
            r#"{"name":"read","arguments":{"path":"a","Path":"b"}}"#,
            r#"{"name":"read","arguments":[{"path":"a"}]}"#,
            r#"{"name":"read","arguments":{"x":{"y":1,"y":2}}}"#,
            r#"{"name":"read","_meta":{"io.haldir/session_id":7}}"#,
            "[]",
            "{}",
        ] {
            assert_eq!(refused(&call(params)), INVALID_PARAMS, "{params}");
        }
    }

    #[test]
    fn a_call_goes_on_as_it_was_written_without_what_was_for_haldir() {
        let params = r#"{"_meta":{"progressToken":1.0,"io.haldir/session_id":"ses_x","a.b/c":{}},"name":"e\u0063ho","arguments":{"n":1.10,"big":12345678901234567890123}}"#;
        let raw: Box<RawValue> = serde_json::from_str(params).unwrap();
        let call = Call::read(Some(&raw)).unwrap();
        assert_eq!((call.name.as_str(), call.session.as_deref()), ("echo", Some("ses_x")));
        assert_eq!(
            call.forwarded("\"a\"", call.arguments.unwrap().get()),
            r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"_meta":{"progressToken":1.0,"a.b/c":{}},"name":"echo","arguments":{"n":1.10,"big":12345678901234567890123}}}"#
        );
    }

    #[test]
    fn what_haldir_asked_the_client_is_not_for_the_upstream() {
        let read = |params: &str| serde_json::from_str::<Box<RawValue>>(params).unwrap();
        let first =
            read(r#"{"name":"a","arguments":{"n":1.10},"requestState":"theirs","inputResponses":{"x":{"n":2.0}}}"#);
        let question = Question {
            request_id: ApprovalId::parse("apr_1").unwrap(),
            message: "?".to_owned(),
            proof: "p".to_owned(),
        };
        let asked: Value = serde_json::from_str(&Call::read(Some(&first)).unwrap().asking(&question).unwrap()).unwrap();
        let again = read(&format!(
            r#"{{"name":"a","arguments":{{"n":1.10}},"requestState":{},"inputResponses":{{"haldir_approval":{{"action":"decline"}}}}}}"#,
            asked["requestState"]
        ));
        let call = Call::read(Some(&again)).unwrap();
        assert!(matches!(&call.answered, Some((state, Answer::Deny(_))) if state.request_id == "apr_1"));
        assert_eq!(
            call.forwarded("1", r#"{"n":1.10}"#),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":1.10},"requestState":"theirs","inputResponses":{"x":{"n":2.0}}}}"#
        );
        let own = Call::read(Some(&first)).unwrap();
        assert!(own.answered.is_none() && own.forwarded("1", "{}").contains("theirs"));
    }

    #[test]
    fn a_message_is_passed_on_with_its_own_text_and_without_unknown_fields() {
        let text = r#"{"jsonrpc":"2.0","Method":"tools/call","id":1e2,"method":"x/y","params":{"a":1.00}}"#;
        let expected = r#"{"jsonrpc":"2.0","id":100,"method":"x/y","params":{"a":1.00}}"#;
        assert_eq!(Message::read(text).unwrap().text(), expected);
    }
}
