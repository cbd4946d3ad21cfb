//! Calls of tools, from the client's request to the upstream's answer.

use std::{
    collections::HashSet,
    convert,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    super::{
        call::Call,
        dialog::Dialogs,
        elicitation::UNDECIDED,
        govern::{Decision, Govern, Report, told},
    },
    Exchange, LIST_PATIENCE, Pins, Stage, ToolCall, pins,
};
use crate::{
    operations::proxied::Outcome,
    protocol::{
        Client,
        message::{self, Message, Refused},
    },
};

impl Exchange {
    pub(super) async fn call(&mut self, id: &str, message: &Message<'_>, text: &str, session: Option<&str>) {
        if let Err((code, problem)) = Call::read(message.params) {
            return self.answer(message::error(Some(id), code, &problem)).await;
        }
        let made = CallMessage {
            id: id.to_owned(),
            text: text.to_owned(),
            session: session.map(str::to_owned),
            token: message.progress_token(),
            asked: AtomicBool::new(false),
            cancelled: CancellationToken::new(),
        };
        let (made, since) = (Arc::new(made), Instant::now());
        let call = ToolCall { message: made, stage: Stage::Listing, since, until: since + self.limits.call_timeout };
        self.calls.insert(id.to_owned(), call);
        match self.pins {
            Pins::Known => self.decide(id),
            // A late answer is an answer: it is not asked for again while it may come.
            Pins::Asking { since, .. } if since.elapsed() < self.limits.start_timeout.saturating_mul(LIST_PATIENCE) => {
            }
            Pins::Asking { .. } | Pins::Unknown => self.ask_for_tools(pins::context_of(message)).await,
        }
    }

    pub(super) fn decide(&mut self, id: &str) {
        let Some(entry) = self.calls.get_mut(id) else { return };
        entry.stage = Stage::Deciding;
        let (call, governor, tools) =
            (Arc::clone(&entry.message), Arc::clone(&self.governor), Arc::clone(&self.listed_tools));
        let (client, dialogs, to_client) = (self.client.clone(), self.dialogs.clone(), self.to_client.clone());
        self.decisions.spawn(async move {
            let judged = call.judged(&*governor, &tools, (&client, &dialogs, &to_client)).await;
            (call.id.clone(), judged)
        });
    }

    /// It is decided what becomes of a call.
    pub(super) async fn judged(&mut self, id: &str, judged: Judged) {
        let Some(entry) = self.calls.get_mut(id) else { return };
        let cancelled = entry.is_cancelled();
        let (text, report) = match judged {
            Ok(admitted) if !cancelled => admitted,
            Ok((_, report)) => {
                self.calls.remove(id);
                return report.send(Outcome::unsent("the client took the call back before it left"));
            }
            Err(response) => {
                self.calls.remove(id);
                if !cancelled {
                    self.answer(response).await;
                }
                return;
            }
        };
        if !matches!(self.pins, Pins::Known) {
            // The tools have changed since: what was decided on may not be what would be called.
            entry.stage = Stage::Listing;
            let context = entry.message.context();
            report.send(Outcome::unsent("the tools changed before the call left"));
            if matches!(self.pins, Pins::Unknown) {
                self.ask_for_tools(context).await;
            }
            return;
        }
        (entry.stage, entry.until) = (Stage::Sent(report), Instant::now() + self.limits.call_timeout);
        // Fails if the upstream has ended, which its reader notices too.
        let _ = self.to_upstream.send(text).await;
    }

    /// The answer to a call of a tool.
    pub(super) async fn called(&mut self, id: &str, text: String) {
        if !self.calls.get(id).is_some_and(|call| matches!(call.stage, Stage::Sent(_))) {
            // An answer to what was not yet asked is no answer.
            return tracing::warn!("the upstream answered a call that it did not have yet; the answer was dropped");
        }
        let Some(ToolCall { stage: Stage::Sent(report), message: call, .. }) = self.calls.remove(id) else { return };
        let Ok(message) = Message::read(&text) else { return };
        let changed = report.answer(&message, None).await;
        if !call.cancelled.is_cancelled() {
            self.answer(changed.unwrap_or(text)).await;
        }
    }
}

/// A call of a client.
pub(super) struct CallMessage {
    id: String,
    text: String,
    /// The session that its request names.
    session: Option<String>,
    /// What the client knows its progress by, as it was written.
    pub(super) token: Option<String>,
    /// Whether the person at the client was asked about it: they are asked once about one call.
    asked: AtomicBool,
    pub(super) cancelled: CancellationToken,
}

/// What becomes of a call: the message for the upstream, or the response that says why there is none.
pub type Judged = Result<(Zeroizing<String>, Report), String>;

impl CallMessage {
    /// What a list of tools says of the client and its revision, as the call does (2026-07-28).
    pub(super) fn context(&self) -> Option<String> {
        Message::read(&self.text).ok().and_then(|message| pins::context_of(&message))
    }

    /// The response that tells the model why the call is not made.
    pub(super) fn refusal(&self, problem: &str) -> String {
        told(&self.id, problem, Message::read(&self.text).is_ok_and(|message| message.is_modern()))
    }

    async fn judged(
        &self,
        governor: &dyn Govern,
        tools: &HashSet<String>,
        (client, dialogs, to_client): (&Client, &Dialogs, &mpsc::Sender<String>),
    ) -> Judged {
        let refused = |(code, problem): Refused| message::error(Some(&self.id), code, &problem);
        let message = Message::read(&self.text).map_err(refused)?;
        let call = Call::read(message.params).map_err(refused)?;
        let outside = (self.session.as_deref(), Some(tools.contains(&call.name)));
        let decision = async |decided| {
            let decision = governor.admit(call.attempt(&message, outside, decided)).await;
            decision.unwrap_or_else(|error| Decision::of(&error))
        };
        let modern = message.is_modern();
        let can_ask = if modern { message.speaker().can_ask } else { client.can_ask && dialogs.have_room() };
        let mut decided = decision((None, can_ask && !self.asked.load(Ordering::Relaxed))).await;
        if !modern && let Decision::Ask(held) = decided {
            decided = match dialogs.open() {
                None => Decision::Told(held.held.text()),
                Some(dialog) => {
                    self.asked.store(true, Ordering::Relaxed);
                    let client = (client.name.as_str(), self.token.as_deref());
                    let taken_back = self.cancelled.cancelled();
                    match dialog.decision(&held, client, to_client, convert::identity, taken_back).await {
                        Some(decided) => decision((Some(decided), false)).await,
                        None => Decision::Told(held.held.text_after(UNDECIDED)),
                    }
                }
            };
        }
        let admitted = decided.admitted(&self.id, &call, modern)?;
        Ok((call.forwarded(&self.id, &admitted.arguments).into(), admitted.report))
    }
}
