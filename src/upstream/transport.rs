//! The way to an upstream as a pair of message queues: a child's pipes, or requests over HTTP.

use std::{io, process::ExitStatus, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeroize::Zeroizing;

use super::{
    Failure, FailureKind,
    child::{ChildCommand, ChildProcess},
    dispatcher::Sink,
    over_http::{HttpUpstream, SESSION_OVER},
    pipe::{read_lines, write_lines},
};
use crate::protocol::lines::{LineReader, may_be_message};

/// Messages that wait for their reader, on each side.
pub(super) const MAX_WAITING: usize = 256;
/// The failure message of a program that does not run at all contains this.
pub(super) const NO_START: &str = "cannot be started";

/// Where an upstream is.
#[derive(Clone)]
pub enum Source {
    /// A child of this process.
    Child(ChildCommand),
    /// A server over HTTP.
    Http(Box<HttpUpstream>),
}

impl Source {
    /// For logs and errors; without the address, which may hold secrets.
    pub fn name(&self) -> String {
        match self {
            Self::Child(command) => command.program.to_string_lossy().into_owned(),
            Self::Http(_) => "the upstream".to_owned(),
        }
    }
}

/// What comes from one side of a connection.
pub enum Incoming {
    /// A message.
    Message {
        /// Its text.
        text: String,
        /// The request in whose answer it stands, over HTTP.
        answering: Option<String>,
        /// Its place in the queue of bytes, until it is read.
        room: Option<OwnedSemaphorePermit>,
    },
    /// A message that was longer than allowed, and its id, as it was written, if that is known.
    TooLong(Option<String>),
    /// No answer to this request will come.
    Failed {
        /// The id of the request.
        id: String,
        /// Why.
        failure: Failure,
    },
}

impl Incoming {
    /// A message.
    pub fn message(text: String) -> Self {
        Self::Message { text, answering: None, room: None }
    }
}

/// A transport that runs.
pub struct Transport {
    /// Messages to the upstream; they may hold secrets.
    pub input: mpsc::Sender<Zeroizing<String>>,
    /// Messages from it.
    pub output: mpsc::Receiver<Incoming>,
    behind: Behind,
    /// Since when it runs.
    pub since: Instant,
}

/// What ends with the connection.
enum Behind {
    Child(Box<ChildProcess>, JoinHandle<()>),
    Http(DropGuard),
}

impl Transport {
    /// Starts the child, or makes ready to send requests. A message of the upstream has at most `most` bytes.
    pub fn start(source: &Source, most: usize) -> Result<Self, Failure> {
        let (input, messages) = mpsc::channel(MAX_WAITING);
        let (incoming, output) = mpsc::channel(MAX_WAITING);
        let behind = match source {
            Source::Http(upstream) => {
                let stop = CancellationToken::new();
                upstream.start(messages, Sink::Queue(incoming), stop.clone());
                Behind::Http(stop.drop_guard())
            }
            Source::Child(command) => {
                let (process, stdin, stdout) = command.start().map_err(|error| {
                    let message = format!("{} {NO_START}: {error}", command.program.to_string_lossy());
                    Failure::unsent(FailureKind::Unavailable, message)
                })?;
                let writer = tokio::spawn(write_lines(messages, stdin));
                tokio::spawn(read_lines(LineReader::new(stdout, most).without_skipping(), incoming));
                Behind::Child(Box::new(process), writer)
            }
        };
        Ok(Self { input, output, behind, since: Instant::now() })
    }

    /// Takes a line of a child that is no message; gives back every other text.
    pub fn without_noise(&mut self, text: String) -> Option<String> {
        if may_be_message(&text) || matches!(self.behind, Behind::Http(_)) {
            return Some(text);
        }
        self.noise(&text);
        None
    }

    /// Writes a line of a child that is no message to the child's log.
    pub(super) fn noise(&mut self, line: &str) {
        if let Behind::Child(process, _) = &mut self.behind {
            process.noise(line);
        }
    }

    /// How it ended, for the client of a request that was not answered.
    pub async fn how_it_ended(&mut self) -> String {
        match &mut self.behind {
            Behind::Child(process, _) => process.how_it_ended().await,
            Behind::Http(_) => SESSION_OVER.to_owned(),
        }
    }

    /// The exit status of a child that has ended.
    pub async fn exit_status(&mut self) -> Option<io::Result<ExitStatus>> {
        match &mut self.behind {
            Behind::Child(process, _) => timeout(Duration::from_millis(100), process.ended()).await.ok(),
            Behind::Http(_) => None,
        }
    }

    /// Closes the input, then ends the child or the session.
    pub async fn stop(self) {
        drop(self.input);
        match self.behind {
            Behind::Child(process, writer) => {
                // Waits until the pipe is closed. What is being written is given up, since the child may never read it.
                writer.abort();
                let _ = writer.await;
                process.stop().await;
            }
            Behind::Http(guard) => drop(guard),
        }
    }
}
