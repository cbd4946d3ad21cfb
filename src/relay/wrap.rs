//! A wrapped server: MCP on standard input and output, with a child behind it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    bridge::{Bridge, Step},
    exchange::Exchange,
    govern::{Govern, Redact},
};
use crate::{
    error::{Code, Error, Result},
    protocol::{
        bounded,
        code::INVALID_REQUEST,
        lines::{LineReader, too_long},
        message::{self, INITIALIZED},
    },
    upstream::{
        UpstreamLimits,
        child::ChildCommand,
        pipe::{read_lines, write_line},
        transport::{Incoming, Source, Transport},
    },
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

/// Within which bounds a client and an upstream are served.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Those of the upstream. A child that sends a longer message is ended: haldir cannot tell which request it answers.
    pub limits: UpstreamLimits,
    /// The longest message of a client, in bytes.
    pub message_bytes: usize,
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
    // The channel is closed, so the writer ends once it has written what there is, if the client reads it.
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
    client: mpsc::Receiver<Incoming>,
    /// None while it is started again.
    child: Option<Transport>,
}

impl Relay {
    /// Starts the child; the client says on the one channel, and hears on the other.
    pub fn start(
        governor: Arc<dyn Govern>,
        source: Source,
        secrets: Redact,
        bounds: Bounds,
        bridge: Bridge,
        (client, to_client): (mpsc::Receiver<Incoming>, bounded::Sender),
    ) -> Result<Self> {
        let child = start(&source, bounds.limits.answer_bytes)?;
        let (answers, from_exchange) = mpsc::channel(MAX_STEPS);
        let exchange = Exchange::new(governor, answers, child.input.clone(), bounds.limits, secrets);
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
            let steps = tokio::select! {
                message = self.client.recv() => match message {
                    Some(Incoming::Message { text, .. }) => {
                        self.bridge.client_message(message::whole(&text).unwrap_or(text))
                    }
                    Some(Incoming::TooLong(id)) => {
                        let problem = too_long(self.bounds.message_bytes);
                        vec![Step::Client(message::error(id.as_deref(), INVALID_REQUEST, &problem))]
                    }
                    Some(Incoming::Failed { .. }) => Vec::new(),
                    None => return Ok(()),
                },
                message = child.output.recv() => {
                    match message {
                        Some(Incoming::Message { text, .. }) => if let Some(text) = child.without_noise(text) {
                            self.exchange.from_upstream(text).await;
                        },
                        Some(Incoming::Failed { id, failure }) => self.exchange.failed(&id, failure).await,
                        Some(Incoming::TooLong(_)) => {
                            let told = format!("{TOO_LARGE}: it has more than {} bytes", self.bounds.limits.answer_bytes);
                            self.upstream_ended(TOO_LARGE, &told, &mut starts).await;
                        }
                        None => {
                            let told = format!("{ENDED}: {}", child.how_it_ended().await);
                            self.upstream_ended(ENDED, &told, &mut starts).await;
                        }
                    }
                    Vec::new()
                }
                due = self.exchange.next() => {
                    self.exchange.act(due).await;
                    Vec::new()
                }
                // What a dialog has for the client.
                Some(text) = self.from_exchange.recv() => self.bridge.upstream_message(text),
            };
            self.take(steps).await;
        }
    }

    /// The child is ended, and another one will be started: requests that wait are answered with an error.
    async fn upstream_ended(&mut self, why: &'static str, told: &str, starts: &mut u32) {
        self.again = self.bridge.upstream_ended(told);
        if self.again.is_some() {
            self.exchange.forget_handshake();
        }
        self.exchange.upstream_ended(why, told).await;
        self.take(Vec::new()).await;
        let Some(child) = self.child.take() else { return };
        if child.since.elapsed() > STARTED_WELL {
            *starts = 0;
        }
        tell_of_end(child, &self.source).await;
    }

    /// The upstream is given up: waiting requests are answered with an error.
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
            steps.extend(self.bridge.upstream_message(text));
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

fn start(source: &Source, most: usize) -> Result<Transport> {
    Transport::start(source, most).map_err(|failure| Error::new(Code::InvalidArgument, failure.message))
}

async fn write_to_client(mut messages: bounded::Receiver, mut output: impl AsyncWrite + Unpin) {
    while let Some(text) = messages.recv().await {
        if !write_line(&text, &mut output).await {
            return;
        }
    }
}

/// Writes to the log how a child ended, and ends what is left of it.
async fn tell_of_end(child: Transport, source: &Source) {
    let mut child = child;
    let status = child.exit_status().await;
    let log = match source {
        Source::Child(command) => command.log.display().to_string(),
        Source::Http(_) => String::new(),
    };
    tracing::warn!(?status, log, server = source.name(), "the server ended; it will be started again");
    child.stop().await;
}

/// Starts the child again, and shakes hands with it in the client's words.
async fn restart(source: &Source, exchange: &mut Exchange, bounds: Bounds) -> Result<Transport> {
    let mut child = start(source, bounds.limits.answer_bytes)?;
    let Some(initialize) = exchange.new_upstream(child.input.clone()).map(str::to_owned) else { return Ok(child) };
    let ended = || Error::new(Code::Unavailable, "the server ended before it had answered the handshake");
    child.input.send(initialize.clone().into()).await.map_err(|_| ended())?;
    let answered = async {
        loop {
            let Some(Incoming::Message { text, .. }) = child.output.recv().await else { return Err(ended()) };
            if Exchange::is_answer_to(&text, &initialize) {
                return Ok(());
            }
            if let Some(text) = child.without_noise(text) {
                exchange.from_upstream(text).await;
            }
        }
    };
    let answered = timeout(bounds.limits.start_timeout, answered).await;
    if let Err(error) = answered.unwrap_or_else(|_| Err(ended())) {
        child.stop().await;
        return Err(error);
    }
    child.input.send(INITIALIZED.to_owned().into()).await.map_err(|_| ended())?;
    Ok(child)
}
