//! Changes of what a client may call: haldir tells of them, whether or not the upstream tells of changes of its own.

use crate::protocol::{
    code::METHOD_NOT_FOUND,
    edit, json,
    message::{self, Message},
    meta::SUBSCRIPTION_ID,
};

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const TOOLS_CHANGED: &str = "toolsListChanged";

/// [`message::TOOLS_CHANGED`] to the subscription that the request of this id began (2026-07-28).
pub fn list_changed_for(id: &str) -> String {
    let params = format!("{{\"_meta\":{{\"{SUBSCRIPTION_ID}\":{id}}}}}");
    message::notification("notifications/tools/list_changed", &params)
}

/// Whether a request subscribes to changes of the list of tools (2026-07-28).
pub fn subscribes(message: &Message<'_>) -> bool {
    let wanted = || edit::member(message.param("notifications"), TOOLS_CHANGED);
    message.is("subscriptions/listen")
        && message.request_id().is_some()
        && wanted().is_some_and(|wanted| wanted.get() == "true")
}

/// The subscription that a notification acknowledges.
pub fn acknowledged(message: &Message<'_>) -> Option<String> {
    let is_it = message.is(ACKNOWLEDGED) && message.id.is_none();
    is_it.then(|| message.meta(SUBSCRIPTION_ID).and_then(message::id_of)).flatten()
}

/// The acknowledgement of a subscription to changes of the list of tools, with the promise to tell of them; `None` if it is
/// none.
pub fn acknowledging(message: &Message<'_>) -> Option<String> {
    acknowledged(message)?;
    let granted = edit::with(message.param("notifications"), &[(TOOLS_CHANGED, "true")]);
    Some(message::notification(ACKNOWLEDGED, &edit::with(message.params, &[("notifications", &granted)])))
}

/// haldir's own acknowledgement, where the upstream knows no subscriptions.
pub fn acknowledgement(id: &str) -> String {
    let params = format!("{{\"_meta\":{{\"{SUBSCRIPTION_ID}\":{id}}},\"notifications\":{{\"{TOOLS_CHANGED}\":true}}}}");
    message::notification(ACKNOWLEDGED, &params)
}

/// Whether an answer says that the upstream knows no subscriptions.
pub fn knows_none(answer: &Message<'_>) -> bool {
    edit::member(answer.error, "code").is_some_and(|code| code.get() == METHOD_NOT_FOUND.to_string())
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
