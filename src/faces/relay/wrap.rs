//! A wrapped server: MCP on standard input and output, with a child behind it.

use std::{collections::VecDeque, io, process::ExitStatus, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::DropGuard;

use super::{
    bridge::{Bridge, Step},
    exchange::{Exchange, Times},
    govern::{Govern, Outcome, Redact},
    message,
    waiting::{self, Room},
    wire::{Connected, Wire},
};
use crate::{
    error::{Code, Error, Result},
    faces::mcp::stdio::too_long,
    upstream::{
        UpstreamLimits,
        child::{ChildCommand, ChildProcess},
        lines::{Line, LineReader},
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

/// An upstream as the relay sees it.
struct Running {
    input: mpsc::Sender<String>,
    output: mpsc::Receiver<Said>,
    behind: Behind,
    since: Instant,
}

/// What ends with the connection.
enum Behind {
    Child(Box<ChildProcess>, JoinHandle<()>),
    Wire(DropGuard),
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

impl Running {
    fn start(source: &Source, answer_bytes: usize) -> Result<Self> {
        let command = match source {
            Source::Child(command) => command,
            Source::Wire(wire) => {
                let Connected { input, output, guard } = wire.start();
                return Ok(Self { input, output, behind: Behind::Wire(guard), since: Instant::now() });
            }
        };
        let (process, input, output) = command.start().map_err(|error| {
            let message = format!("{} cannot be started: {error}", command.program.to_string_lossy());
            Error::new(Code::InvalidArgument, message)
        })?;
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let writer = tokio::spawn(write_lines(receiver, input));
        let (said, output_messages) = mpsc::channel(MAX_WAITING);
        tokio::spawn(read_lines(LineReader::new(output, answer_bytes).without_skipping(), said));
        let behind = Behind::Child(Box::new(process), writer);
        Ok(Self { input: sender, output: output_messages, behind, since: Instant::now() })
    }

    /// How it ended, for who has asked something of it.
    async fn how_it_ended(&mut self) -> String {
        match &mut self.behind {
            Behind::Child(process, _) => process.how_it_ended().await,
            Behind::Wire(_) => "its session is over".to_owned(),
        }
    }

    /// Ends its input, then the child.
    async fn stop(self) {
        drop(self.input);
        match self.behind {
            Behind::Child(process, writer) => {
                writer.abort();
                // The pipe is closed by now, unless the writer is in the middle of an abort.
                let _ = writer.await;
                process.stop().await;
            }
            Behind::Wire(guard) => drop(guard),
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
    let (to_client, outgoing) = waiting::channel(MAX_WAITING);
    let (said, client) = mpsc::channel(MAX_WAITING);
    let relay = Relay::start(governor, Source::Child(command.clone()), secrets, bounds, bridges, (client, to_client))?;
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
    to_client: waiting::Sender,
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
        bridges: bool,
        (client, to_client): (mpsc::Receiver<Said>, waiting::Sender),
    ) -> Result<Self> {
        let child = Running::start(&source, bounds.answer_bytes)?;
        let (answers, from_exchange) = mpsc::channel(MAX_STEPS);
        let exchange = Exchange::new(governor, answers, child.input.clone(), bounds.times, secrets);
        let bridge = Bridge::new(bridges);
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
                            self.exchange.from_upstream(text).await;
                            self.take(Vec::new()).await;
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

async fn tell_of_end(child: Running, source: &Source) {
    let mut child = child;
    let status: Option<io::Result<ExitStatus>> = match &mut child.behind {
        Behind::Child(process, _) => timeout(Duration::from_millis(100), process.ended()).await.ok(),
        Behind::Wire(_) => None,
    };
    let log = match source {
        Source::Child(command) => command.log.display().to_string(),
        Source::Wire(_) => String::new(),
    };
    tracing::warn!(?status, log, server = source.name(), "the server ended; it will be started again");
    child.stop().await;
}

/// Starts the child again, and shakes hands with it in the client's words.
async fn restart(source: &Source, exchange: &mut Exchange, bounds: Bounds) -> Result<Running> {
    let mut child = Running::start(source, bounds.answer_bytes)?;
    let Some(initialize) = exchange.new_upstream(child.input.clone()).map(str::to_owned) else { return Ok(child) };
    let ended = || Error::new(Code::Unavailable, "the server ended before it had answered the handshake");
    child.input.send(initialize.clone()).await.map_err(|_| ended())?;
    let answered = async {
        loop {
            match child.output.recv().await.and_then(|said| said.text().ok()) {
                Some(text) if Exchange::is_answer_to(&text, &initialize) => return Ok(()),
                Some(text) => exchange.from_upstream(text).await,
                None => return Err(ended()),
            }
        }
    };
    let answered = timeout(bounds.times.start, answered).await;
    if let Err(error) = answered.unwrap_or_else(|_| Err(ended())) {
        child.stop().await;
        return Err(error);
    }
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned();
    child.input.send(initialized).await.map_err(|_| ended())?;
    Ok(child)
}

async fn read_lines(mut lines: LineReader<impl AsyncRead + Unpin>, said: mpsc::Sender<Said>) {
    let room = Room::default();
    loop {
        let message = match lines.next().await {
            Ok(Line::Complete(line)) if line.trim_ascii().is_empty() => continue,
            // What is no UTF-8 is no JSON: the reader of messages says so.
            Ok(Line::Complete(line)) => {
                let text = String::from_utf8_lossy(line).into_owned();
                let place = room.enter(&text).await;
                Said::Held(text, place)
            }
            Ok(Line::TooLong(id)) => Said::TooLong(id),
            Ok(Line::End) | Err(_) => return,
        };
        if said.send(message).await.is_err() {
            return;
        }
    }
}

async fn write_lines(mut messages: mpsc::Receiver<String>, mut output: impl AsyncWrite + Unpin) {
    while let Some(text) = messages.recv().await {
        if !write_line(text, &mut output).await {
            return;
        }
    }
}

async fn write_to_client(mut messages: waiting::Receiver, mut output: impl AsyncWrite + Unpin) {
    while let Some(text) = messages.recv().await {
        if !write_line(text, &mut output).await {
            return;
        }
    }
}

/// Answers whether anybody reads.
async fn write_line(mut text: String, output: &mut (impl AsyncWrite + Unpin)) -> bool {
    text.push('\n');
    let mut written = output.write_all(text.as_bytes()).await;
    if written.is_ok() {
        written = output.flush().await;
    }
    if let Err(error) = &written {
        tracing::info!(%error, "nobody reads any more");
    }
    written.is_ok()
}
