//! Calls of tools, from the client's request to the upstream's answer.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    super::{
        call::Call,
        govern::{CallAttempt, Decision},
    },
    Exchange, LIST_PATIENCE, Pins, Stage, ToolCall, pins,
};
use crate::{
    error::Result,
    operations::proxied::Outcome,
    protocol::message::{self, Message},
};

impl Exchange {
    pub(super) async fn call(&mut self, id: &str, message: &Message<'_>, text: &str, session: Option<&str>) {
        let call = match Call::read(message.params) {
            Ok(call) => call,
            Err((code, problem)) => return self.answer(message::error(Some(id), code, &problem)).await,
        };
        let session = call.session.clone().or_else(|| session.map(str::to_owned));
        let since = Instant::now();
        let until = since + self.times.call;
        let token = message.progress_token();
        // A client that says so of each request has asked already, if it was told to.
        let (decided, asked) = (call.decided(message), call.answered.is_some());
        let (text, stage) = (text.to_owned(), Stage::Listing);
        let call = ToolCall { text, session, stage, decided, asked, cancelled: false, since, until, token };
        self.calls.insert(id.to_owned(), call);
        match self.pins {
            Pins::Known => self.decide(id),
            // A late answer is an answer: it is not asked for again while it may come.
            Pins::Asking { since, .. } if since.elapsed() < self.times.start.saturating_mul(LIST_PATIENCE) => {}
            Pins::Asking { .. } | Pins::Unknown => self.ask_for_tools(pins::context_of(message)).await,
        }
    }

    pub(super) fn decide(&mut self, id: &str) {
        let asks = self.may_ask(id);
        let Some(entry) = self.calls.get_mut(id) else { return };
        let Some((tool, arguments)) =
            read_again(&entry.text, |call| (call.name.clone(), call.arguments.map_or("{}", RawValue::get).to_owned()))
        else {
            return;
        };
        entry.stage = Stage::Deciding;
        let is_listed = Some(self.listed_tools.contains(&tool));
        let (session, decided) = (entry.session.clone(), entry.decided.take());
        let asked = CallAttempt { tool, arguments, session, decided, is_listed, asks };
        let (governor, id) = (Arc::clone(&self.governor), id.to_owned());
        self.decisions.spawn(async move {
            let decision = governor.admit(asked).await;
            (id, decision)
        });
    }

    pub(super) async fn decided(&mut self, id: &str, decision: Result<Decision>) {
        let Some(call) = self.calls.get(id) else { return };
        let (modern, cancelled) = (is_modern(&call.text), call.cancelled);
        let decision = decision.unwrap_or_else(|error| Decision::of(&error));
        let decision = match decision {
            Decision::Ask { question, held, asking } => match self.ask(id, &question, held, asking).await {
                Some(decision) => decision,
                None => return,
            },
            decision => decision,
        };
        let admitted = match decision.admitted(id, modern) {
            Ok(admitted) => admitted,
            Err(response) => {
                self.calls.remove(id);
                if !cancelled {
                    self.answer(response).await;
                }
                return;
            }
        };
        let Some(entry) = self.calls.get_mut(id).filter(|call| !call.cancelled) else {
            self.calls.remove(id);
            return admitted.report.send(Outcome::unsent("the client took the call back before it left"));
        };
        if !matches!(self.pins, Pins::Known) {
            // The tools have changed since: what was decided on may not be what would be called.
            entry.stage = Stage::Listing;
            let context = Message::read(&entry.text).ok().and_then(|message| pins::context_of(&message));
            admitted.report.send(Outcome::unsent("the tools changed before the call left"));
            if matches!(self.pins, Pins::Unknown) {
                self.ask_for_tools(context).await;
            }
            return;
        }
        let Some(text) = read_again(&entry.text, |call| call.forwarded(id, &admitted.arguments)) else { return };
        entry.stage = Stage::Sent(admitted.report);
        self.pass_on(text).await;
    }

    /// The answer to a call of a tool.
    pub(super) async fn called(&mut self, id: &str, text: String) {
        if !self.calls.get(id).is_some_and(|call| matches!(call.stage, Stage::Sent(_))) {
            // An answer to what was not yet asked is no answer.
            return tracing::warn!("the upstream answered a call that it did not have yet; the answer was dropped");
        }
        let Some(ToolCall { stage: Stage::Sent(report), cancelled, .. }) = self.calls.remove(id) else { return };
        let Ok(message) = Message::read(&text) else { return };
        let changed = report.answer(&message, None).await;
        if !cancelled {
            self.answer(changed.unwrap_or(text)).await;
        }
    }
}

pub(super) fn read_again<T>(text: &str, with: impl FnOnce(&Call<'_>) -> T) -> Option<T> {
    let message = Message::read(text).ok()?;
    Call::read(message.params).ok().map(|call| with(&call))
}

pub(super) fn is_modern(text: &str) -> bool {
    Message::read(text).is_ok_and(|message| message.is_modern())
}
