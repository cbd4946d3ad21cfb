//! A request under way, and what its client gave where the connection is shared.

use std::time::Instant;

use super::super::{
    bridge::text::{self, PREFIX},
    message::{self, Message},
    waiting,
};

/// Under this, beside [`PREFIX`], what is said to a subscription names the request that began it.
const SUBSCRIPTION: &str = "subscriptionId";

pub(super) struct Open {
    pub(super) number: u64,
    pub(super) id: String,
    /// The progress token, as it was written.
    pub(super) token: Option<String>,
    /// What the client gave, where the connection is shared.
    pub(super) theirs: Option<Theirs>,
    pub(super) sender: waiting::Sender,
    /// When it was asked, or its upstream last said how far it is.
    pub(super) moved: Instant,
    /// Whether it is a subscription.
    pub(super) lasts: bool,
    /// The session of haldir's that it names.
    pub(super) session: Option<String>,
}

pub(super) struct Theirs {
    pub(super) id: String,
    pub(super) token: Option<String>,
}

/// The client's request that a notification names: the subscription that it is for, or the request that ends with it.
pub(super) fn named(message: &Message<'_>) -> Option<String> {
    message.method.as_ref()?;
    let named = if message.is("notifications/cancelled") {
        text::member(message.params, "requestId")
    } else {
        text::member(text::meta(message.params), &subscription())
    };
    named.and_then(message::id_of)
}

fn subscription() -> String {
    format!("{PREFIX}{SUBSCRIPTION}")
}

impl Open {
    /// Whether a notification that names this id is about this request. A server may give a question of its own, which it
    /// takes back, the id that a client of a connection of its own gave to a request.
    pub(super) fn is_named(&self, id: &str, message: &Message<'_>) -> bool {
        self.id == id && (self.theirs.is_some() || !message.is("notifications/cancelled"))
    }

    /// A message as its client expects it: with the id and the token that it gave itself.
    pub(super) fn told(&self, text: String, answers: bool) -> String {
        let Some(theirs) = &self.theirs else { return text };
        let Ok(message) = Message::read(&text) else { return text };
        let subscription = subscription();
        if answers {
            let id = serde_json::from_str(&theirs.id).ok();
            let meta = text::meta(message.result);
            if text::member(meta, &subscription).and_then(message::id_of).as_ref() == Some(&self.id) {
                let meta = text::edited(meta, |_| true, &[(&subscription, &theirs.id)]);
                return text::answer(&theirs.id, message.result, |_| true, &[("_meta", &meta)]);
            }
            return Message { id, ..message }.text();
        }
        let method = message.method.as_deref().unwrap_or_default();
        if let (Some(token), "notifications/progress") = (&theirs.token, method) {
            let params = text::edited(message.params, |_| true, &[("progressToken", token)]);
            return text::notification(method, &params);
        }
        if message.id.is_some() || named(&message).as_ref() != Some(&self.id) {
            return text;
        }
        let params = if method == "notifications/cancelled" {
            text::edited(message.params, |_| true, &[("requestId", &theirs.id)])
        } else {
            let meta = text::edited(text::meta(message.params), |_| true, &[(&subscription, &theirs.id)]);
            text::edited(message.params, |_| true, &[("_meta", &meta)])
        };
        text::notification(method, &params)
    }
}
