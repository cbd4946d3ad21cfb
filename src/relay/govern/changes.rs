//! Changes of what a client may call: haldir tells of them, whether or not the upstream tells of changes of its own.

use super::super::{
    bridge::text,
    json,
    message::{self, Message},
};

/// What a client is told when it may call other tools than before.
pub const LIST_CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// Where what is told to a subscription names the request that began it (2026-07-28).
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const TOOLS_CHANGED: &str = "toolsListChanged";
/// JSON-RPC: there is no such method.
const NO_METHOD: &str = "-32601";

/// [`LIST_CHANGED`] to the subscription that the request of this id began (2026-07-28).
pub fn list_changed_for(id: &str) -> String {
    let params = format!("{{\"_meta\":{{\"{SUBSCRIPTION}\":{id}}}}}");
    text::notification("notifications/tools/list_changed", &params)
}

/// Whether a request subscribes to changes of the list of tools (2026-07-28).
pub fn subscribes(message: &Message<'_>) -> bool {
    let wanted = || text::member(text::member(message.params, "notifications"), TOOLS_CHANGED);
    message.is("subscriptions/listen")
        && message.request_id().is_some()
        && wanted().is_some_and(|wanted| wanted.get() == "true")
}

/// The subscription that a notification acknowledges.
pub fn acknowledged(message: &Message<'_>) -> Option<String> {
    let is_it = message.is(ACKNOWLEDGED) && message.id.is_none();
    is_it.then(|| text::member(text::meta(message.params), SUBSCRIPTION).and_then(message::id_of)).flatten()
}

/// The acknowledgement of a subscription to changes of the list of tools, with the promise to tell of them; `None` if it is
/// none.
pub fn acknowledging(message: &Message<'_>) -> Option<String> {
    acknowledged(message)?;
    let granted = text::edited(text::member(message.params, "notifications"), |_| true, &[(TOOLS_CHANGED, "true")]);
    Some(text::notification(ACKNOWLEDGED, &text::edited(message.params, |_| true, &[("notifications", &granted)])))
}

/// haldir's own acknowledgement, where the upstream knows no subscriptions.
pub fn acknowledgement(id: &str) -> String {
    let params = format!("{{\"_meta\":{{\"{SUBSCRIPTION}\":{id}}},\"notifications\":{{\"{TOOLS_CHANGED}\":true}}}}");
    text::notification(ACKNOWLEDGED, &params)
}

/// Whether an answer says that the upstream knows no subscriptions.
pub fn knows_none(answer: &Message<'_>) -> bool {
    text::member(answer.error, "code").is_some_and(|code| code.get() == NO_METHOD)
}

/// The answer to an `initialize` or a `server/discover`, with the promise to tell of changes of the list of tools. `None` if
/// it has none to list, or promises that already.
pub fn promising(text: &str) -> Option<String> {
    let Message { id: Some(id), result: Some(result), .. } = Message::read(text).ok()? else { return None };
    let members = json::object(result).ok()?;
    let capabilities = json::object(members.get("capabilities")?).ok()?;
    let tools = json::object(capabilities.get("tools")?).ok()?;
    if tools.get("listChanged").is_some_and(|promised| promised.get() == "true") {
        return None;
    }
    let tools = tools.with("listChanged", "true");
    Some(message::response(id.get(), &members.with("capabilities", &capabilities.with("tools", &tools))))
}
