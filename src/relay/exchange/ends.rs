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
            call.cancelled = true;
            call.until = call.until.min(Instant::now() + CANCEL_GRACE);
            match call.stage {
                Stage::Sent(_) => {}
                Stage::Deciding => return,
                Stage::Asking(_) => return self.nobody_to_ask_for(&id).await,
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
        let call = self.calls.values_mut().find(|call| call.token.as_ref() == Some(&token));
        if let Some(call) = call.filter(|call| !call.cancelled) {
            let longest = call.since + LONGEST.max(self.times.call);
            call.until = longest.min(Instant::now() + self.times.call);
        }
    }

    /// Times that are over.
    pub(super) async fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        self.unlisted_too_long(now).await;
        self.ask_no_longer(now).await;
        self.tell_that_they_wait(now).await;
        let sent = |call: &ToolCall| matches!(call.stage, Stage::Sent(_));
        let late = self.calls.iter().filter(|(_, call)| call.until <= now && sent(call));
        let late: Vec<_> = late.map(|(id, call)| (id.clone(), call.cancelled)).collect();
        for (id, cancelled) in late {
            if !cancelled {
                self.pass_on(message::cancelled(&id, Some("it took too long"))).await;
            }
            let why = "the upstream did not answer in time";
            self.give_up(&id, why, why).await;
        }
    }

    /// Answers a call that the upstream will not.
    pub(super) async fn give_up(&mut self, id: &str, why: &'static str, told: &str) {
        let Some(call) = self.calls.remove(id) else { return };
        if !call.cancelled {
            self.answer(message::error(Some(id), INTERNAL_ERROR, told)).await;
        }
        if let Stage::Sent(call) = call.stage {
            call.send(Outcome::unknown(why));
        }
    }
}
