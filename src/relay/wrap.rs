//! A wrapped server: MCP on standard input and output, with a child behind it.

mod lines;
mod running;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, mpsc},
    time::{sleep, timeout},
};

use self::{
    lines::{read_lines, write_to_client},
    running::{Running, restart, tell_of_end},
};
use super::{
    bridge::{Bridge, Step},
    exchange::{Exchange, Times},
    govern::{Govern, Outcome, Redact},
    wire::Wire,
};
use crate::{
    error::{Code, Error, Result},
    protocol::{
        bounded,
        lines::{LineReader, too_long},
        message,
    },
    upstream::{UpstreamLimits, child::ChildCommand},
};

/// Messages that wait for their reader.
const MAX_WAITING: usize = 256;
/// Messages that follow from one: an answer to each request that may be under way, and some.
const MAX_STEPS: usize = 1_024;
/// A child that lived this long had started well.
const STARTED_WELL: Duration = Duration::from_secs(30);
/// How often a child that does not start well is started in a row, and the first pause; it doubles each time.
const MAX_STARTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How long the last messages have to reach a client that is leaving.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Why an upstream does not answer.
const ENDED: &str = "the server ended before it had answered";
const TOO_LARGE: &str = "the server sent a message that is larger than allowed, and was ended";

/// Where an upstream is.
#[derive(Clone)]
pub enum Source {
    /// A child of this process.
    Child(ChildCommand),
    /// A server over HTTP.
    Wire(Box<Wire>),
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::Child(command) => command.program.to_string_lossy().into_owned(),
            Self::Wire(_) => "the upstream".to_owned(),
        }
    }
}

/// What one side has said.
pub enum Said {
    /// A message.
    Message(String),
    /// One that holds its place in the room of those that wait.
    Held(String, Option<OwnedSemaphorePermit>),
    /// One that was longer than allowed, and its id, as it was written, if that is known.
    TooLong(Option<String>),
    /// No answer will come to this request.
    Failed {
        /// The request.
        id: String,
        /// What its client is told.
        told: String,
        /// What became of it, as far as it is known.
        outcome: Outcome,
    },
}

/// Within which bounds a client and an upstream are served.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long things may take.
    pub times: Times,
    /// The longest message of a client, in bytes.
    pub message_bytes: usize,
    /// The longest message of a child, in bytes. One that sends more is ended: nobody knows what it meant to answer.
    pub answer_bytes: usize,
}

impl Bounds {
    /// Those of an upstream, and of its client's messages.
    pub fn new(limits: &UpstreamLimits, message_bytes: usize) -> Self {
        let times = Times { call: limits.call_timeout, start: limits.start_timeout };
        Self { times, message_bytes, answer_bytes: limits.answer_bytes }
    }
}

impl Said {
    /// Its text; else the id of what was too long.
    fn text(self) -> std::result::Result<String, Option<String>> {
        match self {
            Self::Message(text) | Self::Held(text, _) => Ok(text),
            Self::TooLong(id) => Err(id),
            Self::Failed { id, .. } => Err(Some(id)),
        }
    }
}

/// Serves the client at `input` and `output` until it leaves, the child cannot be started again, or `shutdown` is done.
pub async fn serve(
    governor: Arc<dyn Govern>,
    command: &ChildCommand,
    secrets: Redact,
    (bounds, bridges): (Bounds, bool),
    (input, output): (impl AsyncRead + Unpin + Send + 'static, impl AsyncWrite + Unpin + Send + 'static),
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let (to_client, outgoing) = bounded::channel(MAX_WAITING);
    let (said, client) = mpsc::channel(MAX_WAITING);
    let (source, bridge) = (Source::Child(command.clone()), Bridge::new(bridges));
    let relay = Relay::start(governor, source, secrets, bounds, bridge, (client, to_client))?;
    tokio::spawn(read_lines(LineReader::new(input, bounds.message_bytes), said));
    let writer = tokio::spawn(write_to_client(outgoing, output));
    let outcome = relay.serve(shutdown).await;
    // The channel is closed, so the writer ends once it has written what there is, if anybody reads it.
    let _ = timeout(LAST_WORDS, writer).await;
    outcome
}

/// A client, and the upstream behind it.
pub struct Relay {
    source: Source,
    bounds: Bounds,
    exchange: Exchange,
    /// What the exchange has for the client.
    from_exchange: mpsc::Receiver<String>,
    bridge: Bridge,
    /// What the next upstream is to be told first.
    again: Option<String>,
    to_client: bounded::Sender,
    client: mpsc::Receiver<Said>,
    /// None while it is started again.
    child: Option<Running>,
}

impl Relay {
    /// Starts the child; the client says on the one channel, and hears on the other.
    pub fn start(
        governor: Arc<dyn Govern>,
        source: Source,
        secrets: Redact,
        bounds: Bounds,
        bridge: Bridge,
        (client, to_client): (mpsc::Receiver<Said>, bounded::Sender),
    ) -> Result<Self> {
        let child = Running::start(&source, bounds.answer_bytes)?;
        let (answers, from_exchange) = mpsc::channel(MAX_STEPS);
        let exchange = Exchange::new(governor, answers, child.input.clone(), bounds.times, secrets);
        Ok(Self { source, bounds, exchange, from_exchange, bridge, again: None, client, to_client, child: Some(child) })
    }

    /// Serves the client until it leaves, the child cannot be started again, or `shutdown` is done.
    pub async fn serve(mut self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let outcome = tokio::select! {
            outcome = self.run() => outcome,
            () = shutdown => Ok(()),
        };
        if let Err(error) = &outcome {
            self.give_up(&error.message).await;
        }
        if let Some(child) = self.child {
            child.stop().await;
        }
        self.exchange.close().await;
        while let Ok(text) = self.from_exchange.try_recv() {
            // Fails if the client has left.
            let _ = self.to_client.try_send(text);
        }
        outcome
    }

    /// Passes messages on until the client leaves or the child does not keep running.
    async fn run(&mut self) -> Result<()> {
        let mut starts = 0;
        loop {
            let Some(child) = &mut self.child else {
                self.start_again(&mut starts).await?;
                continue;
            };
            tokio::select! {
                message = self.client.recv() => match message.map(Said::text) {
                    Some(Ok(text)) => {
                        let text = message::whole(&text).unwrap_or(text);
                        let steps = self.bridge.client_said(text);
                        self.take(steps).await;
                    }
                    Some(Err(id)) => {
                        let problem = too_long(self.bounds.message_bytes);
                        self.exchange.refuse(id.as_deref(), &problem).await;
                        self.take(Vec::new()).await;
                    }
                    None => return Ok(()),
                },
                message = child.output.recv() => {
                    let message = match message {
                        Some(Said::Failed { id, told, outcome }) => {
                            self.exchange.failed(&id, &told, outcome).await;
                            self.take(Vec::new()).await;
                            continue;
                        }
                        message => message,
                    };
                    let (why, told) = match message.map(Said::text) {
                        Some(Ok(text)) => {
                            if let Some(text) = child.heard(text) {
                                self.exchange.from_upstream(text).await;
                                self.take(Vec::new()).await;
                            }
                            continue;
                        }
                        Some(Err(_)) => (TOO_LARGE, format!("{TOO_LARGE}: it has more than {} bytes", self.bounds.answer_bytes)),
                        None => (ENDED, format!("{ENDED}: {}", child.how_it_ended().await)),
                    };
                    self.again = self.bridge.upstream_ended(&told);
                    if self.again.is_some() {
                        self.exchange.forget_handshake();
                    }
                    self.exchange.upstream_ended(why, &told).await;
                    if child.since.elapsed() > STARTED_WELL {
                        starts = 0;
                    }
                    self.take(Vec::new()).await;
                    if let Some(child) = self.child.take() {
                        tell_of_end(child, &self.source).await;
                    }
                }
                () = self.exchange.next() => self.take(Vec::new()).await,
            }
        }
    }

    /// The upstream is given up: who still waits for it is told so.
    async fn give_up(&mut self, why: &str) {
        self.exchange.upstream_ended(ENDED, why).await;
        self.take(Vec::new()).await;
        let steps = self.bridge.give_up(why);
        self.take(steps).await;
    }

    /// Does what follows from a message, until nothing more does.
    async fn take(&mut self, steps: Vec<Step>) {
        let mut steps = VecDeque::from(steps);
        loop {
            while let Some(step) = steps.pop_front() {
                match step {
                    // Fails if the client has left, which its reader notices too.
                    Step::Client(text) => drop(self.to_client.send(text).await),
                    Step::Upstream(text) => self.exchange.from_client(&text, None).await,
                }
            }
            let Ok(text) = self.from_exchange.try_recv() else { return };
            steps.extend(self.bridge.upstream_said(text));
        }
    }

    async fn start_again(&mut self, starts: &mut u32) -> Result<()> {
        *starts += 1;
        if *starts > MAX_STARTS {
            let message = format!("{} does not keep running", self.source.name());
            return Err(Error::new(Code::Unavailable, message));
        }
        sleep(FIRST_PAUSE * 2_u32.pow(*starts - 1)).await;
        match restart(&self.source, &mut self.exchange, self.bounds).await {
            Ok(running) => {
                self.child = Some(running);
                let again = self.again.take().map(Step::Upstream);
                self.take(again.into_iter().collect()).await;
            }
            Err(error) => tracing::warn!(%error, "the wrapped server could not be started again"),
        }
        Ok(())
    }
}
