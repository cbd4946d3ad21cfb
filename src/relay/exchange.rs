//! One client and one upstream, and what goes on between them.

mod calls;
mod ends;
mod from_upstream;
mod pins;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::future::OptionFuture;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
    time::{Instant, Interval, MissedTickBehavior},
};
use zeroize::Zeroizing;

use self::calls::{CallMessage, Judged};
use super::{
    dialog::Dialogs,
    forwarding::RequestKind,
    govern::{Govern, Redact, Report},
    mid_call::OutsideCalls,
};
use crate::{
    operations::proxied::Outcome,
    protocol::{
        Client,
        code::{INTERNAL_ERROR, INVALID_REQUEST},
        lines,
        message::{self, Message},
        page::Listing,
    },
    upstream::UpstreamLimits,
};

/// Requests of a client that are under way at a time.
const MAX_REQUESTS: usize = 256;
/// How many times the time that a call waits for the upstream's tools is waited for the list itself, before it is asked
/// for again.
const LIST_PATIENCE: u32 = 10;
/// How long a cancelled call may still be answered.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// What the ids of haldir's own requests begin with.
const OWN_ID: &str = "\"haldir-";

/// The state of an exchange. Each of its functions takes one message, and sends what follows from it.
pub struct Exchange {
    governor: Arc<dyn Govern>,
    to_client: mpsc::Sender<String>,
    to_upstream: mpsc::Sender<Zeroizing<String>>,
    limits: UpstreamLimits,
    /// Calls of tools by the id that the client gave them.
    calls: HashMap<String, ToolCall>,
    /// Other requests of the client that the upstream has.
    requests: HashMap<String, RequestKind>,
    pins: Pins,
    /// The client's own list, as far as it has come.
    listing: Listing,
    /// The tools that the upstream offers over this connection, since they were last compared with their pins.
    listed_tools: Arc<HashSet<String>>,
    decisions: JoinSet<(String, Judged)>,
    /// Takes the secrets that the upstream can have out of whatever it sends.
    secrets: Redact,
    own_ids: u64,
    /// The client, as it said at the beginning.
    client: Client,
    /// Mid-call requests of the upstream that belong to no call.
    outside_calls: OutsideCalls,
    /// Questions of haldir's to the person at the client.
    dialogs: Dialogs,
    /// The client's `initialize`, and its id: what a new upstream has to be told.
    initialize: Option<String>,
    /// When the clock is looked at: also while messages come without a pause.
    clock: Interval,
    /// Changes of what the client may call, once it has listed that.
    changes: Option<watch::Receiver<u64>>,
}

/// What happens by itself.
pub enum Due {
    /// It is decided what becomes of a call.
    Judged(Result<(String, Judged), JoinError>),
    /// The client may call other tools than before.
    Changes,
    /// A time may be over.
    Clock,
}

struct ToolCall {
    message: Arc<CallMessage>,
    stage: Stage,
    since: Instant,
    /// When the upstream must have answered.
    until: Instant,
}

impl ToolCall {
    fn is_cancelled(&self) -> bool {
        self.message.cancelled.is_cancelled()
    }

    fn is_sent(&self) -> bool {
        matches!(self.stage, Stage::Sent(_))
    }

    fn is_listing(&self) -> bool {
        matches!(self.stage, Stage::Listing)
    }
}

enum Stage {
    /// Until it is known which tools there are.
    Listing,
    /// Until haldir has decided, and the person at the client, if they are asked.
    Deciding,
    /// The upstream has it; its outcome is reported here.
    Sent(Report),
}

/// Whether the upstream's tools were compared with their pins.
enum Pins {
    Unknown,
    /// The answer to this request is waited for.
    Asking {
        id: String,
        listing: Listing,
        since: Instant,
        context: Option<String>,
    },
    Known,
}

impl Exchange {
    /// Nothing has been said yet; `secrets` takes out what the upstream can have received.
    pub fn new(
        governor: Arc<dyn Govern>,
        to_client: mpsc::Sender<String>,
        to_upstream: mpsc::Sender<Zeroizing<String>>,
        limits: UpstreamLimits,
        secrets: Redact,
    ) -> Self {
        let mut clock = tokio::time::interval(Duration::from_secs(1));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            governor,
            to_client,
            to_upstream,
            limits,
            calls: HashMap::new(),
            requests: HashMap::new(),
            pins: Pins::Unknown,
            listing: Listing::default(),
            listed_tools: Arc::default(),
            decisions: JoinSet::new(),
            secrets,
            own_ids: 0,
            client: Client::default(),
            outside_calls: OutsideCalls::default(),
            dialogs: Dialogs::default(),
            initialize: None,
            clock,
            changes: None,
        }
    }

    /// A message of the client; `session` is the one that its request names outside of the message.
    pub async fn from_client(&mut self, text: &str, session: Option<&str>) {
        let message = match Message::read(text).map(Message::of_client) {
            Ok(message) => message,
            Err((code, problem)) => {
                // Under its id: its sender waits for that one.
                let id = lines::id_in(text.as_bytes());
                return self.answer(message::error(id.as_deref(), code, &problem)).await;
            }
        };
        if self.dialogs.take(&message) {
            return;
        }
        let Some(id) = message.request_id() else {
            if message.is("notifications/cancelled") {
                return self.cancel(&message).await;
            }
            // What has a method and no id is a notification: of a call of a tool, that would be one without an answer.
            if !message.is("tools/call") {
                self.pass_on(message.text()).await;
            }
            return;
        };
        let taken = self.calls.contains_key(id) || self.requests.contains_key(id);
        if taken || id.starts_with(OWN_ID) {
            let problem = "the id of a request must be a text or a number that no other request has";
            return self.answer(message::error(Some(id), INVALID_REQUEST, problem)).await;
        }
        if self.calls.len() + self.requests.len() >= MAX_REQUESTS {
            let problem = format!("{MAX_REQUESTS} requests are under way already");
            return self.answer(message::error(Some(id), INTERNAL_ERROR, &problem)).await;
        }
        self.outside_calls.restart();
        if message.is("tools/call") {
            return self.call(id, &message, text, session).await;
        }
        if message.is("initialize") {
            self.initialize = Some(message.text());
            self.client = message.speaker();
            self.tools_changed().await;
        }
        self.requests.insert(id.to_owned(), RequestKind::of(&message));
        self.pass_on(message.text()).await;
    }

    /// The next thing that happens by itself. [`Self::act`] must follow: this may be given up at any time, and that may not.
    pub async fn next(&mut self) -> Due {
        tokio::select! {
            biased;
            Some(judged) = self.decisions.join_next() => Due::Judged(judged),
            Some(Ok(())) = OptionFuture::from(self.changes.as_mut().map(watch::Receiver::changed)) => Due::Changes,
            _ = self.clock.tick() => Due::Clock,
        }
    }

    /// Does what is due.
    pub async fn act(&mut self, due: Due) {
        match due {
            Due::Judged(Ok((id, judged))) => self.judged(&id, judged).await,
            Due::Judged(Err(error)) => tracing::error!(%error, "a decision was lost"),
            Due::Changes => self.tell_of_changes().await,
            Due::Clock => self.look_at_the_clock().await,
        }
    }

    /// The upstream is gone: nothing that it was asked will be answered. `told` is what the client is told, `why` what the
    /// log is.
    pub async fn upstream_ended(&mut self, why: &'static str, told: &str) {
        self.pins = Pins::Unknown;
        self.listing = Listing::default();
        let requests: Vec<_> = self.requests.drain().map(|(id, _)| id).collect();
        for id in requests {
            self.answer(message::error(Some(&id), INTERNAL_ERROR, told)).await;
        }
        for id in self.calls_that(|call| call.is_listing() || call.is_sent()) {
            self.give_up(&id, Outcome::unknown(why), told).await;
        }
    }

    /// Goes on with a new upstream; answers what it has to be told first, if the client had initialised.
    pub fn new_upstream(&mut self, to_upstream: mpsc::Sender<Zeroizing<String>>) -> Option<&str> {
        self.to_upstream = to_upstream;
        self.initialize.as_deref()
    }

    /// The handshake was refused: a new upstream is not to be told it.
    pub fn forget_handshake(&mut self) {
        self.initialize = None;
    }

    /// Whether a message is the answer of a new upstream to the repeated `initialize`, which no client waits for.
    pub fn is_answer_to(text: &str, initialize: &str) -> bool {
        let (Ok(answer), Ok(asked)) = (Message::read(text), Message::read(initialize)) else { return false };
        answer.answers().is_some() && answer.answers() == asked.request_id()
    }

    /// The client has left: what is under way is recorded as far as it is known.
    pub async fn close(mut self) {
        for (_, call) in self.calls.drain() {
            call.message.cancelled.cancel();
            if let Stage::Sent(report) = call.stage {
                report.send(Outcome::unknown("the client left before the answer came"));
            }
        }
        while let Some(judged) = self.decisions.join_next().await {
            if let Ok((_, Ok((_, report)))) = judged {
                report.send(Outcome::unsent("the client left before the call did"));
            }
        }
        self.governor.recorded().await;
    }

    /// The ids of the calls for which this holds.
    fn calls_that(&self, holds: impl Fn(&ToolCall) -> bool) -> Vec<String> {
        self.calls.iter().filter(|(_, call)| holds(call)).map(|(id, _)| id.clone()).collect()
    }

    async fn answer(&self, text: String) {
        // Fails if the client has left, which its reader notices too.
        let _ = self.to_client.send(text).await;
    }

    async fn pass_on(&self, text: String) {
        // Fails if the upstream has ended, which its reader notices too.
        let _ = self.to_upstream.send(text.into()).await;
    }
}
