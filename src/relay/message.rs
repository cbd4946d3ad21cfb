//! A JSON-RPC message, as far as the relay looks into it.

mod call;
mod id;

use std::borrow::Cow;

pub use call::Call;
pub use id::id_of;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};

use super::json;
use crate::{
    model::text::without_halves,
    relay::elicitation::{self, Client},
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

    /// As a client's: a response that has an error and a result is the error alone (JSON-RPC 2.0, section 5). The server
    /// that asked might read an approval in it.
    #[must_use]
    pub fn of_client(self) -> Self {
        let result = self.result.filter(|_| self.error.is_none());
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
mod tests;
