//! Calls that end without the upstream's answer: taken back, or too late.

use tokio::time::Instant;

use super::{CANCEL_GRACE, Exchange, Stage, ToolCall};
use crate::{
    operations::proxied::Outcome,
    protocol::{
        code::INTERNAL_ERROR,
        message::{self, Message},
    },
    upstream::LONGEST,
};

impl Exchange {
    /// The client cancels a request.
    pub(super) async fn cancel(&mut self, message: &Message<'_>) {
        let id = message.cancelled_id().unwrap_or_default();
        if let Some(call) = self.calls.get_mut(&id) {
            call.message.cancelled.cancel();
            call.until = call.until.min(Instant::now() + CANCEL_GRACE);
            match call.stage {
                Stage::Sent(_) => {}
                Stage::Deciding => return,
                Stage::Listing => {
                    self.calls.remove(&id);
                    return;
                }
            }
        }
        // A cancelled request is not answered.
        self.requests.remove(&id);
        self.pass_on(message.text()).await;
    }

    /// The upstream has said how far a call is: it has all its time again, but no more than that in all.
    pub(super) fn heard_of_progress(&mut self, message: &Message<'_>) {
        let Some(token) = message.named_token() else { return };
        let call = self.calls.values_mut().find(|call| call.message.token.as_ref() == Some(&token));
        if let Some(call) = call.filter(|call| !call.is_cancelled()) {
            let longest = call.since + LONGEST.max(self.limits.call_timeout);
            call.until = longest.min(Instant::now() + self.limits.call_timeout);
        }
    }

    /// Times that are over.
    pub(super) async fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        self.unlisted_too_long(now).await;
        for id in self.calls_that(|call| call.until <= now && call.is_sent()) {
            if !self.calls.get(&id).is_some_and(ToolCall::is_cancelled) {
                self.pass_on(message::cancelled(&id, Some("it took too long"))).await;
            }
            let why = "the upstream did not answer in time";
            self.give_up(&id, Outcome::unknown(why), why).await;
        }
    }

    /// Answers a call that the upstream will not.
    pub(super) async fn give_up(&mut self, id: &str, outcome: Outcome, told: &str) {
        let Some(call) = self.calls.remove(id) else { return };
        if !call.is_cancelled() {
            self.answer(message::error(Some(id), INTERNAL_ERROR, told)).await;
        }
        if let Stage::Sent(call) = call.stage {
            call.send(outcome);
        }
    }
}
