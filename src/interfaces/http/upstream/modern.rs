//! What haldir asks of a request of 2026-07-28, and with which status it is answered, where it stands in for a server of that
//! revision: the server behind it shakes hands, and would ask for none of this.

use axum::response::Response;
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::{Value, json};

use super::rpc_error;
use crate::{
    interfaces::http::respond,
    protocol::{
        code::{self, HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND, UNSUPPORTED_VERSION},
        header::{METHOD, NAME, PROTOCOL_VERSION, decoded},
        message::{Message, quoted},
        meta::{self, CLIENT_CAPABILITIES},
        revision::FIRST_WITHOUT_HANDSHAKE,
    },
};

/// Methods that revisions with a handshake have, and this one has not.
const FORMER: [&str; 6] =
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "roots/list"];

/// The answer to a request that does not say of itself what it has to, or asks for what this revision has not.
pub(super) fn refusal(headers: &HeaderMap, message: &Message<'_>) -> Option<Response> {
    let id = message.request_id();
    let method = message.method.as_deref().unwrap_or_default();
    let params: Value = message.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
    let mismatch = |problem: &str| Some(rpc_error(StatusCode::BAD_REQUEST, id, HEADER_MISMATCH, problem));
    if id.is_some() {
        let version = params["_meta"][meta::PROTOCOL_VERSION].as_str().unwrap_or_default();
        if one(headers, PROTOCOL_VERSION).as_deref() != Some(version) {
            return mismatch("the header MCP-Protocol-Version must say what the request's _meta says");
        }
        if version != FIRST_WITHOUT_HANDSHAKE {
            return Some(unsupported(id.unwrap_or_default(), version));
        }
    }
    if one(headers, METHOD).as_deref() != Some(method) {
        return mismatch("the header Mcp-Method must say the request's method");
    }
    let named = match method {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "resources/read" => params["uri"].as_str(),
        _ => None,
    };
    if let Some(named) = named
        && one(headers, NAME).as_deref() != Some(named)
    {
        return mismatch("the header Mcp-Name must say what the request is about");
    }
    if id.is_some() && !params["_meta"][CLIENT_CAPABILITIES].is_object() {
        let problem = format!("the request's _meta must have {CLIENT_CAPABILITIES}");
        return Some(rpc_error(StatusCode::BAD_REQUEST, id, INVALID_PARAMS, &problem));
    }
    if FORMER.contains(&method) {
        let problem = format!("there is no {method} in MCP {FIRST_WITHOUT_HANDSHAKE}");
        return Some(rpc_error(StatusCode::NOT_FOUND, id, METHOD_NOT_FOUND, &problem));
    }
    None
}

/// The status of an answer.
pub(super) fn status(answer: &Message<'_>) -> StatusCode {
    let error: Value = answer.error.and_then(|error| serde_json::from_str(error.get()).ok()).unwrap_or_default();
    match error["code"].as_i64() {
        Some(code) if code == i64::from(METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(code) if code::WITHOUT_HANDSHAKE.iter().any(|known| i64::from(*known) == code) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

fn unsupported(id: &str, requested: &str) -> Response {
    let data = json!({"supported": [FIRST_WITHOUT_HANDSHAKE], "requested": requested});
    let error = format!(
        r#"{{"code":{UNSUPPORTED_VERSION},"message":{},"data":{data}}}"#,
        quoted("the protocol version is not supported")
    );
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
    respond::json(StatusCode::BAD_REQUEST.as_u16(), text)
}

/// The value of a header that stands once.
fn one(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().and_then(decoded)?;
    values.next().is_none().then_some(value)
}
