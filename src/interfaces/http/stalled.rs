//! Closes the connection of a client that stops reading, which would otherwise hold its responses in memory for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// How long a client may read nothing while a write waits.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A stream whose writes fail once they have made no progress for [`STALL_TIMEOUT`].
pub(super) struct StallGuard<S = TcpStream> {
    stream: S,
    limit: Duration,
    end: Pin<Box<Sleep>>,
    /// Whether a write waits, so that `end` is set.
    waits: bool,
}

impl<S> StallGuard<S> {
    pub(super) fn new(stream: S) -> Self {
        Self::within(stream, STALL_TIMEOUT)
    }

    fn within(stream: S, limit: Duration) -> Self {
        Self { stream, limit, end: Box::pin(tokio::time::sleep(limit)), waits: false }
    }

    /// The result of a write, or an error if it has waited for too long.
    fn or_end<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waits = false;
            return outcome;
        }
        if !self.waits {
            self.waits = true;
            self.end.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.end.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client has stopped reading")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_end(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.or_end(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::poll;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What the connection holds for a client that does not read.
    const HELD: usize = 1_024;

    #[tokio::test]
    async fn a_client_that_stops_reading_is_left() {
        let (server, _client) = duplex(HELD);
        let mut guarded = StallGuard::within(server, Duration::from_millis(1));
        let left = guarded.write_all(&[0; 2 * HELD]).await.unwrap_err();
        assert_eq!(left.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_has_the_whole_time_again_after_each_piece() {
        let limit = Duration::from_secs(3_600);
        let (server, mut client) = duplex(HELD);
        let mut slow = StallGuard::within(server, limit);
        let mut piece = [0; HELD];
        slow.write_all(&piece).await.unwrap();
        for _ in 0..3 {
            let begun = Instant::now();
            assert!(poll!(pin!(slow.write(&piece))).is_pending());
            assert!(slow.end.deadline() >= begun + limit, "the time of the piece before goes on");
            let end = slow.end.deadline();
            assert!(poll!(pin!(slow.write(&piece))).is_pending());
            assert_eq!(slow.end.deadline(), end, "the time begins anew though nothing was read");
            client.read_exact(&mut piece).await.unwrap();
            slow.write_all(&piece).await.unwrap();
        }
    }
}
