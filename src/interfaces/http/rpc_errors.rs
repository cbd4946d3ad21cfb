//! Errors of requests that carry JSON-RPC. Clients read only a JSON-RPC error with the id of their request from an HTTP error
//! response; of any other body they report no more than the status.

use axum::{body::Body, extract::Request, response::Response};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{body_budget::Payer, guard::RequestId, input, respond};
use crate::{
    error::{Code, Error, Result},
    interfaces::mcp::server::to_rpc,
};

/// The caller has no valid key.
const UNAUTHORIZED: i32 = -32_001;
/// The server refuses the request now, or for this caller.
const REFUSED: i32 = -32_000;

/// Answers a request. An error becomes a JSON-RPC error with the request's id, if that was read.
pub async fn answered<F>(
    request: Request,
    payer: Payer<'_>,
    id: &RequestId,
    answer: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Result<Response>>,
{
    let is_small = request.method() == Method::POST && input::has_small_body(&request);
    if !is_small {
        return answer(request).await.unwrap_or_else(|error| refusal(&error, b"", id));
    }
    let (parts, body) = request.into_parts();
    let body = match input::small_body(Request::from_parts(parts.clone(), body), payer).await {
        Ok(body) => body,
        Err(error) => return refusal(&error, b"", id),
    };
    let answered = answer(Request::from_parts(parts, Body::from(body.clone()))).await;
    answered.unwrap_or_else(|error| refusal(&error, &body, id))
}

/// The form of errors that the clients of this path read, where the request's body was not read.
pub fn form_at(path: &str) -> fn(&Error, &RequestId) -> Response {
    let carries_rpc = path == "/mcp" || path.strip_prefix("/mcp/").is_some_and(|rest| rest != "server-card");
    if carries_rpc { |error, id| refusal(error, b"", id) } else { respond::error }
}

/// An error of the transport; `named` is the id of the request as JSON, if it was read.
pub fn of_transport(status: StatusCode, named: Option<&str>, code: i32, problem: &str, id: &RequestId) -> Response {
    let data = json!({ "request_id": id.as_str() });
    respond::json(status.as_u16(), rpc(named.unwrap_or("null"), code, problem, &data.to_string()))
}

fn refusal(error: &Error, request: &[u8], id: &RequestId) -> Response {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let named = serde_json::from_slice::<Named<'_>>(request).ok().and_then(|named| named.id);
    // An id is a string or a number.
    let named = named.map(RawValue::get).filter(|id| !id.starts_with(['{', '[', 't', 'f'])).unwrap_or("null");
    let code = match error.code {
        Code::Unauthorized => UNAUTHORIZED,
        _ if error.is_refusal() || error.code.may_retry() => REFUSED,
        _ => to_rpc(error).code.0,
    };
    let body = rpc(named, code, &error.message, &error.body(Some(id.as_str())));
    let mut response = respond::json(error.code.status(), body);
    respond::decorate(&mut response, error);
    response
}

fn rpc(id: &str, code: i32, message: &str, data: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{},"data":{data}}}}}"#, json!(message))
}
