//! Text that passes rmcp as it was written. Its messages are parsed into types, in which numbers are floats and unknown
//! members are lost; what an agent sends and an upstream answers must arrive as it was sent.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rmcp::model::{ClientJsonRpcMessage, ErrorData, GetExtensions, GetMeta, RequestId};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Failure, link::Again};

/// Rides on a request to the transport.
#[derive(Clone, Default)]
pub(super) struct Exact(Arc<Inner>);

#[derive(Default)]
struct Inner {
    arguments: Option<Zeroizing<String>>,
    /// Answers that the call is made again with.
    again: Option<Again>,
    /// The place of a call on the floor.
    place: Option<u64>,
    /// Whether rmcp may do without the result.
    alone: bool,
    /// Whether it was handed to the network. What becomes of it then is the upstream's to say, whatever else fails.
    left: AtomicBool,
    outcome: Mutex<Option<Outcome>>,
}

/// What an upstream answered, as it was written.
#[derive(Debug)]
pub(super) enum Outcome {
    Result(Box<RawValue>),
    Error(Box<RawValue>),
    /// No answer will come.
    Failed(Failure),
}

/// A request that is handed to the network.
pub(super) struct Leaving {
    exact: Exact,
    had_left: bool,
}

impl Leaving {
    /// Nothing of it was written this time.
    pub(super) fn has_not_left(self) {
        if !self.had_left {
            self.exact.0.left.store(false, Ordering::Release);
        }
    }
}

/// A JSON-RPC message, as far as it must be understood here.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    id: Option<RequestId>,
    #[serde(default, borrow)]
    method: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

/// A member that is null is there.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The same without its id.
#[derive(Deserialize)]
struct Bare<'a> {
    #[serde(default, borrow)]
    method: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

impl Exact {
    /// For a call with these arguments and this place on the floor, whose result rmcp need not see.
    pub(super) fn call(arguments: Zeroizing<String>, again: Option<Again>, place: u64) -> Self {
        let place = Some(place);
        Self(Arc::new(Inner { arguments: Some(arguments), again, place, alone: true, ..Inner::default() }))
    }

    /// The place of a call on the floor.
    pub(super) fn place(&self) -> Option<u64> {
        self.0.place
    }

    /// It is handed to the network. rmcp may do so again, where the upstream has begun its session anew.
    pub(super) fn leave(&self) -> Leaving {
        Leaving { exact: self.clone(), had_left: self.0.left.swap(true, Ordering::AcqRel) }
    }

    /// Whether anything of it may have arrived.
    pub(super) fn has_left(&self) -> bool {
        self.0.left.load(Ordering::Acquire)
    }

    pub(super) fn of(message: &ClientJsonRpcMessage) -> Option<(Self, RequestId)> {
        match message {
            ClientJsonRpcMessage::Request(request) => {
                let exact = request.request.extensions().get::<Self>()?;
                Some((exact.clone(), request.id.clone()))
            }
            _ => None,
        }
    }

    /// The message as it is sent.
    pub(super) fn body(&self, message: &ClientJsonRpcMessage) -> serde_json::Result<Zeroizing<String>> {
        let text = Zeroizing::new(serde_json::to_string(message)?);
        let Some(arguments) = &self.0.arguments else { return Ok(text) };
        let mut members: BTreeMap<&str, &RawValue> = serde_json::from_str(&text)?;
        let params = members.get("params").map_or("{}", |params| params.get());
        let mut params: BTreeMap<&str, &RawValue> = serde_json::from_str(params)?;
        params.insert("arguments", serde_json::from_str(arguments)?);
        let state = self.0.again.as_ref().and_then(|again| again.state.as_deref()).map(serde_json::to_string);
        let state = state.transpose()?;
        if let Some(again) = &self.0.again {
            params.extend(again.responses.as_deref().map(|responses| ("inputResponses", responses)));
        }
        if let Some(state) = &state {
            params.insert("requestState", serde_json::from_str(state)?);
        }
        let params = Zeroizing::new(serde_json::to_string(&params)?);
        members.insert("params", serde_json::from_str(&params)?);
        serde_json::to_string(&members).map(Zeroizing::new)
    }

    /// Keeps the outcome if `text` is the answer to `id`; gives back what rmcp is to see.
    pub(super) fn keep(&self, id: &RequestId, text: &str) -> Option<String> {
        let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
        if envelope.method.is_some() || !same(envelope.id.as_ref()?, id) {
            return None;
        }
        let outcome = match (envelope.result, envelope.error) {
            (Some(result), None) => Outcome::Result(result.to_owned()),
            (result, Some(error)) if result.is_none_or(|result| result.get() == "null") => {
                Outcome::Error(error.to_owned())
            }
            _ => return None,
        };
        let shown = matches!((&outcome, self.0.alone), (Outcome::Result(_), true))
            .then(|| serde_json::json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}}).to_string());
        *self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        shown
    }

    /// Keeps an error that stands in the answer to this request, whatever id it bears.
    pub(super) fn refused(&self, error: Box<RawValue>) {
        *self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(Outcome::Error(error));
    }

    /// Keeps that no answer will come.
    pub(super) fn failed(&self, failure: Failure) {
        *self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(Outcome::Failed(failure));
    }

    /// Whether the answer has come.
    pub(super) fn is_answered(&self) -> bool {
        self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn take(&self) -> Option<Outcome> {
        self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The token that a request is sent with.
pub(super) fn token(message: &ClientJsonRpcMessage) -> Option<String> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    Some(request.request.get_meta().get_progress_token()?.0.to_string())
}

/// Some servers write a number that they were sent as text.
pub(super) fn same(a: &RequestId, b: &RequestId) -> bool {
    a == b || a.to_string() == b.to_string()
}

/// The error that a message is, if it is one: as it was written, and as rmcp reads it. Whether it names a request is not
/// asked: servers answer what they refuse without having read it under `null`, or under an id of their own.
pub(super) fn error_in(text: &str) -> Option<(Box<RawValue>, ErrorData)> {
    let envelope: Bare<'_> = serde_json::from_str(text).ok()?;
    let error = envelope.error.filter(|_| envelope.method.is_none())?;
    let read = serde_json::from_str(error.get()).ok()?;
    Some((error.to_owned(), read))
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest};

    use super::*;

    #[test]
    fn an_error_is_one_whatever_id_it_bears() {
        for id in ["null", "7", "\"server-error\"", "1e400"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32600,"message":"no"}}}}"#);
            let (written, read) = error_in(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((written.get(), read.code.0), (r#"{"code":-32600,"message":"no"}"#, -32_600));
        }
        for text in
            [r#"{"error":"no"}"#, r#"{"id":1,"result":{}}"#, r#"{"method":"a","error":{"code":1,"message":""}}"#]
        {
            assert!(error_in(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_sent_and_answered_stays_as_it_was_written() {
        let arguments = r#"{"amount":0.10,"big":123456789012345678901234567890}"#;
        let exact = Exact::call(Zeroizing::new(arguments.to_owned()), None, 1);
        let mut request = CallToolRequest::new(CallToolRequestParams::new("pay"));
        request.extensions.insert(exact.clone());
        let message = ClientJsonRpcMessage::request(ClientRequest::CallToolRequest(request), RequestId::Number(7));
        let (found, id) = Exact::of(&message).unwrap();
        assert!(found.body(&message).unwrap().contains(&format!(r#""arguments":{arguments}"#)));
        let answer = r#"{"id":"7","jsonrpc":"2.0","result":{"content":[],"structuredContent":{"a":1.10}}}"#;
        assert!(found.keep(&id, answer).is_some());
        let Some(Outcome::Result(result)) = exact.take() else { panic!("nothing was kept") };
        assert!(result.get().contains("1.10"));
        assert!(found.keep(&id, r#"{"id":8,"result":{}}"#).is_none() && exact.take().is_none());
    }
}
