//! A child's standard input and output, for rmcp's client: one message a line, and no line longer than allowed.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rmcp::{
    RoleClient,
    model::{RequestId, ServerJsonRpcMessage},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use serde::Deserialize;
use tokio::{
    io::AsyncWriteExt,
    process::{ChildStdin, ChildStdout},
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    FailureKind,
    capture::{Exact, token},
    child::{ChildCommand, ChildProcess},
    floor::{Floor, Taken},
    replies::{Owed, Replies},
};
use crate::protocol::lines::{Line, LineReader};

/// Requests whose answers are kept as they were written.
const MAX_AWAITED: usize = 1_024;

/// How long a line that is being written may keep the input from being closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);
/// How long a child that takes no input any more is heard.
const HEARD_OUT: Duration = Duration::from_secs(1);
/// Why a child is left that asks, and does not read.
const TOOK_NOTHING: &str = "it does not take the answers to its questions";

/// Why a child is not heard any more.
#[derive(Clone, Default)]
pub(super) struct Silence(Arc<Mutex<Option<(Reason, String)>>>);

impl Silence {
    fn set(&self, reason: Reason, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((reason, why));
    }

    pub(super) fn why(&self) -> Option<(FailureKind, String)> {
        let (reason, why) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let kind = match reason {
            Reason::Ended => FailureKind::Unavailable,
            Reason::TooLong => FailureKind::TooLarge,
        };
        Some((kind, why))
    }
}

#[derive(Clone, Copy)]
enum Reason {
    Ended,
    TooLong,
}

pub(super) struct Piped {
    process: Option<ChildProcess>,
    // Tokio's mutex: held across a write, so that lines do not mix.
    input: Arc<tokio::sync::Mutex<Option<ChildStdin>>>,
    output: LineReader<ChildStdout>,
    awaited: Arc<Mutex<Vec<(RequestId, Exact)>>>,
    most: usize,
    silence: Silence,
    floor: Floor,
    /// Whether the child has closed its input.
    deaf: CancellationToken,
    /// Until the connection is closed.
    replies: Option<Replies<()>>,
}

/// What a line of the child is.
enum Read {
    Message(Box<ServerJsonRpcMessage>),
    /// It was taken already.
    Taken,
    Unreadable,
}

impl Piped {
    /// Starts the child.
    pub(super) fn start(command: &ChildCommand, most: usize, silence: Silence, floor: Floor) -> io::Result<Self> {
        let (process, input, output) = command.start()?;
        let input = Arc::new(tokio::sync::Mutex::new(Some(input)));
        let to = Arc::clone(&input);
        let replies = Replies::new(floor.clone(), move |(), text: String| {
            let input = Arc::clone(&to);
            async move {
                // Fails if the child has ended, which its reader notices too.
                let _ = write_line(&input, text.as_bytes()).await;
            }
        });
        Ok(Self {
            process: Some(process),
            input,
            output: LineReader::new(output, most).without_skipping(),
            awaited: Arc::default(),
            most,
            silence,
            floor,
            deaf: CancellationToken::new(),
            replies: Some(replies),
        })
    }

    /// The message as rmcp may see it.
    fn read(&self, text: &str) -> Read {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = None;
        let found = awaited.iter().position(|(id, exact)| {
            shown = exact.keep(id, text);
            shown.is_some() || is_answer(id, text)
        });
        if let Some(found) = found {
            awaited.swap_remove(found);
        } else {
            drop(awaited);
            match self.floor.heard(text, None) {
                Taken::Passes => {}
                Taken::Done => return Read::Taken,
                Taken::Refused(response) => return self.owed(Owed::Now(response)),
                Taken::Asked(asked) => return self.owed(Owed::Later(asked)),
            }
        }
        let read = serde_json::from_str(shown.as_deref().unwrap_or(text));
        read.map_or(Read::Unreadable, |message| Read::Message(Box::new(message)))
    }

    fn owed(&self, owed: Owed) -> Read {
        // There is room: it was waited for. If the connection is closed meanwhile nobody waits for the answer.
        let _ = self.replies.as_ref().is_some_and(|replies| replies.take((), owed));
        Read::Taken
    }

    /// Waits until the answer to a question would find room; `false` if there will be none.
    async fn has_room(&self) -> bool {
        match &self.replies {
            Some(replies) => replies.room().await,
            None => false,
        }
    }
}

async fn write_line(input: &tokio::sync::Mutex<Option<ChildStdin>>, line: &[u8]) -> io::Result<()> {
    let mut input = input.lock().await;
    let input = input.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
    input.write_all(line).await?;
    input.write_all(b"\n").await?;
    input.flush().await
}

fn is_answer(id: &RequestId, text: &str) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        id: Option<RequestId>,
        #[serde(default)]
        method: Option<String>,
    }
    serde_json::from_str::<Envelope>(text).is_ok_and(|read| read.method.is_none() && read.id.as_ref() == Some(id))
}

impl Transport<RoleClient> for Piped {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let (input, awaited, floor) = (Arc::clone(&self.input), Arc::clone(&self.awaited), self.floor.clone());
        let deaf = self.deaf.clone();
        async move {
            let text = match Exact::of(&item) {
                Some((exact, id)) => {
                    let text = exact.body(&item)?;
                    if let Some(place) = exact.place() {
                        floor.sent(place, &id, token(&item));
                    }
                    let mut awaited = awaited.lock().unwrap_or_else(PoisonError::into_inner);
                    if awaited.len() >= MAX_AWAITED {
                        awaited.remove(0);
                    }
                    awaited.push((id, exact));
                    text
                }
                None => Zeroizing::new(serde_json::to_string(&item)?),
            };
            match write_line(&input, text.as_bytes()).await {
                // Its reader says why there is no answer.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => deaf.cancel(),
                written => written?,
            }
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if !self.has_room().await {
                drop(self.process.take());
                self.silence.set(Reason::Ended, TOOK_NOTHING.to_owned());
                return None;
            }
            let deaf = &self.deaf;
            let gone = async {
                deaf.cancelled().await;
                tokio::time::sleep(HEARD_OUT).await;
            };
            let line = tokio::select! {
                biased;
                line = self.output.next() => line,
                // It is asked in vain, and may say things for ever.
                () = gone => Ok(Line::End),
            };
            match line {
                Ok(Line::Complete(line)) if line.trim_ascii().is_empty() => {}
                Ok(Line::Complete(line)) => {
                    let text = String::from_utf8_lossy(line).into_owned();
                    match self.read(&text) {
                        Read::Message(message) => return Some(*message),
                        Read::Taken => {}
                        Read::Unreadable => {
                            if let Some(process) = &mut self.process {
                                process.noise(&text);
                            }
                        }
                    }
                }
                // Nobody knows whose answer that was, and it may never end.
                Ok(Line::TooLong(_)) => {
                    drop(self.process.take());
                    self.silence.set(Reason::TooLong, format!("the answer has more than {} bytes", self.most));
                    return None;
                }
                Ok(Line::End) => {
                    let how = match &mut self.process {
                        Some(process) => process.how_it_ended().await,
                        None => "the child ended".to_owned(),
                    };
                    self.silence.set(Reason::Ended, how);
                    return None;
                }
                Err(error) => {
                    self.silence.set(Reason::Ended, format!("the child can no longer be heard: {error}"));
                    return None;
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        // What is being written is given up, since the child may never read it.
        drop(self.replies.take());
        if let Ok(mut input) = tokio::time::timeout(CLOSED_WITHIN, self.input.lock()).await {
            input.take();
        }
        if let Some(process) = self.process.take() {
            process.stop().await;
        }
        Ok(())
    }
}
