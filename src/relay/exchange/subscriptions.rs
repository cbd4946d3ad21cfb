//! Telling a client that it may call other tools than before.

use super::{super::govern::changes, ClientRequest, Exchange};
use crate::protocol::message::{Message, TOOLS_CHANGED};

impl Exchange {
    /// Each subscription is told; a client with a handshake is told without one.
    pub(super) async fn tell_of_changes(&self) {
        let subscribed = self.requests.iter().filter(|(_, asking)| matches!(asking, ClientRequest::Changes));
        let mut told: Vec<_> = subscribed.map(|(id, _)| changes::list_changed_for(id)).collect();
        if told.is_empty() && self.initialize.is_some() {
            told.push(TOOLS_CHANGED.to_owned());
        }
        for text in told {
            self.answer(text).await;
        }
    }

    /// What the upstream acknowledges, with what haldir tells besides, if it is a subscription to changes of the tools.
    pub(super) fn promised(&self, message: &Message<'_>) -> Option<String> {
        let id = changes::acknowledged(message)?;
        matches!(self.requests.get(&id), Some(ClientRequest::Changes))
            .then(|| changes::acknowledging(message))
            .flatten()
    }
}
