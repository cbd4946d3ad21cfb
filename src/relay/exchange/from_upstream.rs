//! Messages of the upstream on their way to the client.

use super::{
    super::{
        forwarding::RequestKind,
        govern::{Redact, changes},
        mid_call::{self, in_response, request_in},
    },
    Exchange, OWN_ID, Stage, ToolCall,
};
use crate::{
    operations::proxied::{NotForwarded, Outcome, TOO_MANY},
    protocol::{
        code::INTERNAL_ERROR,
        message::{self, Message, TOOLS_CHANGED},
        request::ServerRequest,
    },
    upstream::Failure,
};

/// Why a call that was answered has no result: whether it was carried out is unknown.
const NO_RESULT: &str = "the upstream answered with null, which is no result";

impl Exchange {
    /// A message of the upstream, or a batch of them. Each is written anew, without secrets, before it is looked at.
    pub async fn from_upstream(&mut self, text: String) {
        for text in message::messages(text) {
            let may_list = Redact::may_list(&text, |id| self.calls.contains_key(id));
            let Some(clean) = self.secrets.message(text, may_list).await else {
                tracing::warn!("the upstream wrote something that is no JSON-RPC message; it was dropped");
                continue;
            };
            self.heard(clean).await;
        }
    }

    /// A request to which no answer will come: it never left, or what became of it is unknown.
    pub async fn failed(&mut self, id: &str, failure: Failure) {
        self.not_answered(id, &failure.as_upstreams(), Outcome::not_answered(&failure)).await;
    }

    async fn not_answered(&mut self, id: &str, told: &str, outcome: Outcome) {
        if id.starts_with(OWN_ID) {
            return self.listed(id, None).await;
        }
        if self.calls.get(id).is_some_and(ToolCall::is_sent) {
            return self.give_up(id, outcome, told).await;
        }
        if self.requests.remove(id).is_some() {
            self.answer(message::error(Some(id), INTERNAL_ERROR, told)).await;
        }
    }

    async fn heard(&mut self, text: String) {
        let Ok(message) = Message::read(&text) else { return };
        if let Some(id) = message.answers() {
            if message.result.is_some_and(|result| result.get() == "null") {
                // MCP has no such result, and a client would wait on.
                return self.not_answered(id, NO_RESULT, Outcome::unknown(NO_RESULT)).await;
            }
            if id.starts_with(OWN_ID) {
                return self.listed(id, message.result).await;
            }
            if self.calls.contains_key(id) {
                let id = id.to_owned();
                return self.called(&id, text).await;
            }
            let Some(asking) = self.requests.remove(id) else {
                return tracing::debug!("the upstream answered a request that is not in flight");
            };
            if matches!(asking, RequestKind::Subscription) && changes::knows_none(&message) {
                let acknowledgement = changes::acknowledgement(id);
                self.requests.insert(id.to_owned(), asking);
                return self.answer(acknowledgement).await;
            }
            if let Some(text) = in_response(|| self.outside_calls.get(&*self.governor), &message).await {
                return self.answer(text).await;
            }
            let lists = matches!(asking, RequestKind::ToolList(_));
            let (text, listed) = match asking {
                RequestKind::ToolList(cursor) => {
                    let listed = self.client_listed(cursor, message.result);
                    (self.shown(text), listed)
                }
                RequestKind::List => (self.shown(text), None),
                RequestKind::Introduction => (changes::promising(&text).unwrap_or(text), None),
                RequestKind::Subscription | RequestKind::Other => (text, None),
            };
            self.answer(text).await;
            if let Some(tools) = listed {
                self.know(tools).await;
            }
            if lists && self.changes.is_none() {
                // What this list has made known is no change to it.
                self.changes = self.governor.changes().await;
            }
            return;
        }
        if message.request_id().is_some_and(|id| id.starts_with(OWN_ID)) {
            // The client's answer to it would look like one to haldir.
            return tracing::warn!("the upstream asked under an id that is haldir's own; the request was dropped");
        }
        if let Some((kind, id)) = request_in(&message) {
            return self.asked(kind, id, &message).await;
        }
        if message.is("notifications/tools/list_changed") {
            self.tools_changed().await;
        }
        if message.is("notifications/progress") {
            self.heard_of_progress(&message);
        }
        // Whatever the upstream acknowledges of a subscription, haldir tells of changes of the tools.
        let is_for_tools = |id| matches!(self.requests.get(&id), Some(RequestKind::Subscription));
        let promised =
            changes::acknowledged(&message).is_some_and(is_for_tools).then(|| changes::acknowledging(&message));
        self.answer(promised.flatten().unwrap_or(text)).await;
    }

    /// Tells the client that it may call other tools than before: each subscription; a client with a handshake is told without one.
    pub(super) async fn tell_of_changes(&self) {
        let subscribed = self.requests.iter().filter(|(_, asking)| matches!(asking, RequestKind::Subscription));
        let mut told: Vec<_> = subscribed.map(|(id, _)| changes::list_changed_for(id)).collect();
        if told.is_empty() && self.initialize.is_some() {
            told.push(TOOLS_CHANGED.to_owned());
        }
        for text in told {
            self.answer(text).await;
        }
    }

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
