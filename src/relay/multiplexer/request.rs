//! A request in flight, and the id and token that its client gave where the connection is shared.

use std::time::Instant;

use crate::protocol::{
    bounded, edit,
    message::{self, Message},
    meta::{PROGRESS_TOKEN, SUBSCRIPTION_ID},
};

pub(super) struct Request {
    pub(super) number: u64,
    pub(super) id: String,
    /// The progress token, as it was written.
    pub(super) token: Option<String>,
    /// What the client gave, where the connection is shared.
    pub(super) client: Option<ClientNames>,
    pub(super) sender: bounded::Sender,
    /// When it was asked, or its upstream last said how far it is.
    pub(super) progressed: Instant,
    /// Whether it is a subscription.
    pub(super) is_subscription: bool,
    /// The session of haldir's that it names.
    pub(super) session: Option<String>,
}

pub(super) struct ClientNames {
    pub(super) id: String,
    pub(super) token: Option<String>,
}

/// The client's request that a notification names: the subscription that it is for, or the request that ends with it.
pub(super) fn named(message: &Message<'_>) -> Option<String> {
    message.method.as_ref()?;
    if message.is("notifications/cancelled") {
        return message.cancelled_id();
    }
    message.meta(SUBSCRIPTION_ID).and_then(message::id_of)
}

impl Request {
    /// Whether a notification that names this id is about this request. A server may give a question of its own, which it
    /// takes back, the id that a client of a connection of its own gave to a request.
    pub(super) fn is_named(&self, id: &str, message: &Message<'_>) -> bool {
        self.id == id && (self.client.is_some() || !message.is("notifications/cancelled"))
    }

    /// A message as its client expects it: with the id and the token that it gave itself.
    pub(super) fn told(&self, text: String, answers: bool) -> String {
        let Some(client) = &self.client else { return text };
        let Ok(message) = Message::read(&text) else { return text };
        if answers {
            let meta = edit::meta(message.result);
            if edit::member(meta, SUBSCRIPTION_ID).and_then(message::id_of).as_ref() == Some(&self.id) {
                let meta = edit::with(meta, &[(SUBSCRIPTION_ID, &client.id)]);
                return edit::answer(&client.id, message.result, |_| true, &[("_meta", &meta)]);
            }
            return message.with_id(&client.id).text();
        }
        let method = message.method.as_deref().unwrap_or_default();
        if let (Some(token), "notifications/progress") = (&client.token, method) {
            let params = edit::with(message.params, &[(PROGRESS_TOKEN, token)]);
            return message::notification(method, &params);
        }
        if message.id.is_some() || named(&message).as_ref() != Some(&self.id) {
            return text;
        }
        let params = if method == "notifications/cancelled" {
            edit::with(message.params, &[("requestId", &client.id)])
        } else {
            let meta = edit::with(edit::meta(message.params), &[(SUBSCRIPTION_ID, &client.id)]);
            edit::with(message.params, &[("_meta", &meta)])
        };
        message::notification(method, &params)
    }
}
