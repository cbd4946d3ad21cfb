//! JSON-RPC 2.0 messages, their parts as they were written.

mod id;

use std::borrow::Cow;

use haldir_core::model::text::without_halves;
pub use id::id_of;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    client::Client,
    code::{INVALID_REQUEST, PARSE_ERROR},
    edit, json, meta,
    revision::is_without_handshake,
};

/// The envelope. A field that stands twice makes it unreadable; members that JSON-RPC does not have are dropped.
#[derive(Deserialize, Serialize)]
pub struct Message<'a> {
    #[serde(borrow)]
    /// Always "2.0".
    pub jsonrpc: Cow<'a, str>,
    /// Of requests and responses, in its one form: two requests whose ids are written differently and read alike would
    /// get each other's answers.
    #[serde(borrow, default, deserialize_with = "id::plain", skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, RawValue>>,
    /// Of requests and notifications.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// Of requests and notifications.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub params: Option<&'a RawValue>,
    /// Of responses. Null is a result: the message answers a request.
    #[serde(borrow, default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a RawValue>,
    /// Of responses.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a RawValue>,
}

/// The method that is governed.
const CALL: &str = "tools/call";

/// Why a message is refused: an error code, and what is wrong.
pub type Refused = (i32, String);

impl<'a> Message<'a> {
    /// Reads a message.
    pub fn read(text: &'a str) -> Result<Self, Refused> {
        match serde_json::from_str::<Self>(text) {
            Ok(message) if message.jsonrpc == "2.0" => message.without_empty_result().unmistakable(),
            Ok(_) => Err((INVALID_REQUEST, "expected \"jsonrpc\": \"2.0\"".to_owned())),
            // Text that is not JSON is a parse error, wherever in it the first error is.
            Err(error) => Err(match serde_json::from_str::<&RawValue>(text) {
                Err(error) => (PARSE_ERROR, format!("the message is no JSON that can be read: {error}")),
                Ok(json) if json.get().starts_with('[') => {
                    (INVALID_REQUEST, "batches are not supported: send one message at a time".to_owned())
                }
                Ok(_) => (INVALID_REQUEST, format!("expected a JSON-RPC 2.0 message: {error}")),
            }),
        }
    }

    /// Reads a message from bytes, which must be UTF-8.
    pub fn read_bytes(bytes: &'a [u8]) -> Result<Self, Refused> {
        let text = std::str::from_utf8(bytes).map_err(|_| (PARSE_ERROR, "the message is no UTF-8".to_owned()))?;
        Self::read(text)
    }

    /// Some servers write a null result beside an error.
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

    /// Refuses a method that a careless server reads as `tools/call`, and that haldir would not govern as one.
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

    /// A member of its parameters.
    pub fn param(&self, name: &str) -> Option<&'a RawValue> {
        edit::member(self.params, name)
    }

    /// A member of its parameters, if it is text.
    pub fn text_param(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.param(name)?.get()).ok()
    }

    /// A member of its parameters' `_meta`.
    pub fn meta(&self, key: &str) -> Option<&'a RawValue> {
        edit::member(edit::meta(self.params), key)
    }

    /// Whether it states a revision without handshake, from 2026-07-28 on.
    pub fn is_modern(&self) -> bool {
        // Most messages are decided by a search; text with escapes may state it too.
        let may_say = |params: &&RawValue| params.get().contains('\\') || params.get().contains(meta::PROTOCOL_VERSION);
        if !self.params.as_ref().is_some_and(may_say) {
            return false;
        }
        let version = || serde_json::from_str::<String>(self.meta(meta::PROTOCOL_VERSION)?.get()).ok();
        version().is_some_and(|version| is_without_handshake(&version))
    }

    /// The client, from `initialize` or, from 2026-07-28 on, from any request.
    pub fn speaker(&self) -> Client {
        let params: Value = self.params.map(edit::value).unwrap_or_default();
        Client::read(if self.is("initialize") { &params } else { &params["_meta"] })
    }

    /// What a request of 2026-07-28 says of its client, as it was written.
    pub fn client(&self) -> Option<String> {
        let own = json::object(edit::meta(self.params)?).ok()?;
        let of = |name: &str| own.get(name).map_or("", RawValue::get);
        Some(format!("{} {}", of(meta::CLIENT_INFO), of(meta::CLIENT_CAPABILITIES)))
    }

    /// The token that a request gives for its progress, as it was written.
    pub fn progress_token(&self) -> Option<String> {
        self.meta(meta::PROGRESS_TOKEN).map(|token| token.get().to_owned())
    }

    /// The token that a progress notification names, as it was written.
    pub fn named_token(&self) -> Option<String> {
        self.param(meta::PROGRESS_TOKEN).map(|token| token.get().to_owned())
    }

    /// The request that `notifications/cancelled` names.
    pub fn cancelled_id(&self) -> Option<String> {
        self.param("requestId").and_then(id_of)
    }

    /// The same message under another id.
    #[must_use]
    pub fn with_id(&self, id: &'a str) -> Self {
        let (jsonrpc, id) = (self.jsonrpc.clone(), serde_json::from_str(id).ok());
        Self { jsonrpc, id, method: self.method.clone(), ..*self }
    }

    /// The same message with these parameters.
    #[must_use]
    pub fn with_params<'p>(&'p self, params: Option<&'p RawValue>) -> Message<'p> {
        let (jsonrpc, id, method) = (self.jsonrpc.clone(), self.id.clone(), self.method.clone());
        Message { jsonrpc, id, method, params, ..*self }
    }

    /// The same message with this result.
    #[must_use]
    pub fn with_result<'p>(&'p self, result: Option<&'p RawValue>) -> Message<'p> {
        Message { result, ..self.with_params(self.params) }
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

/// The message with lone halves of surrogate pairs replaced, so that what is judged is what the upstream reads; `None` if
/// there are none. One in its id stays: that message is refused.
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

/// A response with this result.
pub fn response(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// A request.
pub fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{},"params":{params}}}"#, quoted(method))
}

/// A notification.
pub fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":{},"params":{params}}}"#, quoted(method))
}

/// The notification that takes a request back; `id` as it is written.
pub fn cancelled(id: &str, reason: Option<&str>) -> String {
    let reason = reason.map(|reason| format!(r#","reason":{}"#, quoted(reason))).unwrap_or_default();
    notification("notifications/cancelled", &format!(r#"{{"requestId":{id}{reason}}}"#))
}

/// The notification that ends the handshake.
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
/// The notification that the server's tools have changed.
pub const TOOLS_CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// JSON on one line: white space outside of strings may be line breaks.
pub fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ").into() } else { json.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_passed_on_with_its_own_text_and_without_unknown_fields() {
        let text = r#"{"jsonrpc":"2.0","Method":"tools/call","id":1e2,"method":"x/y","params":{"a":1.00}}"#;
        let expected = r#"{"jsonrpc":"2.0","id":100,"method":"x/y","params":{"a":1.00}}"#;
        assert_eq!(Message::read(text).unwrap().text(), expected);
    }

    #[test]
    fn what_is_no_json_is_told_from_what_is_no_message() {
        let code = |text: &str| Message::read(text).err().map(|(code, _)| code);
        assert_eq!(code(r#"{"jsonrpc":7,"#), Some(PARSE_ERROR));
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#), Some(INVALID_REQUEST));
        assert_eq!(code(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#), Some(INVALID_REQUEST));
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call"}"#), Some(INVALID_REQUEST));
    }
}
