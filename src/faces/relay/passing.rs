//! What an upstream answers over HTTP, on its way to the client.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    govern::{self, Govern, Outcome, Redact, Report},
    message::Message,
};

/// What a protocol session of an upstream has open.
#[derive(Clone, Default)]
pub struct Open(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    redactions: Vec<Redact>,
    /// Calls whose stream has ended before their answer came: it may come on another stream.
    parked: HashMap<String, Report>,
}

impl Open {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes these secrets out of whatever the upstream sends from now on.
    pub fn redact(&self, redact: Redact) {
        redact.join(&mut self.state().redactions);
    }

    fn redacted(&self, text: &str) -> Option<String> {
        let redactions = self.state().redactions.clone();
        redactions.iter().fold(None, |text_so_far: Option<String>, redact| {
            let now = redact.message(text_so_far.as_deref().unwrap_or(text));
            now.or(text_so_far)
        })
    }

    /// Keeps a call open for so long.
    pub fn park(&self, id: String, report: Report, time: Duration) {
        self.state().parked.insert(id.clone(), report);
        let open = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            // Dropped, if it is still there, and so recorded as unknown.
            let late = open.state().parked.remove(&id);
            drop(late);
        });
    }

    fn parked(&self, id: &str) -> Option<Report> {
        self.state().parked.remove(id)
    }
}

/// One answer: a JSON body or an event stream, message by message.
pub struct Passing {
    /// Decides which tools are shown.
    pub governor: Arc<dyn Govern>,
    /// The call that is to be answered, by its id.
    pub call: Option<(String, Report)>,
    /// The id of a `tools/list` that is to be answered.
    pub list: Option<String>,
    /// What the protocol session has open.
    pub open: Open,
    /// When the answer must have come.
    pub until: Option<Instant>,
}

impl Passing {
    /// A message as the client may see it; `None` if just as it is.
    pub fn pass(&mut self, text: &str) -> Option<String> {
        let answered = Message::read(text).ok().and_then(|message| message.answers().map(str::to_owned));
        let Some(id) = answered else { return self.open.redacted(text) };
        if self.list.as_ref() == Some(&id) {
            let shown = govern::shown_tools(&*self.governor, text);
            let redacted = self.open.redacted(shown.as_deref().unwrap_or(text));
            return redacted.or(shown);
        }
        let redacted = self.open.redacted(text);
        let report = match self.call.take() {
            Some((of, report)) if of == id => Some(report),
            other => {
                self.call = other;
                self.open.parked(&id)
            }
        };
        let Some(report) = report else { return redacted };
        let told = report.told(redacted.as_deref().unwrap_or(text));
        report.send(outcome(redacted.as_deref().unwrap_or(text)));
        told.or(redacted)
    }

    /// Whether an answer is still to come that haldir has to see.
    pub fn awaits_answer(&self) -> bool {
        self.call.is_some()
    }
}

/// What a response says of the call.
fn outcome(text: &str) -> Outcome {
    match Message::read(text) {
        Ok(Message { result: Some(result), .. }) => Outcome::Result(result.get().to_owned()),
        Ok(Message { error: Some(error), .. }) => Outcome::Error(error.get().to_owned()),
        _ => Outcome::Unknown("the upstream's answer could not be read"),
    }
}
