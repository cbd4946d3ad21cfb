//! Streamed responses: an operation writes piece by piece while the client reads.
//!
//! The operation runs on a blocking thread and sends pieces through a bounded channel, so that a response of any length
//! takes constant memory. The operation ends when the client disconnects or stops reading.

use std::{
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::StreamContext;
use crate::error::{Code, Error, Result};

/// The size of a piece, in bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for the client.
const PIECES_WAITING: usize = 4;
/// How long a client may leave pieces unread.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// First and longest pause between two attempts to send a piece.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// An operation that changes nothing and streams its response.
pub trait StreamOperation: DeserializeOwned + JsonSchema + Send + 'static {
    /// The media types that it may answer with, for the OpenAPI document.
    const MEDIA_TYPES: &'static [&'static str];

    /// What the whole answer is, for the OpenAPI document; `String` where it is text.
    type Body: JsonSchema;

    /// Writes the response, reading one part at a time. An `Err` before [`Start::begin`] becomes an error response; after it,
    /// the connection is closed, so that the client does not take a part for the whole.
    fn run(self, cx: &StreamContext<'_>, start: Start) -> Result<Finished>;
}

/// The head of the response.
#[derive(Clone, Debug)]
pub struct Head {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further headers: names in lower case, values in ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// How old the data of the response is at most as it begins; `None` is not at all.
    pub data_age: Option<Duration>,
}

impl Head {
    /// A head with this `Content-Type`.
    pub fn new(content_type: &'static str) -> Self {
        Self { content_type, headers: Vec::new(), data_age: None }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// To be saved under this file name, which must be plain ASCII without quotes (RFC 6266).
    #[must_use]
    pub fn attachment(self, file_name: &str) -> Self {
        self.header("content-disposition", format!("attachment; filename=\"{file_name}\""))
    }
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// Starts a response.
pub struct Start {
    head: oneshot::Sender<Head>,
    pieces: mpsc::Sender<Piece>,
    data_age: Option<Duration>,
}

/// Writes a response.
pub struct Sink {
    buffer: Vec<u8>,
    pieces: mpsc::Sender<Piece>,
}

/// Proof that a response is complete.
pub struct Finished(());

/// The reader's end of a response.
pub struct Pieces {
    received: mpsc::Receiver<Piece>,
    ended: bool,
}

/// Both ends of a response.
pub fn channel() -> (Start, oneshot::Receiver<Head>, Pieces) {
    let (head, begun) = oneshot::channel();
    let (pieces, received) = mpsc::channel(PIECES_WAITING);
    (Start { head, pieces, data_age: None }, begun, Pieces { received, ended: false })
}

impl Start {
    /// The head will say that the data is this old.
    #[must_use]
    pub fn with_data_age(self, data_age: Option<Duration>) -> Self {
        Self { data_age, ..self }
    }

    /// Sends the head. After this an error can only close the connection.
    pub fn begin(self, head: Head) -> Result<Sink> {
        let head = Head { data_age: self.data_age, ..head };
        self.head.send(head).map_err(|_| gone())?;
        Ok(Sink { buffer: Vec::with_capacity(PIECE_BYTES), pieces: self.pieces })
    }
}

impl Sink {
    /// Writes; waits while the client is behind. An `Err` means that the client no longer reads: stop.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for part in bytes.chunks(PIECE_BYTES) {
            if self.buffer.len() + part.len() > PIECE_BYTES {
                self.flush()?;
            }
            self.buffer.extend_from_slice(part);
        }
        Ok(())
    }

    /// Whether the client still reads: for work that takes long without writing.
    pub fn is_read(&self) -> bool {
        !self.pieces.is_closed()
    }

    /// Completes the response.
    pub fn finish(mut self) -> Result<Finished> {
        self.flush()?;
        self.send(Piece::End)?;
        Ok(Finished(()))
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES));
        self.send(Piece::Bytes(full.into()))
    }

    fn send(&self, mut piece: Piece) -> Result<()> {
        let began = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            // Not `blocking_send`: it waits without limit, and this thread must not outlive a stalled client.
            match self.pieces.try_send(piece) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(_)) => return Err(gone()),
                Err(TrySendError::Full(_)) if began.elapsed() > STALL_TIMEOUT => {
                    let message = format!("the answer was not read for {} s", STALL_TIMEOUT.as_secs());
                    return Err(Error::new(Code::RequestTimeout, message));
                }
                Err(TrySendError::Full(back)) => piece = back,
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

fn gone() -> Error {
    Error::new(Code::RequestTimeout, "the client left before the answer was complete")
}

impl Pieces {
    /// The next piece; `None` at the end. An error means that the response is incomplete.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        if self.ended {
            return None;
        }
        let received = self.received.recv().await;
        self.ended = !matches!(received, Some(Piece::Bytes(_)));
        match received {
            Some(Piece::Bytes(bytes)) => Some(Ok(bytes)),
            Some(Piece::End) => None,
            None => Some(Err(Error::new(Code::Unavailable, "the answer was broken off"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader gets, and whether it ended well.
    async fn read(mut pieces: Pieces) -> (usize, bool) {
        let mut length = 0;
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(bytes) => length += bytes.len(),
                Err(_) => return (length, false),
            }
        }
        (length, true)
    }

    #[tokio::test]
    async fn an_answer_arrives_whole_and_holds_few_pieces_at_a_time() {
        let (start, begun, pieces) = channel();
        let writer = tokio::task::spawn_blocking(move || {
            let mut sink = start.begin(Head::new("text/plain").attachment("a.txt"))?;
            for _ in 0..1_000 {
                sink.write(&[b'x'; 1_000])?;
                assert!(sink.buffer.len() <= PIECE_BYTES && sink.pieces.max_capacity() == PIECES_WAITING);
            }
            sink.finish().map(drop)
        });
        assert_eq!(begun.await.unwrap().headers[0].1, "attachment; filename=\"a.txt\"");
        assert_eq!(read(pieces).await, (1_000_000, true));
        writer.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_was_not_finished_is_no_answer() {
        let (start, _begun, pieces) = channel();
        let mut sink = start.begin(Head::new("text/plain")).unwrap();
        sink.write(&vec![b'x'; PIECE_BYTES + 1]).unwrap();
        drop(sink);
        assert_eq!(read(pieces).await, (PIECE_BYTES, false));
    }

    #[tokio::test]
    async fn a_client_that_leaves_ends_the_work() {
        let (start, _begun, pieces) = channel();
        let mut sink = start.begin(Head::new("text/plain")).unwrap();
        assert!(sink.is_read());
        drop(pieces);
        assert!(!sink.is_read());
        assert!(sink.write(&vec![b'x'; PIECE_BYTES + 1]).is_err());
    }
}
