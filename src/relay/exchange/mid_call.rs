//! Mid-call requests of the upstream.

use super::{
    super::mid_call::{self, Forwarded},
    Exchange, Stage,
};
use crate::{
    operations::proxied::TOO_MANY,
    protocol::{
        message::{self, Message},
        request::ServerRequest,
    },
};

impl Exchange {
    /// Forwards a request to the client. It names no call: it counts as one of the newest call that the upstream has.
    pub(super) async fn asked(&mut self, kind: ServerRequest, message: &Message<'_>) {
        let sent = self.calls.iter().filter_map(|(id, call)| match &call.stage {
            Stage::Sent(report) => Some((call.since, id, report)),
            _ => None,
        });
        let newest = sent.max_by_key(|(since, ..)| *since).map(|(_, id, report)| (id.clone(), report.requests()));
        let requests = match &newest {
            Some((_, requests)) => requests.clone(),
            None => self.outside_calls.get(&*self.governor),
        };
        match mid_call::forward(requests.as_deref(), kind, message).await {
            Forwarded::Request(text) => self.answer(text).await,
            Forwarded::Refused(error) => self.refuse_upstream(error),
            Forwarded::TooMany(error) => {
                self.refuse_upstream(error);
                let Some((id, requests)) = newest else { return };
                self.outside_calls.exhaust(requests);
                self.pass_on(message::cancelled(&id, Some(TOO_MANY))).await;
                self.give_up(&id, TOO_MANY, &mid_call::not_answered(TOO_MANY)).await;
            }
        }
    }

    /// Sends an error to the upstream, unless that takes nothing: one that floods the relay must not stop it.
    fn refuse_upstream(&self, error: String) {
        let _ = self.to_upstream.try_send(error.into());
    }
}
