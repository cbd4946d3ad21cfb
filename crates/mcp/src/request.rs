//! Requests from a server to its client during a call (specification, Client features): before 2026-07-28 as requests of
//! their own, from then on in a result that says `input_required` (SEP-2322).

use serde_json::{Value, value::RawValue};

use crate::{
    json::{Members, written},
    message::quoted,
};

/// What a server may request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerRequest {
    /// `sampling/createMessage`.
    Sampling,
    /// `elicitation/create`.
    Elicitation,
    /// `roots/list`.
    Roots,
}

impl ServerRequest {
    /// By its method.
    pub fn of(method: &str) -> Option<Self> {
        [Self::Sampling, Self::Elicitation, Self::Roots].into_iter().find(|request| request.method() == method)
    }

    /// Its method.
    pub fn method(self) -> &'static str {
        match self {
            Self::Sampling => "sampling/createMessage",
            Self::Elicitation => "elicitation/create",
            Self::Roots => "roots/list",
        }
    }

    /// The capability that a client declares for it.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Sampling => "sampling",
            Self::Elicitation => "elicitation",
            Self::Roots => "roots",
        }
    }

    /// Whether a client that declared these capabilities takes it with these parameters.
    pub fn is_declared(self, capabilities: &Value, params: &Value) -> bool {
        let declared = &capabilities[self.capability()];
        match self {
            _ if !declared.is_object() => false,
            Self::Roots => true,
            Self::Sampling => params.get("tools").is_none() || declared["tools"].is_object(),
            Self::Elicitation if params["mode"] == "url" => declared["url"].is_object(),
            // Without a mode it is the form, which came first.
            Self::Elicitation => declared.get("url").is_none() || declared["form"].is_object(),
        }
    }
}

/// The member of a request that is made again which has the answers.
pub const RESPONSES: &str = "inputResponses";
/// The member that has the server's own state.
pub const STATE: &str = "requestState";
/// The member of a result that has the server's requests.
pub const REQUESTS: &str = "inputRequests";
/// The member of a result that says what it is.
pub const RESULT_TYPE: &str = "resultType";
/// The value of it in a result that asks.
pub const INPUT_REQUIRED: &str = "input_required";

/// A result that asks the client, as JSON: its requests by key, each with its method and the JSON text of its parameters.
pub fn input_required<'a>(requests: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>, state: &str) -> String {
    let request = |method: &str, params: &str| written([("method", &*quoted(method)), ("params", params)]);
    let requests = requests.into_iter().map(|(key, method, params)| (key, request(method, params)));
    written([(RESULT_TYPE, quoted(INPUT_REQUIRED)), (REQUESTS, written(requests)), (STATE, quoted(state))])
}

/// A result that asks the client.
pub struct InputRequired {
    /// The requests by key, each with its parameters as they were written.
    pub requests: Vec<(String, ServerRequest, Option<Box<RawValue>>)>,
    /// The server's state, which the client gives back.
    pub state: Option<String>,
}

impl InputRequired {
    /// Reads a result; `None` if it does not ask. An error if it asks in a way that cannot be read.
    pub fn read(result: &RawValue) -> Result<Option<Self>, &'static str> {
        const UNREADABLE: &str = "what it asks the client cannot be read";
        // Letters may be written by their numbers.
        if !result.get().contains(INPUT_REQUIRED) && !result.get().contains("\\u") {
            return Ok(None);
        }
        let members = match Members::of(result) {
            Some(members) => members,
            // Others may read what this parser does not.
            None if result.get().starts_with('{') => return Err(UNREADABLE),
            None => return Ok(None),
        };
        if members.text(RESULT_TYPE).as_deref() != Some(INPUT_REQUIRED) {
            return Ok(None);
        }
        let state = members.get(STATE).map(|state| serde_json::from_str(state.get())).transpose();
        let state = state.map_err(|_| UNREADABLE)?.flatten();
        let asked = members.get(REQUESTS).map_or_else(|| Some(Members::default()), Members::of).ok_or(UNREADABLE)?;
        let mut requests = Vec::new();
        for (key, request) in asked.iter() {
            let request = Members::of(request).ok_or(UNREADABLE)?;
            let method = request.text("method").ok_or(UNREADABLE)?;
            let kind = ServerRequest::of(&method).ok_or("it asks the client for something that MCP does not know")?;
            requests.push((key.to_owned(), kind, request.get("params").map(ToOwned::to_owned)));
        }
        Ok(Some(Self { requests, state }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_that_asks_is_found_however_it_is_written() {
        let read = |text: &str| InputRequired::read(&RawValue::from_string(text.to_owned()).unwrap());
        let found = |text: &str| matches!(read(text), Ok(Some(_)));
        assert!(found(r#"{"resultType":"input_required"}"#));
        assert!(found(r#"{"result\u0054ype":"input\u005frequired","content":[]}"#));
        assert!(found(r#"{"resultType":"complete","resultType":"input_required","resultType":"input_required"}"#));
        assert!(read(r#"{"\ud800":1,"resultType":"input_required"}"#).is_err());
        assert!(read(r#"{"resultType":"input_required","inputRequests":{"a":{"method":"tools/call"}}}"#).is_err());
        assert!(read(r#"{"resultType":"input_required","requestState":1}"#).is_err());
        assert!(matches!(read(r#"{"content":[{"type":"text","text":"\ud800 input_required"}]}"#), Ok(None)));
        let written = input_required([("q0", "roots/list", "{}")], "s");
        let asked = read(&written).unwrap().unwrap();
        assert_eq!((asked.requests[0].0.as_str(), asked.requests[0].1), ("q0", ServerRequest::Roots));
        assert_eq!(asked.state.as_deref(), Some("s"));
    }

    #[test]
    fn a_client_that_shows_no_form_is_not_asked() {
        for (elicitation, declared) in [
            (json!({}), true),
            (json!({"form": {}}), true),
            (json!({"form": {}, "url": {}}), true),
            (json!({"url": {}}), false),
            (json!(null), false),
            (json!(true), false),
        ] {
            let capabilities = json!({"elicitation": elicitation});
            assert_eq!(ServerRequest::Elicitation.is_declared(&capabilities, &Value::Null), declared, "{elicitation}");
        }
        assert!(!ServerRequest::Elicitation.is_declared(&json!({}), &Value::Null));
    }
}
