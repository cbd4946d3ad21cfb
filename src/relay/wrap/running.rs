//! An upstream that runs: a child, or a connection.

use std::{io, process::ExitStatus, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::DropGuard;

use super::{
    super::{exchange::Exchange, wire::Connected},
    Bounds, MAX_WAITING, Said, Source,
    lines::{read_lines, write_lines},
};
use crate::{
    error::{Code, Error, Result},
    protocol::{
        lines::{LineReader, may_be_message},
        message::INITIALIZED,
    },
    upstream::child::ChildProcess,
};

/// An upstream as the relay sees it.
pub(super) struct Running {
    pub(super) input: mpsc::Sender<String>,
    pub(super) output: mpsc::Receiver<Said>,
    behind: Behind,
    pub(super) since: Instant,
}

/// What ends with the connection.
enum Behind {
    Child(Box<ChildProcess>, JoinHandle<()>),
    Wire(DropGuard),
}

impl Running {
    pub(super) fn start(source: &Source, answer_bytes: usize) -> Result<Self> {
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

    /// Takes a line that is no message, if it is none; answers the others.
    pub(super) fn heard(&mut self, text: String) -> Option<String> {
        match &mut self.behind {
            Behind::Child(process, _) if !may_be_message(&text) => {
                process.noise(&text);
                None
            }
            _ => Some(text),
        }
    }

    /// How it ended, for who has asked something of it.
    pub(super) async fn how_it_ended(&mut self) -> String {
        match &mut self.behind {
            Behind::Child(process, _) => process.how_it_ended().await,
            Behind::Wire(_) => "its session is over".to_owned(),
        }
    }

    /// Ends its input, then the child.
    pub(super) async fn stop(self) {
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

/// Says in the log how a child ended, and ends what is left of it.
pub(super) async fn tell_of_end(child: Running, source: &Source) {
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
pub(super) async fn restart(source: &Source, exchange: &mut Exchange, bounds: Bounds) -> Result<Running> {
    let mut child = Running::start(source, bounds.answer_bytes)?;
    let Some(initialize) = exchange.new_upstream(child.input.clone()).map(str::to_owned) else { return Ok(child) };
    let ended = || Error::new(Code::Unavailable, "the server ended before it had answered the handshake");
    child.input.send(initialize.clone()).await.map_err(|_| ended())?;
    let answered = async {
        loop {
            match child.output.recv().await.and_then(|said| said.text().ok()) {
                Some(text) if Exchange::is_answer_to(&text, &initialize) => return Ok(()),
                Some(text) => {
                    if let Some(text) = child.heard(text) {
                        exchange.from_upstream(text).await;
                    }
                }
                None => return Err(ended()),
            }
        }
    };
    let answered = timeout(bounds.times.start, answered).await;
    if let Err(error) = answered.unwrap_or_else(|_| Err(ended())) {
        child.stop().await;
        return Err(error);
    }
    child.input.send(INITIALIZED.to_owned()).await.map_err(|_| ended())?;
    Ok(child)
}
