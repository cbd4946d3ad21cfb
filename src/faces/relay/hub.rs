//! A relayed connection that many requests share: what the upstream says finds its way to the request that it belongs
//! to.
//!
//! On one pipe only answers say whose they are. Progress is found by its token. A question, or a log message, goes to the
//! newest request that is still open, since it is most likely about that; what is about the connection as a whole goes to
//! the stream that the client holds open for that, and waits a while for one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    govern::{Govern, Redact},
    json,
    message::Message,
    wrap::{Relay, Said},
};
use crate::{error::Result, upstream::child::ChildCommand};

/// Messages that wait for their reader, or for a stream to be opened.
const MAX_WAITING: usize = 256;
/// A connection that nobody has used for so long is ended.
const IDLE: Duration = Duration::from_secs(600);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// What a request hears, up to its answer.
pub type Heard = mpsc::Receiver<String>;

/// A connection. The child behind it ends when the last one who has it drops it.
pub struct Hub {
    input: mpsc::Sender<Said>,
    routes: Arc<Mutex<Routes>>,
    _stop: DropGuard,
}

struct Routes {
    /// Requests under way, oldest first.
    open: Vec<Open>,
    /// The stream for what belongs to no request.
    listener: Option<mpsc::Sender<String>>,
    waiting: VecDeque<String>,
    used: Instant,
}

struct Open {
    id: String,
    /// The progress token, as it was written.
    token: Option<String>,
    sender: mpsc::Sender<String>,
}

impl Hub {
    /// Starts the child, and serves whoever has the hub.
    pub fn start(
        governor: Arc<dyn Govern>,
        command: ChildCommand,
        secrets: Option<Redact>,
        call_timeout: Duration,
    ) -> Result<Self> {
        let (input, client) = mpsc::channel(MAX_WAITING);
        let (to_client, outgoing) = mpsc::channel(MAX_WAITING);
        let relay = Relay::start(governor, command, secrets, call_timeout, (client, to_client))?;
        let routes = Routes { open: Vec::new(), listener: None, waiting: VecDeque::new(), used: Instant::now() };
        let routes = Arc::new(Mutex::new(routes));
        let stop = CancellationToken::new();
        let ended = stop.clone();
        tokio::spawn(async move {
            if let Err(error) = relay.serve(ended.cancelled()).await {
                tracing::warn!(%error, "a child is given up");
            }
            ended.cancel();
        });
        tokio::spawn(deliver(outgoing, Arc::clone(&routes), stop.clone()));
        Ok(Self { input, routes, _stop: stop.drop_guard() })
    }

    /// Whether the child behind it is gone for good.
    pub fn has_ended(&self) -> bool {
        self.input.is_closed()
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        lock(&self.routes)
    }

    /// Asks; `None` if a request of this id is open, or the connection has ended.
    pub async fn ask(&self, message: &Message<'_>, session: Option<String>) -> Option<Heard> {
        let id = message.request_id()?.to_owned();
        let (sender, heard) = mpsc::channel(MAX_WAITING);
        {
            let mut routes = self.routes();
            routes.used = Instant::now();
            if routes.open.iter().any(|open| open.id == id) {
                return None;
            }
            routes.open.push(Open { id: id.clone(), token: progress_token(message), sender });
            if routes.listener.is_none() {
                // A client that opens no stream of its own is asked on this one.
                let waiting = std::mem::take(&mut routes.waiting);
                waiting.into_iter().for_each(|text| routes.to_listener(text));
            }
        }
        if self.input.send(Said::Within(message.text(), session)).await.is_err() {
            self.routes().open.retain(|open| open.id != id);
            return None;
        }
        Some(heard)
    }

    /// Passes on what is not answered.
    pub async fn tell(&self, message: &Message<'_>) {
        self.routes().used = Instant::now();
        // Fails if the connection has ended, which the next request finds out.
        let _ = self.input.send(Said::Within(message.text(), None)).await;
    }

    /// The stream of what belongs to no request; the one before ends.
    pub fn listen(&self) -> Heard {
        let (sender, heard) = mpsc::channel(MAX_WAITING);
        let mut routes = self.routes();
        routes.used = Instant::now();
        while let Some(text) = routes.waiting.pop_front() {
            // There is room for as many as can wait.
            let _ = sender.try_send(text);
        }
        routes.listener = Some(sender);
        heard
    }
}

fn lock(routes: &Mutex<Routes>) -> MutexGuard<'_, Routes> {
    routes.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn deliver(mut outgoing: mpsc::Receiver<String>, routes: Arc<Mutex<Routes>>, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            text = outgoing.recv() => match text {
                Some(text) => lock(&routes).deliver(text),
                None => break,
            },
            _ = look.tick() => if lock(&routes).is_idle() {
                stop.cancel();
            },
        }
    }
    // Whoever still waits sees the stream end.
    let mut routes = lock(&routes);
    routes.open.clear();
    routes.listener = None;
}

impl Routes {
    fn is_idle(&mut self) -> bool {
        self.listener = self.listener.take().filter(|listener| !listener.is_closed());
        let is_used = !self.open.is_empty() || self.listener.is_some() || self.used.elapsed() < IDLE;
        !is_used
    }

    fn deliver(&mut self, text: String) {
        let Some((answers, about)) = self.whose(&text) else { return self.to_listener(text) };
        let Some(at) = about else {
            return tracing::debug!("an answer came that nobody waits for");
        };
        let full = self.open[at].sender.try_send(text).is_err();
        if answers || full {
            // The stream ends with its answer; a client that does not read is left.
            self.open.remove(at);
        }
    }

    /// Whether it is an answer, and which open request it belongs to; `None` if it is the connection's.
    fn whose(&self, text: &str) -> Option<(bool, Option<usize>)> {
        let message = Message::read(text).ok()?;
        if let Some(id) = message.answers() {
            return Some((true, self.open.iter().position(|open| open.id == id)));
        }
        let live = |open: &Open| !open.sender.is_closed();
        let newest = || self.open.iter().rposition(live).map(|at| (false, Some(at)));
        match message.method.as_deref() {
            Some("notifications/progress") => {
                let token =
                    json::object(message.params?).ok()?.get("progressToken").map(|token| token.get().to_owned());
                let at = self.open.iter().position(|open| open.token.is_some() && open.token == token && live(open));
                at.map(|at| (false, Some(at)))
            }
            Some("notifications/message" | "notifications/cancelled") => newest(),
            Some(_) if message.request_id().is_some() => newest(),
            _ => None,
        }
    }

    fn to_listener(&mut self, text: String) {
        let text = match &self.listener {
            Some(listener) => match listener.try_send(text) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(text) | mpsc::error::TrySendError::Closed(text)) => text,
            },
            None => text,
        };
        self.listener = None;
        // Without a listener the newest request's stream serves as well, as the protocol has it.
        if let Some(open) = self.open.iter().rev().find(|open| !open.sender.is_closed()) {
            // One that does not read loses what is not its own.
            let _ = open.sender.try_send(text);
            return;
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(text);
    }
}

/// The token that a request gives for its progress, as it was written.
fn progress_token(message: &Message<'_>) -> Option<String> {
    let meta = json::object(message.params?).ok()?.get("_meta")?;
    json::object(meta).ok()?.get("progressToken").map(|token| token.get().to_owned())
}
