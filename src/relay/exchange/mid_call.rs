//! Mid-call requests of the upstream.

use super::{super::mid_call, Exchange, Stage};
use crate::{
    operations::proxied::{NotForwarded, Outcome, TOO_MANY},
    protocol::{
        message::{self, Message},
        request::ServerRequest,
    },
};

impl Exchange {
    /// Forwards a request to the client. It names no call: it counts as one of the newest call that the upstream has.
    pub(super) async fn asked(&mut self, kind: ServerRequest, id: &str, message: &Message<'_>) {
        let sent = self.calls.iter().filter_map(|(id, call)| match &call.stage {
            Stage::Sent(report) => Some((call.since, id, report)),
            _ => None,
        });
        let newest = sent.max_by_key(|(since, ..)| *since).map(|(_, id, report)| (id.clone(), report.requests()));
        let requests = match &newest {
            Some((_, requests)) => requests.clone(),
            None => self.outside_calls.get(&*self.governor),
        };
        let refused = match mid_call::forward(requests.as_deref(), kind, message).await {
            Ok(text) => return self.answer(text).await,
            Err(refused) => refused,
        };
        // Fails if the upstream takes nothing: one that floods the relay must not stop it.
        let _ = self.to_upstream.try_send(refused.response(id).into());
        if let (NotForwarded::TooMany, Some((call, requests))) = (refused, newest) {
            self.outside_calls.exhaust(requests);
            self.pass_on(message::cancelled(&call, Some(TOO_MANY))).await;
            self.give_up(&call, Outcome::unknown(TOO_MANY), &mid_call::not_answered(TOO_MANY)).await;
        }
    }
}
