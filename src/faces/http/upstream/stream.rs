//! The body of an upstream's answer.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::header;
use tokio::sync::mpsc;

use crate::faces::relay::{
    events::{self, EventReader},
    passing::Passing,
};

/// Events that wait for a slow client.
const MAX_WAITING: usize = 16;

/// How a stream ends.
#[derive(Clone, Copy)]
pub struct Manners {
    /// From 2026-07-28 on, a client that leaves takes its call back.
    pub modern: bool,
    /// How long an answer may still come on another stream of the session, if there is one.
    pub park: Option<Duration>,
}

/// Whether the answer is an event stream.
pub fn is_event_stream(response: &reqwest::Response) -> bool {
    let stated = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    stated.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
}

/// An answer that is one message, or nothing.
pub async fn whole(mut response: reqwest::Response, passing: &mut Passing, most: usize) -> Result<Bytes, &'static str> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| "the upstream's answer broke off")? {
        if body.len() + chunk.len() > most {
            return Err("the upstream's answer is larger than allowed");
        }
        body.extend_from_slice(&chunk);
    }
    let body = body.freeze();
    let Ok(text) = std::str::from_utf8(&body) else { return Err("the upstream's answer is no UTF-8") };
    Ok(passing.pass(text).map_or_else(|| body.clone(), Bytes::from))
}

/// An event stream, event by event.
pub fn events(response: reqwest::Response, passing: Passing, most: usize, manners: Manners) -> Body {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    tokio::spawn(pump(response, passing, most, manners, sender));
    Body::from_stream(stream::unfold(receiver, |mut receiver| async move {
        let event: Bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    }))
}

async fn pump(
    mut response: reqwest::Response,
    mut passing: Passing,
    most: usize,
    manners: Manners,
    sender: mpsc::Sender<Bytes>,
) {
    let mut reader = EventReader::default();
    let mut listens = true;
    loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk,
            () = sender.closed(), if listens => {
                // An older client may come back for its answer, and in any case the log is to have it.
                if manners.modern || !passing.awaits_answer() {
                    return;
                }
                listens = false;
                continue;
            }
        };
        // Whoever waits for the answer sees the stream end: what to do then is the protocol's affair.
        let Ok(Some(chunk)) = chunk else { break };
        reader.push(&chunk);
        while let Some(event) = reader.next_event() {
            let event = passed(&mut passing, event);
            // Fails if the client has left, see above.
            let _ = sender.send(event).await;
        }
        let late = passing.until.is_some_and(|until| until < Instant::now());
        if reader.pending() > most || late || (!listens && !passing.awaits_answer()) {
            return;
        }
    }
    if let (Some((id, pending)), Some(time)) = (passing.call.take(), manners.park) {
        passing.open.park(id, pending, time);
    }
}

fn passed(passing: &mut Passing, event: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&event) else { return Bytes::from_static(b": dropped, it was no UTF-8\n\n") };
    let Some(data) = events::data(text).filter(|data| !data.is_empty()) else { return event };
    match passing.pass(&data) {
        Some(changed) => Bytes::from(events::with_data(text, &changed)),
        None => event,
    }
}
