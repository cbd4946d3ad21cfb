//! What an upstream answers over HTTP, on its way to the client.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    dialog::Dialogs,
    govern::{self, Govern, Redact, Report, changes},
    mid_call::{self, OutsideCalls},
};
use crate::{
    operations::proxied::{NotForwarded, Outcome, TOO_MANY},
    protocol::{
        Client,
        code::INTERNAL_ERROR,
        message::{self, Message},
        request::ServerRequest,
    },
    upstream::{LONGEST, Turn},
};

/// What a protocol session of an upstream has open.
#[derive(Default)]
pub struct SessionState {
    /// The client, as it said at the beginning.
    pub client: Mutex<Client>,
    /// Questions of haldir's to the person at the client.
    pub dialogs: Dialogs,
    /// Mid-call requests of the upstream that belong to no call.
    pub outside_calls: OutsideCalls,
    /// Calls whose stream has ended before their answer came: it may come on another stream.
    parked: Mutex<HashMap<String, Report>>,
    /// The client's request for the stream of what belongs to no request, until the upstream has answered it.
    listening: Mutex<Option<CancellationToken>>,
}

/// How long a request waits for the client's listening to have begun that came before it.
const LISTENED_WITHIN: Duration = Duration::from_secs(2);

impl SessionState {
    /// The client begins to listen; it has begun once this is dropped.
    pub fn listening(&self) -> DropGuard {
        let begun = CancellationToken::new();
        *self.listening.lock() = Some(begun.clone());
        begun.drop_guard()
    }

    /// Waits until a client listens that has begun to: a request that it makes after that must not overtake it.
    pub async fn listened(&self) {
        let Some(begun) = self.listening.lock().clone() else { return };
        // An upstream that has nothing to say may answer with its first event only.
        let _ = tokio::time::timeout(LISTENED_WITHIN, begun.cancelled()).await;
        // It is waited for once.
        begun.cancel();
    }

    /// Keeps a call open for so long.
    pub fn park(self: &Arc<Self>, id: String, report: Report, time: Duration) {
        self.parked.lock().insert(id.clone(), report);
        let open = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            // Dropped, if it is still there, and so recorded as unknown.
            drop(open.parked(&id));
        });
    }

    /// Whether a call of this id is open whose answer may come on any stream.
    pub fn is_parked(&self, id: &str) -> bool {
        self.parked.lock().contains_key(id)
    }

    fn parked(&self, id: &str) -> Option<Report> {
        self.parked.lock().remove(id)
    }
}

/// What a request of a client asks for, as far as haldir looks into the answer.
#[derive(Clone, PartialEq, Eq)]
pub enum RequestKind {
    /// A page of the list of tools, asked for with this cursor, as it was written.
    ToolList(Option<String>),
    /// A page of another list.
    List,
    /// What the upstream has: `initialize` or `server/discover`.
    Introduction,
    /// Changes of the list of tools, as long as the request is in flight (2026-07-28).
    Subscription,
    /// Anything else.
    Other,
}

impl RequestKind {
    /// That of a request.
    pub fn of(message: &Message<'_>) -> Self {
        match message.method.as_deref() {
            Some("tools/list") => {
                let cursor = message.param("cursor").map(RawValue::get).filter(|cursor| *cursor != "null");
                Self::ToolList(cursor.map(str::to_owned))
            }
            Some("prompts/list" | "resources/list" | "resources/templates/list") => Self::List,
            Some("initialize" | "server/discover") => Self::Introduction,
            _ if changes::subscribes(message) => Self::Subscription,
            _ => Self::Other,
        }
    }
}

/// One answer: a JSON body or an event stream, message by message.
pub struct Forwarding {
    /// Decides which tools are shown.
    pub governor: Arc<dyn Govern>,
    /// The call that is to be answered, by its id.
    pub call: Option<(String, Report)>,
    /// Takes secrets out of what comes.
    pub secrets: Redact,
    /// Why an error that the upstream answers with does not mean that the call was not carried out: the upstream itself has
    /// failed, and may have done so in the middle of it.
    pub unsure: Option<&'static str>,
    /// The id of a request that is no call: its answer is that of no other.
    pub own: Option<String>,
    /// What its request asks for, if that is no call.
    pub kind: RequestKind,
    /// Whether nothing was asked, so that only the status of the answer counts.
    pub unasked: bool,
    /// What the protocol session has open.
    pub open: Arc<SessionState>,
    /// When the answer must have come. It is later with each word of the upstream on the call's progress.
    pub until: Option<Instant>,
    /// How long the upstream may be silent.
    pub silence: Duration,
    /// When the request came.
    pub begun: Instant,
    /// The turn of the request, until its answer is through.
    pub turn: Option<Turn>,
    /// Sends the upstream a message besides: the error for a request that is not forwarded. It does not wait.
    pub to_upstream: Arc<dyn Fn(String) + Send + Sync>,
    /// Whether the upstream has asked the client too often: nothing more is forwarded.
    pub is_over: bool,
}

impl Forwarding {
    /// An answer without a time limit, to no request in particular.
    pub fn new(governor: &Arc<dyn Govern>, secrets: &Redact, open: &Arc<SessionState>, silence: Duration) -> Self {
        Self {
            governor: Arc::clone(governor),
            call: None,
            secrets: secrets.clone(),
            unsure: None,
            own: None,
            kind: RequestKind::Other,
            unasked: false,
            open: Arc::clone(open),
            until: None,
            silence,
            begun: Instant::now(),
            turn: None,
            to_upstream: Arc::new(drop),
            is_over: false,
        }
    }

    /// A message, or a batch of them, as the client may see it: written anew from what was understood. `None` if nothing of it
    /// was.
    pub async fn pass(&mut self, text: String) -> Option<String> {
        let is_batch = text.trim_start().starts_with('[');
        let mut passed = Vec::new();
        for text in message::messages(text) {
            // A batch may have more.
            if self.is_over {
                break;
            }
            passed.extend(self.pass_one(text).await);
        }
        match (passed.is_empty(), is_batch) {
            (true, _) => None,
            (false, true) => Some(format!("[{}]", passed.join(","))),
            (false, false) => passed.pop(),
        }
    }

    async fn pass_one(&mut self, text: String) -> Option<String> {
        let is_call = |id: &str| self.call.as_ref().is_some_and(|(call, _)| call == id) || self.open.is_parked(id);
        let may_list = Redact::may_list(&text, is_call);
        let text = self.secrets.message(text, may_list).await?;
        let message = Message::read(&text).ok()?;
        let nameless =
            message.method.is_none() && message.error.is_some() && message.answers().is_none_or(|id| id == "null");
        // An answer to what could not be read is the answer to the request that it comes back to.
        let renamed = self.id().filter(|_| nameless).map(|id| message.with_id(&id).text());
        let message = match &renamed {
            Some(renamed) => Message::read(renamed).ok()?,
            None => message,
        };
        let text: &str = renamed.as_deref().unwrap_or(&text);
        if let Some((kind, id)) = mid_call::request_in(&message) {
            return self.asked(kind, id, &message).await;
        }
        let Some(id) = message.answers() else {
            if let (Some(until), true) = (&mut self.until, message.is("notifications/progress")) {
                let longest = self.begun + LONGEST.max(self.silence);
                *until = (*until).max(Instant::now() + self.silence).min(longest);
            }
            let promised = (self.kind == RequestKind::Subscription).then(|| changes::acknowledging(&message)).flatten();
            return Some(promised.unwrap_or_else(|| text.to_owned()));
        };
        let report = match self.call.take() {
            Some((of, report)) if of == id => Some(report),
            other => {
                self.call = other;
                if self.own.as_deref() == Some(id) { None } else { self.open.parked(id) }
            }
        };
        let Some(report) = report else {
            let outside = || self.open.outside_calls.get(&*self.governor);
            if let Some(text) = mid_call::in_response(outside, &message).await {
                return Some(text);
            }
            if self.kind == RequestKind::Introduction {
                return Some(changes::promising(text).unwrap_or_else(|| text.to_owned()));
            }
            // Whatever was asked for: a list may be answered on another stream than the one that asked.
            let shown = govern::shown_list(&*self.governor, text);
            return Some(shown.map_or_else(|| text.to_owned(), |shown| shown.text));
        };
        Some(report.answer(&message, self.unsure).await.unwrap_or_else(|| text.to_owned()))
    }

    /// A request of the upstream to the client, as it is forwarded; or, once it has asked too often, the error that ends the
    /// call.
    async fn asked(&mut self, kind: ServerRequest, id: &str, message: &Message<'_>) -> Option<String> {
        let requests = match &self.call {
            Some((_, report)) => report.requests(),
            None => self.open.outside_calls.get(&*self.governor),
        };
        let refused = match mid_call::forward(requests.as_deref(), kind, message).await {
            Ok(text) => return Some(text),
            Err(refused) => refused,
        };
        (self.to_upstream)(refused.response(id));
        self.is_over = matches!(refused, NotForwarded::TooMany);
        let (call, report) = self.call.take_if(|_| self.is_over)?;
        self.open.outside_calls.exhaust(requests);
        (self.to_upstream)(message::cancelled(&call, Some(TOO_MANY)));
        report.send(Outcome::unknown(TOO_MANY));
        Some(message::error(Some(&call), INTERNAL_ERROR, &mid_call::not_answered(TOO_MANY)))
    }

    /// The id of the request.
    pub fn id(&self) -> Option<String> {
        self.call.as_ref().map(|(id, _)| id).or(self.own.as_ref()).cloned()
    }

    /// The upstream answers with no message that reaches the client: reports what is known of a call. Returns the id of the
    /// request.
    pub fn end(&mut self, outcome: Outcome) -> Option<String> {
        let id = self.id();
        if let Some((_, report)) = self.call.take() {
            report.send(outcome);
        }
        id
    }

    /// Whether an answer is still to come that haldir has to see.
    pub fn awaits_answer(&self) -> bool {
        self.call.is_some()
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use tokio::sync::watch;

    use super::*;
    use crate::{
        error::Result,
        operations::proxied::MidCallRequests,
        relay::govern::{CallAttempt, Decision},
    };

    struct Nobody;

    impl Govern for Nobody {
        fn observe(&self, _: Vec<Box<RawValue>>) -> BoxFuture<'_, Result<()>> {
            unreachable!()
        }

        fn visible(&self, _: &[&RawValue]) -> Result<Vec<bool>> {
            unreachable!()
        }

        fn admit(&self, _: CallAttempt) -> BoxFuture<'_, Result<Decision>> {
            unreachable!()
        }

        fn recorded(&self) -> BoxFuture<'_, ()> {
            unreachable!()
        }

        fn requests_outside_calls(&self) -> Result<MidCallRequests> {
            unreachable!()
        }

        fn changes(&self) -> BoxFuture<'_, Option<watch::Receiver<u64>>> {
            unreachable!()
        }
    }

    #[tokio::test]
    async fn no_request_overtakes_the_clients_listening() {
        let open = Arc::new(SessionState::default());
        open.listened().await;
        let begun = open.listening();
        let mut waits = Box::pin(open.listened());
        assert!(futures::poll!(waits.as_mut()).is_pending());
        drop(begun);
        waits.await;
    }

    #[tokio::test]
    async fn a_call_that_is_parked_is_answered_by_no_other_requests_answer() {
        let (open, outcome) = (Arc::new(SessionState::default()), Arc::new(Mutex::new(None)));
        let kept = Arc::clone(&outcome);
        let report = Report::new(move |outcome| *kept.lock() = Some(outcome), None, None);
        open.park("5".to_owned(), report, Duration::from_secs(60));
        let governor: Arc<dyn Govern> = Arc::new(Nobody);
        let forwarding = |own: Option<&str>| Forwarding {
            own: own.map(str::to_owned),
            ..Forwarding::new(&governor, &Redact::default(), &open, Duration::ZERO)
        };
        let error = r#"{"jsonrpc":"2.0","id":5,"error":{"code":-32601,"message":"no/such_method"}}"#;
        assert!(forwarding(Some("5")).pass(error.to_owned()).await.is_some());
        assert!(outcome.lock().is_none() && open.is_parked("5"));
        let result = r#"{"jsonrpc":"2.0","id":5,"result":{"content":[]}}"#;
        assert!(forwarding(Some("6")).pass(result.to_owned()).await.is_some());
        assert!(matches!(&*outcome.lock(), Some(Outcome::Answered(_))) && !open.is_parked("5"));
    }
}
