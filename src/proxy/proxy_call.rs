//! `proxyCall`.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{json, value::RawValue};
use tokio_util::sync::CancellationToken;

use super::{
    governed::{self, AllowedCall, CallRequest, Outcome, Verdict, refusal_json},
    listed_name, mid_call,
    target::{self, Reach},
    tool::{self, Called},
};
use crate::{
    call::{CallClient, OutwardContext, OutwardOperation},
    error::{Code, Error, Result},
    model::{PendingApproval, SessionId, UpstreamName, text::Text},
    upstream::{AskedBy, Failure, FailureKind, ToolCall},
};

/// Call a tool of an upstream server. The call passes session, pins, scope, policies, budget and approvals, and is an
/// entry of the log before it leaves. `{{secret:NAME}}` in the arguments stands for a secret that may go there. If the
/// answer has the status `approval_required`, a person has to approve it first: repeat the same call later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyCall {
    /// The tool: as it is listed, such as `upstream__tool`; `upstream.tool`; or `tool` while only one upstream has it.
    tool: Text<1, 256>,
    /// What to call it with: an object, as the tool's schema says.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    arguments: Option<Box<RawValue>>,
    /// The session that calls.
    session_id: SessionId,
}

/// A tool's result, as the upstream wrote it.
#[derive(Debug)]
pub struct ToolResult {
    json: Box<RawValue>,
    held: bool,
}

impl Serialize for ToolResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl JsonSchema for ToolResult {
    fn schema_name() -> Cow<'static, str> {
        "ToolResult".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "What the tool answered, as MCP has it.",
            "required": ["content", "isError"],
            "properties": {
                "content": {
                    "type": "array",
                    "description": "The parts of the answer: text, images, audio, resources.",
                    "items": {
                        "type": "object",
                        "required": ["type"],
                        "properties": {
                            "type": {"type": "string", "description": "The kind of part."},
                            "text": {"type": "string", "description": "Of a text: the text."},
                        },
                    },
                },
                "isError": {"type": "boolean", "description": "Whether the tool, or its server, failed."},
                "structuredContent": {"description": "The answer as JSON, where the tool gives one."},
            },
        })
    }
}

impl OutwardOperation for ProxyCall {
    type Output = ToolResult;

    async fn run(self, cx: OutwardContext) -> Result<ToolResult> {
        let name = meant(&cx, self.tool.into_string())?;
        let fresh = fresh(&cx, &name).await?;
        let arguments = self.arguments.map_or_else(|| "{}".to_owned(), |json| json.get().to_owned());
        let arguments = if arguments == "null" { "{}".to_owned() } else { arguments };
        let request =
            CallRequest { session_id: self.session_id, tool: name, upstream: None, is_listed: None, arguments };
        match governed::begin(&cx, request).await? {
            Verdict::Refused(error) => match unlisted(&error, fresh.as_ref()) {
                Some(failure) => Ok(answer(Err(failure))),
                None => Err(as_tool_result(error)),
            },
            Verdict::Pending(held) => Ok(on_hold(&cx, held)),
            Verdict::Allowed(call) => Ok(answer(carried_out(*call, fresh, &cx.client).await)),
        }
    }

    fn is_kept(output: &ToolResult) -> bool {
        !output.held
    }
}

/// As [`ProxyCall`], for interfaces that speak MCP: the result is exactly as the upstream wrote it. A call that was not sent is an
/// error whose text is a sentence.
pub async fn as_written(
    cx: OutwardContext,
    tool: String,
    session_id: SessionId,
    arguments: String,
) -> Result<Box<RawValue>> {
    let tool = meant(&cx, tool)?;
    let fresh = fresh(&cx, &tool).await?;
    let request = CallRequest { session_id, tool, upstream: None, is_listed: None, arguments };
    match governed::begin(&cx, request).await? {
        Verdict::Refused(error) => match unlisted(&error, fresh.as_ref()) {
            Some(failure) => Ok(error_result(&failure_text(&failure))),
            None => Err(error),
        },
        Verdict::Pending(held) => {
            let result = error_result(&held.text());
            hold_for_decision(&cx, held);
            Ok(result)
        }
        Verdict::Allowed(going) => {
            let outcome = carried_out(*going, fresh, &cx.client).await;
            Ok(outcome.unwrap_or_else(|failure| error_result(&failure_text(&failure))))
        }
    }
}

/// The full name of the tool, if it is called by the name that it is listed under.
fn meant(cx: &OutwardContext, called: String) -> Result<String> {
    let named = cx.read(|cx| listed_name::in_full(cx.tx, &cx.caller.tenant, &called))?;
    Ok(named.unwrap_or(called))
}

/// The upstream that a name may mean, after its tools were listed recently, so that a changed tool is noticed before the call.
/// Whether the call is allowed is decided later, in the store's transaction.
async fn fresh(cx: &OutwardContext, name: &str) -> Result<Option<Fresh>> {
    let (upstream, is_known) = cx.read(|cx| {
        let meanings = tool::meanings(cx.tx, &cx.caller.tenant, Called { name, upstream: None, is_listed: None })?;
        let listed = meanings.first().map(|tool| tool.upstream.clone());
        let is_known = listed.is_some();
        // An upstream whose tools were never listed counts too.
        let named = || UpstreamName::parse(name.split_once('.')?.0).ok();
        let registered =
            |name: UpstreamName| Ok(cx.tx.upstream(&cx.caller.tenant, &name)?.map(|known| known.name.clone()));
        let upstream: Result<_> = listed.map_or_else(|| named().map_or(Ok(None), registered), |name| Ok(Some(name)));
        Ok((upstream?, is_known))
    })?;
    let Some(upstream) = upstream else { return Ok(None) };
    let Ok(reach) = target::reach(cx, &upstream) else { return Ok(None) };
    let mut not_listed = None;
    let link = &reach.link;
    if link.must_list().await || !is_known && link.must_list_unknown().await {
        not_listed = target::refresh(cx, &upstream, &reach).await?.err();
    }
    Ok(Some(Fresh { upstream, reach, not_listed }))
}

/// An upstream that is about to be called.
struct Fresh {
    upstream: UpstreamName,
    reach: Reach,
    /// Why its tools could not be listed: then none is called, since its definition cannot be compared with the pin.
    not_listed: Option<Failure>,
}

/// The failure for a tool that is unknown because its upstream's tools could not be listed.
fn unlisted(error: &Error, fresh: Option<&Fresh>) -> Option<Failure> {
    let Fresh { upstream, reach, not_listed } = fresh.filter(|_| error.code == Code::UnknownTool)?;
    let failure = not_listed.as_ref()?;
    let message = format!("the tools of {upstream} are not known yet: {}", reach.known.text(&failure.message));
    Some(Failure { kind: failure.kind.clone(), message, unsent: true })
}

async fn carried_out(going: AllowedCall, fresh: Option<Fresh>, client: &CallClient) -> Result<Box<RawValue>, Failure> {
    let reached = fresh.filter(|fresh| fresh.upstream == *going.tool().0);
    let Some(Fresh { reach: Reach { link, .. }, not_listed, .. }) = reached else {
        let message =
            "the upstream cannot be reached from here, or a secret in its headers may not go there".to_owned();
        let failure = Failure { kind: FailureKind::Unavailable, message, unsent: true };
        return going.settle(Outcome::Failed(failure)).await;
    };
    if let Some(failure) = not_listed {
        let message =
            format!("its tools could not be listed, and so not be held against their pins: {}", failure.message);
        return going.settle(Outcome::Failed(Failure { message, unsent: true, ..failure })).await;
    }
    if client.cancelled.as_ref().is_some_and(CancellationToken::is_cancelled) {
        return going.settle(Outcome::Failed(Failure::cancelled(true))).await;
    }
    let outcome = match &client.channel {
        None => {
            let (name, arguments) = (going.tool().1, going.arguments().clone());
            let call = ToolCall {
                name,
                arguments,
                capabilities: None,
                asked: AskedBy::Nothing,
                again: None,
                level: None,
                listener: None,
            };
            tokio::select! {
                biased;
                () = client.cancelled() => Outcome::Failed(Failure::cancelled(false)),
                outcome = link.call_tool(call) => outcome.map_or_else(Outcome::Failed, mid_call::unasked),
            }
        }
        Some(channel) => tokio::select! {
            biased;
            () = client.cancelled() => Outcome::Failed(Failure::cancelled(false)),
            outcome = Box::pin(mid_call::carry(&going, &link, channel)) => {
                outcome.map_or_else(Outcome::Failed, Outcome::Answered)
            }
        },
    };
    going.settle(outcome).await
}

/// A result for REST, which always has `isError`.
fn answer(outcome: Result<Box<RawValue>, Failure>) -> ToolResult {
    let json = match outcome {
        Ok(result) => complete(result),
        Err(failure) => failed(&failure),
    };
    ToolResult { json, held: false }
}

fn complete(result: Box<RawValue>) -> Box<RawValue> {
    let Ok(mut members) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(result.get()) else {
        let message = "the upstream's answer is no tool result".to_owned();
        return failed(&Failure { kind: FailureKind::Unavailable, message, unsent: false });
    };
    let is_whole = members.contains_key("content") && members.contains_key("isError");
    if is_whole {
        return result;
    }
    members.entry("isError".to_owned()).or_insert_with(|| raw(&json!(false)));
    members.entry("content".to_owned()).or_insert_with(|| raw(&json!([])));
    serde_json::value::to_raw_value(&members).unwrap_or(result)
}

fn failed(failure: &Failure) -> Box<RawValue> {
    error_result(&failure_json(failure))
}

/// A sentence for the model, and JSON after it.
fn failure_text(failure: &Failure) -> String {
    format!("The call failed: {}.\n{}", failure.message.trim_end_matches('.'), failure_json(failure))
}

fn failure_json(failure: &Failure) -> String {
    let mut told = json!({"error": failure.message, "code": failure.kind.name()});
    if let FailureKind::Rpc(error) = &failure.kind {
        told["upstream_error"] = serde_json::from_str(error.get()).unwrap_or_default();
    }
    told.to_string()
}

fn error_result(text: &str) -> Box<RawValue> {
    raw(&json!({"content": [{"type": "text", "text": text}], "isError": true}))
}

/// The REST result of a held call.
fn on_hold(cx: &OutwardContext, held: PendingApproval) -> ToolResult {
    let json = raw(&json!({"content": [{"type": "text", "text": held.json()}], "isError": false}));
    hold_for_decision(cx, held);
    ToolResult { json, held: true }
}

/// Hands the approval request to the interface, which may be able to ask the person at the client.
fn hold_for_decision(cx: &OutwardContext, held: PendingApproval) {
    if let Some(slot) = &cx.client.pending {
        // Set at most once.
        let _ = slot.set(held);
    }
}

/// Converts another haldir's REST result for MCP, where a held call is an error, since a result must match the tool's output
/// schema.
pub fn answered_elsewhere(result: String) -> String {
    #[derive(Deserialize)]
    struct Told {
        content: Vec<Part>,
    }
    #[derive(Deserialize)]
    struct Part {
        #[serde(default)]
        text: String,
    }
    let told = serde_json::from_str::<Told>(&result).ok();
    let held = told.as_ref().and_then(|told| PendingApproval::from_json(&told.content.first()?.text));
    held.map_or(result, |held| error_result(&held.text()).get().to_owned())
}

/// A refusal that is a tool's result as well.
pub fn as_tool_result(error: Error) -> Error {
    if error.code.status() != 403 {
        return error;
    }
    let content = json!([{"type": "text", "text": refusal_json(&error)}]);
    error.with("isError", true).with("content", content)
}

fn raw(value: &serde_json::Value) -> Box<RawValue> {
    // A `Value` always serialises.
    serde_json::value::to_raw_value(value).unwrap_or_default()
}
