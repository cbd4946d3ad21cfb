//! Asking the person at the client about a call that waits for a decision.

use tokio::time::Instant;

use super::{
    super::{
        elicitation::{self, ApprovalReply, AskSettings, MAX_DIALOGS, UNDECIDED},
        govern::Decision,
    },
    Exchange, Stage,
    calls::read_again,
};
use crate::{
    crypto,
    model::ApprovalId,
    operations::proxied::{ApprovalQuestion, PendingApproval},
    protocol::message::{self, Message, quoted},
};

/// A call that waits for a person.
pub(super) struct Dialog {
    /// The id of the question.
    ask: String,
    request_id: ApprovalId,
    held: PendingApproval,
    asking: AskSettings,
    since: Instant,
    /// When the client was last told that the call waits, and how often.
    told: (Instant, u32),
}

impl Exchange {
    /// Whether the person at the client can be asked about this call now.
    pub(super) fn may_ask(&self, id: &str) -> bool {
        let Some(call) = self.calls.get(id).filter(|call| !call.asked && !call.cancelled) else { return false };
        match Message::read(&call.text) {
            Ok(message) if message.is_modern() => message.speaker().can_ask,
            _ => self.client.can_ask && self.asks.len() < MAX_DIALOGS,
        }
    }

    /// Asks about a call; answers what becomes of it instead if the person cannot be asked.
    pub(super) async fn ask(
        &mut self,
        id: &str,
        question: &ApprovalQuestion,
        held: PendingApproval,
        asking: AskSettings,
    ) -> Option<Decision> {
        let entry = self.calls.get_mut(id)?;
        let told = |text: String| Some(Decision::Told(text));
        if entry.cancelled {
            return told(held.text());
        }
        if entry.asked {
            let undecided = read_again(&entry.text, |call| matches!(call.answered, Some((_, ApprovalReply::None))));
            return told(held.text_after(if undecided == Some(true) { UNDECIDED } else { "" }));
        }
        let message = Message::read(&entry.text).ok()?;
        if message.is_modern() {
            let asking = read_again(&entry.text, |call| call.asking(question)).flatten();
            let Some(result) = asking.filter(|_| message.speaker().can_ask) else { return told(held.text()) };
            self.calls.remove(id);
            self.answer(message::response(id, &result)).await;
            return None;
        }
        let ask = crypto::token::<16>("haldir-").ok().filter(|_| self.client.can_ask && self.asks.len() < MAX_DIALOGS);
        let Some(ask) = ask else { return told(held.text()) };
        entry.asked = true;
        let request_id = question.request_id.clone();
        let now = Instant::now();
        let waiting = Dialog { ask: ask.clone(), request_id, held, asking, since: now, told: (now, 0) };
        entry.stage = Stage::Asking(waiting);
        self.asks.insert(ask.clone(), id.to_owned());
        self.answer(elicitation::dialog(&quoted(&ask), &question.message)).await;
        None
    }

    /// The call that a response is about, if it answers a question of haldir's. The ids of questions are random, and
    /// only the client has seen them: no upstream can have its own questions answered as haldir's.
    pub(super) fn asked_about(&mut self, answered: &str) -> Option<String> {
        let ask: String = serde_json::from_str(answered).ok()?;
        self.asks.remove(&ask)
    }

    /// The person has answered, or closed the dialog.
    pub(super) async fn person_answered(&mut self, id: &str, answer: ApprovalReply) {
        let until = Instant::now() + self.times.call;
        let Some(call) = self.calls.get_mut(id) else { return };
        let Stage::Asking(waiting) = &call.stage else { return };
        let Some(decided) = answer.decided(waiting.request_id.clone(), &self.client.name) else {
            let text = waiting.held.text_after(UNDECIDED);
            self.calls.remove(id);
            return self.told(id, text).await;
        };
        call.decided = Some(decided);
        call.until = until;
        self.decide(id);
    }

    /// The client cancels a call while the person there is asked about it.
    pub(super) async fn nobody_to_ask_for(&mut self, id: &str) {
        if let Some(Stage::Asking(waiting)) = self.calls.remove(id).map(|call| call.stage) {
            self.asks.remove(&waiting.ask);
            self.take_back(&waiting.ask, "the call was cancelled").await;
        }
    }

    /// Progress of calls that wait for a person, for clients that want to know of it: many give up what is silent.
    pub(super) async fn tell_that_they_wait(&mut self, now: Instant) {
        let mut progress = Vec::new();
        for call in self.calls.values_mut() {
            let (Stage::Asking(waiting), Some(token)) = (&mut call.stage, &call.token) else { continue };
            if waiting.told.0 + waiting.asking.tell_every <= now {
                waiting.told = (now, waiting.told.1 + 1);
                progress.push(elicitation::waits(token, waiting.told.1));
            }
        }
        for text in progress {
            self.answer(text).await;
        }
    }

    /// Questions whose time has run out.
    pub(super) async fn ask_no_longer(&mut self, now: Instant) {
        let late =
            |stage: &Stage| matches!(stage, Stage::Asking(waiting) if waiting.since + waiting.asking.within <= now);
        let late: Vec<_> = self.calls.iter().filter(|(_, call)| late(&call.stage)).map(|(id, _)| id.clone()).collect();
        for id in late {
            let Some(Stage::Asking(waiting)) = self.calls.remove(&id).map(|call| call.stage) else { continue };
            self.asks.remove(&waiting.ask);
            self.take_back(&waiting.ask, "the time to decide is over").await;
            self.told(&id, waiting.held.text_after(UNDECIDED)).await;
        }
    }

    async fn take_back(&self, ask: &str, why: &str) {
        self.answer(message::cancelled(&quoted(ask), Some(why))).await;
    }

    async fn told(&self, id: &str, text: String) {
        if let Err(response) = Decision::Told(text).admitted(id, false) {
            self.answer(response).await;
        }
    }
}
