//! What routing reads of a message, and the calls that are answered without rmcp.

use std::borrow::Cow;

use axum::response::Response;
use http::HeaderMap;
use rmcp::model::JsonObject;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::McpInterface;
use crate::{
    error::{Error, Result},
    interfaces::{
        http::respond,
        mcp::{RawArguments, session, tools},
    },
    model::Credential,
    operations::{self, Operation},
    protocol::{
        Message,
        header::{self, PROTOCOL_VERSION},
        revision::is_without_handshake,
    },
};

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

fn call_params<'a>(message: &Message<'a>) -> Option<CallParams<'a>> {
    let params = message.params.filter(|_| message.is("tools/call"))?;
    serde_json::from_str(params.get()).ok()
}

/// The revision that an `initialize` asks for.
pub(super) fn revision_asked_for(message: &Message<'_>) -> Option<String> {
    message.text_param("protocolVersion").filter(|_| message.is("initialize"))
}

/// The arguments of a `tools/call`, as they were written.
pub(super) fn arguments(message: &Message<'_>) -> Option<RawArguments> {
    Some(RawArguments(call_params(message)?.arguments?.get().into()))
}

/// A `tools/call` outside any protocol session, by a client that says nothing rmcp would have to check.
pub(super) fn plain_tool_call<'a>(message: &Message<'a>, headers: &HeaderMap) -> Option<PlainCall<'a>> {
    let id = message.id.clone()?;
    let legacy = headers.get(PROTOCOL_VERSION).is_none_or(|version| {
        rmcp::model::ProtocolVersion::KNOWN_VERSIONS
            .iter()
            .any(|known| known.as_str().as_bytes() == version.as_bytes() && !is_without_handshake(known.as_str()))
    });
    let has_standard_headers =
        headers.keys().any(|name| name.as_str().starts_with(header::PREFIX) && *name != PROTOCOL_VERSION);
    if !legacy || has_standard_headers {
        return None;
    }
    let params = call_params(message).filter(|params| params.meta.is_none())?;
    if !params.arguments.is_none_or(is_object_or_null) {
        return None; // rmcp says that arguments are an object.
    }
    // A tool of an upstream takes the long way.
    let operation = operations::tool(&params.name)?;
    Some(PlainCall { id, params, operation })
}

pub(super) fn is_object_or_null(json: &RawValue) -> bool {
    json.get().starts_with('{') || json.get() == "null"
}

/// A call of one of haldir's tools outside any protocol session.
pub(super) struct PlainCall<'a> {
    id: Cow<'a, RawValue>,
    params: CallParams<'a>,
    operation: &'static Operation,
}

#[derive(Serialize)]
struct RpcResponse<'a, R> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    result: R,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    content: [TextBlock<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a RawValue>,
    is_error: bool,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<JsonObject>,
}

#[derive(Serialize)]
struct TextBlock<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl PlainCall<'_> {
    pub(super) async fn answer(
        &self,
        interface: &McpInterface,
        credential: &Credential,
        named: Option<&str>,
    ) -> Result<Response> {
        let arguments = self.params.arguments.map_or("{}", RawValue::get);
        let arguments = if arguments == "null" { "{}" } else { arguments };
        let session = if session::uses_session(self.operation) && !session::may_name_one(arguments) {
            named.map(str::to_owned).or_else(|| interface.standing.of(credential))
        } else {
            None
        };
        let arguments = session::filled(self.operation, arguments, session.as_deref());
        let outcome = tools::call(&interface.backend, credential, self.operation, &arguments, false).await?;
        interface.standing.note(credential, self.operation, &outcome);
        let structured = if outcome.structured { serde_json::from_str(&outcome.json).ok() } else { None };
        let response = RpcResponse {
            jsonrpc: "2.0",
            id: &self.id,
            result: ToolResult {
                content: [TextBlock { r#type: "text", text: &outcome.text() }],
                structured_content: structured,
                is_error: outcome.is_error,
                meta: outcome.meta(),
            },
        };
        Ok(respond::json(200, serde_json::to_string(&response).map_err(Error::internal)?))
    }
}
