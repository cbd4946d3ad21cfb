//! A connection whose client reads: one that stops ends, instead of holding what waits for it in memory for ever.

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

/// How long a client may leave bytes unread that are ready for it.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A stream whose writes fail once nothing of them was taken for [`STALL_TIMEOUT`].
pub(super) struct Unread {
    stream: TcpStream,
    limit: Duration,
    end: Pin<Box<Sleep>>,
    /// Whether a write waits, so that `end` counts.
    waits: bool,
}

impl Unread {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self::within(stream, STALL_TIMEOUT)
    }

    fn within(stream: TcpStream, limit: Duration) -> Self {
        Self { stream, limit, end: Box::pin(tokio::time::sleep(limit)), waits: false }
    }

    /// The outcome of a write, or its end if it has waited for too long.
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

impl AsyncRead for Unread {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Unread {
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
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// More than the system holds for a client that does not read.
    const LENGTH: usize = 64 * 1024 * 1024;

    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    #[tokio::test]
    async fn who_stops_reading_is_left_and_who_reads_slowly_is_not() {
        let (server, client) = connection().await;
        let mut unread = Unread::within(server, Duration::from_millis(300));
        let left = unread.write_all(&vec![0; LENGTH]).await.unwrap_err();
        assert_eq!(left.kind(), io::ErrorKind::TimedOut);
        drop(client);

        let (server, mut client) = connection().await;
        let mut slow = Unread::within(server, Duration::from_millis(300));
        let writing = tokio::spawn(async move { slow.write_all(&vec![0; LENGTH]).await });
        let (mut read, mut piece) = (0, vec![0; LENGTH / 8]);
        while read < LENGTH {
            tokio::time::sleep(Duration::from_millis(60)).await;
            read += client.read(&mut piece).await.unwrap();
        }
        writing.await.unwrap().unwrap();
    }
}
