//! Results as they were written.
//!
//! rmcp holds a tool's result as a `serde_json::Value`, whose fractions are floats: 12345677.999999999 would leave it
//! as another amount. The text beside it is the same JSON as haldir wrote it, so on the way out that text takes the
//! place of what rmcp made of it. The result of an upstream's tool, which may hold what rmcp does not know, travels
//! through rmcp as a text with a mark of this process in front, and takes the place of the whole result.

use std::{borrow::Cow, sync::LazyLock};

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    crypto,
    protocol::{Message, message::one_line},
};

/// Stands in front of a whole result. Random, so that no upstream can write it.
static MARK: LazyLock<String> =
    LazyLock::new(|| crypto::token::<24>("whole result ").unwrap_or_else(|_| "no randomness".to_owned()));

/// A tool's result, as JSON, on its way through rmcp.
pub fn carried(result: &str) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(format!("{}{result}", *MARK))])
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    #[serde(borrow)]
    content: [TextBlock<'a>; 1],
    #[serde(borrow, default)]
    structured_content: Option<&'a RawValue>,
    /// Whether the client is of a revision whose results say what they are.
    #[serde(borrow, default)]
    result_type: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TextBlock<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// A JSON-RPC message with its result as it was written; `None` if it is just that, or no tool result.
pub fn restore(message: &str) -> Option<String> {
    let result = Message::read(message).ok()?.result?;
    let ToolResult { content: [TextBlock { text }], structured_content, result_type } =
        serde_json::from_str(result.get()).ok()?;
    if let Some(carried) = text.strip_prefix(MARK.as_str()) {
        return replaced(message, result.get(), &with_type(carried, result_type.is_some()));
    }
    let rounded = structured_content?.get();
    let same = |one: &str, other: &str| {
        let [one, other] = [one, other].map(|json| serde_json::from_str::<Value>(json).ok());
        one.is_some() && one == other
    };
    let text = serde_json::from_str::<&RawValue>(&text).ok()?.get();
    if same(text, rounded) { replaced(message, rounded, text) } else { None }
}

/// A result that says that it is complete, where the client has to be told.
fn with_type(result: &str, told: bool) -> Cow<'_, str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed<'a> {
        #[serde(borrow, default)]
        result_type: Option<&'a RawValue>,
    }
    let says = serde_json::from_str::<Typed<'_>>(result).is_ok_and(|typed| typed.result_type.is_some());
    match result.trim_start().strip_prefix('{') {
        Some(rest) if told && !says => {
            let separator = if rest.trim_start().starts_with('}') { "" } else { "," };
            Cow::Owned(format!("{{\"resultType\":\"complete\"{separator}{rest}"))
        }
        _ => Cow::Borrowed(result),
    }
}

/// The message with other text in place of `part`, which is a part of it.
fn replaced(message: &str, part: &str, text: &str) -> Option<String> {
    let start = part.as_ptr().addr().checked_sub(message.as_ptr().addr())?;
    let (before, after) = (message.get(..start)?, message.get(start + part.len()..)?);
    Some([before, &one_line(text), after].concat())
}

/// A server-sent event with the message in it restored.
pub fn restore_event(event: &str) -> Option<String> {
    const DATA: &str = "data: ";
    let data = event.lines().find_map(|line| line.strip_prefix(DATA))?;
    Some(event.replacen(data, &restore(data)?, 1))
}

#[cfg(test)]
mod tests {
    use rmcp::model::{NumberOrString, ServerJsonRpcMessage, ServerResult};

    use super::*;

    fn as_rmcp_writes(json: &str) -> String {
        let mut result = CallToolResult::success(vec![ContentBlock::text(json)]);
        result.structured_content = serde_json::from_str(json).ok();
        let response = ServerJsonRpcMessage::response(ServerResult::CallToolResult(result), NumberOrString::Number(1));
        serde_json::to_string(&response).unwrap()
    }

    #[test]
    fn an_amount_that_no_float_can_hold_is_restored() {
        let json = r#"{"amount":12345677.999999999,"name":"ü \"structuredContent\":1"}"#;
        let written = as_rmcp_writes(json);
        assert!(!written.contains(json), "rmcp kept the number, and all of this can go: {written}");
        let restored = restore(&written).unwrap();
        assert!(restored.contains(&format!("\"structuredContent\":{json}")), "{restored}");
        let event = restore_event(&format!("data: {written}\nid: 0/1\n\n")).unwrap();
        assert_eq!(event, format!("data: {restored}\nid: 0/1\n\n"));
    }

    #[test]
    fn the_result_of_an_upstream_is_what_the_upstream_wrote() {
        let json = r#"{"content":[{"type":"new","x":1.10}],"structuredContent":{"n":1e400},"later":[]}"#;
        let response = ServerJsonRpcMessage::response(
            ServerResult::CallToolResult(carried(json)),
            NumberOrString::String("a".into()),
        );
        let written = serde_json::to_string(&response).unwrap();
        let typed = json.replacen('{', "{\"resultType\":\"complete\",", 1);
        assert_eq!(restore(&written).unwrap(), format!(r#"{{"jsonrpc":"2.0","id":"a","result":{typed}}}"#));
        let legacy = written.replacen("\"resultType\":\"complete\",", "", 1);
        assert_ne!(legacy, written);
        assert_eq!(restore(&legacy).unwrap(), format!(r#"{{"jsonrpc":"2.0","id":"a","result":{json}}}"#));
    }

    #[test]
    fn a_text_that_says_something_else_than_the_structured_content_takes_nothings_place() {
        let mut result = CallToolResult::success(vec![ContentBlock::text("{\"summary\":1}")]);
        result.structured_content = serde_json::from_str("{\"rows\":[1]}").ok();
        let response = ServerJsonRpcMessage::response(ServerResult::CallToolResult(result), NumberOrString::Number(1));
        assert_eq!(restore(&serde_json::to_string(&response).unwrap()), None);
    }

    #[test]
    fn a_restored_message_is_one_line() {
        let restored = restore(&as_rmcp_writes("{\"details\":{\n\"a\\n\":\r\n0.10}}")).unwrap();
        assert!(!restored.contains(['\n', '\r']), "{restored}");
        assert!(restored.contains(r#""a\n":  0.10"#), "{restored}");
    }

    #[test]
    fn what_is_no_tool_result_stays_as_it_is() {
        for other in [r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, r#"{"jsonrpc":"2.0","method":"ping"}"#, "{", ""] {
            assert_eq!(restore(other), None);
        }
        assert_eq!(restore_event(":\n\n"), None);
    }
}
