//! What haldir asks of a request of 2026-07-28, and with which status it is answered, where it stands in for a server of that
//! revision: the server behind it shakes hands, and would ask for none of this.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    HEADER_MISMATCH,
    headers::{METHOD, NAME, PROTOCOL_VERSION, said},
    rpc_error,
};
use crate::{
    interfaces::http::respond,
    relay::message::{FIRST_MODERN, INVALID_PARAMS, Message, quoted},
};

/// JSON-RPC: there is no such method.
const METHOD_NOT_FOUND: i32 = -32_601;
/// JSON-RPC: the request names a revision that is not known (2026-07-28).
const UNSUPPORTED_VERSION: i32 = -32_022;
/// The errors that are answered with 400: header mismatch, missing capability, unsupported version.
const BAD_REQUESTS: [i64; 3] = [-32_020, -32_021, -32_022];
/// Methods that revisions with a handshake have, and this one has not.
const FORMER: [&str; 6] =
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "roots/list"];
/// Under these, a request says who sends it.
const PREFIX: &str = "io.modelcontextprotocol/";

/// The answer to a request that does not say of itself what it has to, or asks for what this revision has not.
pub(super) fn refusal(headers: &HeaderMap, message: &Message<'_>) -> Option<Response> {
    let id = message.request_id();
    let method = message.method.as_deref().unwrap_or_default();
    let params: Value = message.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
    let mismatch = |problem: &str| Some(rpc_error(StatusCode::BAD_REQUEST, id, HEADER_MISMATCH, problem));
    let of_request = |name: &str| &params["_meta"][format!("{PREFIX}{name}")];
    if id.is_some() {
        let version = of_request("protocolVersion").as_str().unwrap_or_default();
        if one(headers, PROTOCOL_VERSION).as_deref() != Some(version) {
            return mismatch("the header MCP-Protocol-Version must say what the request's _meta says");
        }
        if version != FIRST_MODERN {
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
    if id.is_some() && !of_request("clientCapabilities").is_object() {
        let problem = format!("the request's _meta must have {PREFIX}clientCapabilities");
        return Some(rpc_error(StatusCode::BAD_REQUEST, id, INVALID_PARAMS, &problem));
    }
    if FORMER.contains(&method) {
        let problem = format!("there is no {method} in MCP {FIRST_MODERN}");
        return Some(rpc_error(StatusCode::NOT_FOUND, id, METHOD_NOT_FOUND, &problem));
    }
    None
}

/// The status of an answer.
pub(super) fn status(answer: &Message<'_>) -> StatusCode {
    let error: Value = answer.error.and_then(|error| serde_json::from_str(error.get()).ok()).unwrap_or_default();
    match error["code"].as_i64() {
        Some(code) if code == i64::from(METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(code) if BAD_REQUESTS.contains(&code) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

fn unsupported(id: &str, requested: &str) -> Response {
    let data = json!({"supported": [FIRST_MODERN], "requested": requested});
    let error = format!(
        r#"{{"code":{UNSUPPORTED_VERSION},"message":{},"data":{data}}}"#,
        quoted("the protocol version is not supported")
    );
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
    respond::json(StatusCode::BAD_REQUEST.as_u16(), text)
}

/// The value of a header that stands once.
fn one(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().and_then(said)?;
    values.next().is_none().then_some(value)
}
