//! One upstream connection that many client requests share. It assigns each message of the upstream to its request.
//!
//! Answers are assigned by id and progress by token. A mid-call request or a log message names no request: it goes to the
//! newest one in flight. Messages about the whole connection go to the client's listening stream, or wait for one.

mod in_flight;
mod request;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::AbortOnDropHandle,
};

use self::{
    in_flight::InFlight,
    request::{ClientNames, Request, named},
};
use super::{
    bridge::Bridge,
    govern::{Govern, Redact},
    mid_call::are_one_clients,
    wrap::{Bounds, Relay},
};
use crate::{
    error::Result,
    protocol::{
        bounded::{self, NotTaken},
        edit, json,
        message::{self, Message},
        meta::{HALDIR_SESSION, PROGRESS_TOKEN},
    },
    upstream::{
        Turn,
        transport::{Incoming, Source},
    },
};

/// Messages that wait for their reader, or for a stream to be opened.
const MAX_WAITING: usize = 256;
/// Bytes of those for which no stream is open.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;
/// A connection without requests for this long is ended.
const IDLE: Duration = Duration::from_secs(600);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// The messages for a request, up to its answer.
pub struct Messages {
    receiver: bounded::Receiver,
    /// What is cancelled when this is dropped: from 2026-07-28 on, a client that disconnects cancels its request.
    leaving: Option<InFlight>,
    /// Ends its turn, and the request itself, in good time; the turn ends with this too.
    _clock: Option<AbortOnDropHandle<()>>,
}

/// How long a request may take, and the turn that it holds meanwhile.
pub struct TimeLimit {
    /// Its turn, if it needs one, and how long that may last.
    pub turn: (Option<Turn>, Duration),
    /// Until it is answered as too late.
    pub time: Duration,
}

impl Messages {
    /// The next message; the answer is the last one.
    pub async fn next(&mut self) -> Option<String> {
        self.receiver.recv().await
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.leaving.as_ref().map(InFlight::take_back);
    }
}

/// A connection. The child behind it ends with the last reference to it.
pub struct Multiplexer {
    input: mpsc::Sender<Incoming>,
    routes: Arc<Mutex<Routes>>,
    stop: CancellationToken,
    _stop: DropGuard,
}

struct Routes {
    /// Requests in flight, oldest first.
    open: Vec<Request>,
    /// The stream for what belongs to no request.
    listener: Option<bounded::Sender>,
    waiting: VecDeque<String>,
    used: Instant,
    /// Requests so far.
    numbers: u64,
    /// Whether requests of several clients share one pipe.
    shared: bool,
}

impl Multiplexer {
    /// Starts the child, and serves requests.
    pub fn start(
        governor: Arc<dyn Govern>,
        source: Source,
        secrets: Redact,
        bounds: Bounds,
        bridges: bool,
    ) -> Result<Self> {
        let (input, client) = mpsc::channel(MAX_WAITING);
        let (to_client, outgoing) = bounded::channel(MAX_WAITING);
        // Over HTTP, what belongs to a request stands in its answer.
        let piped = bridges && matches!(source, Source::Child(_));
        let bridge = Bridge::new(bridges).shared(piped);
        let relay = Relay::start(governor, source, secrets, bounds, bridge, (client, to_client))?;
        let (open, waiting, used) = (Vec::new(), VecDeque::new(), Instant::now());
        let routes = Routes { open, listener: None, waiting, used, numbers: 0, shared: piped };
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
        Ok(Self { input, routes, stop: stop.clone(), _stop: stop.drop_guard() })
    }

    /// Whether the child behind it is gone for good.
    pub fn has_ended(&self) -> bool {
        self.input.is_closed()
    }

    /// Ends the connection and the child behind it, even if references to it remain.
    pub fn end(&self) {
        self.stop.cancel();
    }

    /// Asks; `None` if a request of this id is open, or the connection has ended. A client that shares the connection
    /// with others gives ids and tokens that others may give too: on the way they are ours. What is allowed nothing may
    /// last as long as it likes.
    pub async fn ask(
        &self,
        message: &Message<'_>,
        session: Option<&str>,
        shared: bool,
        allowed: Option<TimeLimit>,
    ) -> Option<Messages> {
        let own = message.request_id()?.to_owned();
        let token = message.progress_token();
        let (sender, receiver) = bounded::channel(MAX_WAITING);
        let (number, text) = {
            let mut routes = self.routes.lock();
            routes.used = Instant::now();
            routes.numbers += 1;
            let number = routes.numbers;
            let id = if shared { format!("\"s{number}\"") } else { own.clone() };
            if routes.open.iter().any(|open| open.id == id) {
                return None;
            }
            let sent = if shared { token.as_ref().map(|_| id.clone()) } else { token.clone() };
            let text = sent_as(message, &id, sent.as_deref(), session);
            let client = shared.then_some(ClientNames { id: own, token });
            let is_subscription = message.is("subscriptions/listen");
            let session = session_of(message, session);
            routes.open.push(Request {
                number,
                id,
                token: sent,
                client,
                sender,
                progressed: Instant::now(),
                is_subscription,
                session,
            });
            if routes.listener.is_none() {
                // A client that opens no stream of its own is asked on this one.
                let waiting = std::mem::take(&mut routes.waiting);
                for text in waiting {
                    routes.hand_to_listener(text);
                }
            }
            (number, text)
        };
        let in_flight = InFlight { number, input: self.input.clone(), routes: Arc::clone(&self.routes) };
        // Before it leaves: an upstream that takes nothing is late too.
        let clock = allowed.map(|TimeLimit { turn, time }| in_flight.clone().watch(turn, time));
        let clock = clock.map(|clock| AbortOnDropHandle::new(tokio::spawn(clock)));
        if self.input.send(Incoming::message(text)).await.is_err() {
            self.routes.lock().open.retain(|open| open.number != number);
            return None;
        }
        // Only then is it made: it takes the request back when it is dropped.
        Some(Messages { receiver, leaving: shared.then_some(in_flight), _clock: clock })
    }

    /// Passes on what is not answered.
    pub async fn tell(&self, message: &Message<'_>, shared: bool) {
        self.routes.lock().used = Instant::now();
        let text =
            if message.is("notifications/cancelled") { self.cancelled(message, shared) } else { Some(message.text()) };
        let Some(text) = text else { return };
        // Fails if the connection has ended, which the next request finds out.
        let _ = self.input.send(Incoming::message(text)).await;
    }

    /// Ends the stream of a request that its client cancels. Answers the notification for the upstream, if it gets one.
    fn cancelled(&self, message: &Message<'_>, shared: bool) -> Option<String> {
        let named = message.cancelled_id();
        let mut routes = self.routes.lock();
        let is_it = |open: &Request| match &open.client {
            Some(client) => shared && Some(&client.id) == named.as_ref(),
            None => !shared && Some(&open.id) == named.as_ref(),
        };
        let mut found = routes.open.iter().enumerate().filter(|(_, open)| is_it(open)).map(|(at, _)| at);
        let (at, another) = (found.next(), found.next());
        if shared && another.is_some() {
            // Several clients gave this id, and it cannot be attributed; each can close its stream instead.
            return None;
        }
        let open = at.map(|at| routes.open.remove(at));
        match open {
            Some(open) if shared => {
                let params = edit::with(message.params, &[("requestId", &open.id)]);
                Some(message::notification("notifications/cancelled", &params))
            }
            _ => (!shared).then(|| message.text()),
        }
    }

    /// The stream of what belongs to no request; the one before ends.
    pub fn listen(&self) -> Messages {
        let (sender, heard) = bounded::channel(MAX_WAITING);
        let mut routes = self.routes.lock();
        routes.used = Instant::now();
        while let Some(text) = routes.waiting.pop_front() {
            // There is room for as many as can wait.
            let _ = sender.try_send(text);
        }
        routes.listener = Some(sender);
        Messages { receiver: heard, leaving: None, _clock: None }
    }
}

async fn deliver(mut outgoing: bounded::Receiver, routes: Arc<Mutex<Routes>>, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            text = outgoing.recv() => match text {
                Some(text) => routes.lock().deliver(text),
                None => break,
            },
            _ = look.tick() => if routes.lock().is_idle() {
                stop.cancel();
            },
        }
    }
    // Waiting clients see their streams end.
    let mut routes = routes.lock();
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
        let Some((answers, about)) = self.whose(&text) else { return self.hand_to_listener(text) };
        let Some(at) = about else {
            return tracing::debug!("a message came that no client waits for");
        };
        let open = &mut self.open[at];
        // Whatever the upstream says to a request shows that it is at it.
        open.progressed = Instant::now();
        let told = open.sender.try_send(open.told(text, answers));
        if !answers {
            // A client that does not read as fast as the upstream sends loses what is not its answer.
            return;
        }
        // The stream ends with its answer.
        let open = self.open.remove(at);
        if let Err(NotTaken(answer)) = told {
            // Fails if the client leaves before it has read what waits.
            tokio::spawn(async move { open.sender.send(answer).await });
        }
    }

    /// Whether it is an answer, and which open request it belongs to; `None` if it is the connection's.
    fn whose(&self, text: &str) -> Option<(bool, Option<usize>)> {
        let message = Message::read(text).ok()?;
        if let Some(id) = message.answers() {
            return Some((true, self.open.iter().position(|open| open.id == id)));
        }
        let live = |open: &Request| !open.sender.is_closed();
        let newest = || self.open.iter().rposition(live).map(|at| (false, Some(at)));
        if let Some(id) = named(&message)
            && let Some(at) = self.open.iter().position(|open| open.is_named(&id, &message))
        {
            return Some((false, Some(at)));
        }
        match message.method.as_deref() {
            Some("notifications/progress") => {
                let token = message.named_token();
                let at = self.open.iter().position(|open| open.token.is_some() && open.token == token && live(open));
                at.map(|at| (false, Some(at)))
            }
            Some("notifications/message") if self.shared => Some((false, self.only())),
            Some("notifications/message" | "notifications/cancelled") => newest(),
            Some(_) if message.request_id().is_some() => newest(),
            _ => None,
        }
    }

    /// The newest request, if all that are under way are of one client as far as that can be told: what names none of them
    /// is heard by the client that it is for, or by none.
    fn only(&self) -> Option<usize> {
        let is_asked = |open: &&Request| !open.is_subscription && !open.sender.is_closed();
        let is_one = are_one_clients(self.open.iter().filter(is_asked).map(|open| &open.session));
        self.open.iter().rposition(|open| is_asked(&open)).filter(|_| is_one)
    }

    fn hand_to_listener(&mut self, text: String) {
        let text = match &self.listener {
            Some(listener) => match listener.try_send(text) {
                Ok(()) => return,
                Err(NotTaken(text)) => text,
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
        self.waiting.push_back(text);
        let mut bytes: usize = self.waiting.iter().map(String::len).sum();
        while self.waiting.len() > MAX_WAITING || bytes > MAX_WAITING_BYTES {
            bytes -= self.waiting.pop_front().map_or(bytes, |oldest| oldest.len());
        }
    }
}

/// The session of haldir's that a request names in itself, or else outside of it.
fn session_of(message: &Message<'_>, session: Option<&str>) -> Option<String> {
    let named = message.meta(HALDIR_SESSION).map(edit::value);
    named.as_ref().and_then(serde_json::Value::as_str).or(session).map(str::to_owned)
}

/// The request as it goes on: under this id, with this token, and with the session that was named outside of it.
fn sent_as(message: &Message<'_>, id: &str, token: Option<&str>, session: Option<&str>) -> String {
    let meta = edit::meta(message.params);
    let session = session.filter(|_| message.is("tools/call")).map(message::quoted);
    let mut put: Vec<_> = token.map(|token| (PROGRESS_TOKEN, token)).into_iter().collect();
    if edit::member(meta, HALDIR_SESSION).is_none() {
        put.extend(session.as_deref().map(|session| (HALDIR_SESSION, session)));
    }
    let readable = message.params.is_none_or(|params| json::object(params).is_ok());
    if put.is_empty() || !readable {
        return message.with_id(id).text();
    }
    let meta = edit::with(meta, &put);
    let params = edit::with(message.params, &[("_meta", &meta)]);
    message::request(id, message.method.as_deref().unwrap_or_default(), &params)
}
