//! Keep-alive comments on quiet event streams. Reverse proxies close a connection that is quiet for a minute, and buffer a
//! response unless a header forbids it.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use http::{HeaderMap, HeaderValue, header};
use tokio::time::timeout;

/// How long a stream may be quiet before a comment is sent.
const KEEP_OPEN: Duration = Duration::from_secs(15);

/// The events, with a comment whenever none came for a while. Each item must be a complete event.
pub fn with_comments<S>(events: S) -> BoxStream<'static, Result<Bytes, Infallible>>
where
    S: Stream<Item = Result<Bytes, Infallible>> + Send + Unpin + 'static,
{
    with_comments_every(KEEP_OPEN, events)
}

fn with_comments_every<S>(pause: Duration, events: S) -> BoxStream<'static, Result<Bytes, Infallible>>
where
    S: Stream<Item = Result<Bytes, Infallible>> + Send + Unpin + 'static,
{
    let events = stream::unfold(events, move |mut events| async move {
        let event = match timeout(pause, events.next()).await {
            Ok(event) => event?,
            Err(_) => Ok(Bytes::from_static(b":\n\n")),
        };
        Some((event, events))
    });
    events.boxed()
}

/// Sets the headers of an event stream, which no proxy may cache or buffer.
pub fn set_headers(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_quiet_stream_shows_that_it_is_open_and_ends_with_its_last_event() {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let events = stream::unfold(receiver, |mut receiver: tokio::sync::mpsc::Receiver<Bytes>| async move {
            Some((Ok(receiver.recv().await?), receiver))
        });
        let mut kept = with_comments_every(Duration::from_millis(1), events.boxed());
        assert_eq!(kept.next().await.unwrap().unwrap(), ":\n\n");
        sender.send(Bytes::from_static(b"data: 1\n\n")).await.unwrap();
        drop(sender);
        let mut said = Vec::new();
        while let Some(Ok(event)) = kept.next().await {
            said.push(event);
        }
        assert_eq!(said.last().map(AsRef::as_ref), Some(&b"data: 1\n\n"[..]));
    }
}
