//! Exact numbers in `structuredContent`.
//!
//! rmcp holds a tool's result as a `serde_json::Value`, whose fractions are floats: 12345677.999999999 would leave it
//! as another amount. The text beside it is the same JSON as haldir wrote it, so on the way out that text takes the
//! place of what rmcp made of it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    result: ToolResult<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    #[serde(borrow)]
    content: [TextBlock<'a>; 1],
    #[serde(borrow)]
    structured_content: &'a RawValue,
}

#[derive(Deserialize)]
struct TextBlock<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// A JSON-RPC message with its structured content as it was written; `None` if it is no tool result.
pub fn restore(message: &str) -> Option<String> {
    let ToolResult { content: [TextBlock { text }], structured_content } =
        serde_json::from_str::<Message<'_>>(message).ok()?.result;
    let text = serde_json::from_str::<&RawValue>(&text).ok()?.get();
    let rounded = structured_content.get();
    let start = rounded.as_ptr().addr().checked_sub(message.as_ptr().addr())?;
    let (before, after) = (message.get(..start)?, message.get(start + rounded.len()..)?);
    // A message is one line. In JSON a line break outside of a string's escapes is white space.
    Some([before, &text.replace(['\n', '\r'], " "), after].concat())
}

/// A server-sent event with the message in it restored.
pub fn restore_event(event: &str) -> Option<String> {
    const DATA: &str = "data: ";
    let data = event.lines().find_map(|line| line.strip_prefix(DATA))?;
    Some(event.replacen(data, &restore(data)?, 1))
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CallToolResult, ContentBlock, NumberOrString, ServerJsonRpcMessage, ServerResult};

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
