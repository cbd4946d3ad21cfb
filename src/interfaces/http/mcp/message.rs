//! A JSON-RPC message, as far as routing needs it, and the calls that take the straight way.

use std::borrow::Cow;

use axum::response::Response;
use http::HeaderMap;
use rmcp::model::ErrorData;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{FIRST_STATELESS, McpInterface, PROTOCOL_VERSION};
use crate::{
    error::{Error, Result},
    interfaces::{
        http::respond,
        mcp::{RawArguments, session, tools},
    },
    model::Credential,
    operations::{self, Operation},
};

/// A JSON-RPC message.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, ErrorData> {
        match serde_json::from_slice::<Self>(body) {
            Ok(message) if message.jsonrpc.as_deref() == Some("2.0") => Ok(message),
            Ok(_) => Err(ErrorData::invalid_request("expected \"jsonrpc\": \"2.0\"", None)),
            // Of what is no JSON nothing else can be said, wherever in it the first error is.
            Err(_) => Err(match serde_json::from_slice::<&RawValue>(body) {
                Err(error) => ErrorData::parse_error(format!("the message is no JSON that can be read: {error}"), None),
                Ok(json) if json.get().starts_with('[') => {
                    ErrorData::invalid_request("batches are not supported: send one message at a time", None)
                }
                Ok(_) => ErrorData::invalid_request("expected a JSON-RPC 2.0 message", None),
            }),
        }
    }

    fn call_params(&self) -> Option<CallParams<'a>> {
        let params = self.params.filter(|_| self.method.as_deref() == Some("tools/call"))?;
        serde_json::from_str(params.get()).ok()
    }

    /// The revision that an `initialize` asks for.
    pub(super) fn revision_asked_for(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Asked {
            protocol_version: String,
        }
        let params = self.params.filter(|_| self.method.as_deref() == Some("initialize"))?;
        serde_json::from_str::<Asked>(params.get()).ok().map(|asked| asked.protocol_version)
    }

    pub(super) fn arguments(&self) -> Option<RawArguments> {
        Some(RawArguments(self.call_params()?.arguments?.get().into()))
    }

    /// A `tools/call` outside any protocol session, by a client that says nothing rmcp would have to check.
    pub(super) fn plain_tool_call(&self, headers: &HeaderMap) -> Option<PlainCall<'a>> {
        let id = self.id.filter(|id| id.get().starts_with('"') || id.get().parse::<i64>().is_ok())?;
        let says_version = headers.get(PROTOCOL_VERSION);
        let legacy = says_version.is_none_or(|version| {
            rmcp::model::ProtocolVersion::KNOWN_VERSIONS
                .iter()
                .any(|known| known.as_str().as_bytes() == version.as_bytes() && known.as_str() < FIRST_STATELESS)
        });
        let has_standard_headers =
            headers.keys().any(|name| name.as_str().starts_with("mcp-") && name != PROTOCOL_VERSION);
        if !legacy || has_standard_headers {
            return None;
        }
        let params = self.call_params().filter(|params| params.meta.is_none())?;
        if !params.arguments.is_none_or(is_object_or_null) {
            return None; // rmcp says that arguments are an object.
        }
        // A tool of an upstream takes the long way.
        let operation = operations::tool(&params.name)?;
        Some(PlainCall { id, params, operation })
    }
}

pub(super) fn is_object_or_null(json: &RawValue) -> bool {
    json.get().starts_with('{') || json.get() == "null"
}

/// A call of one of haldir's tools outside any protocol session.
pub(super) struct PlainCall<'a> {
    id: &'a RawValue,
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
            id: self.id,
            result: ToolResult {
                content: [TextBlock { r#type: "text", text: &outcome.text() }],
                structured_content: structured,
                is_error: outcome.is_error,
            },
        };
        Ok(respond::json(200, serde_json::to_string(&response).map_err(Error::internal)?))
    }
}
