//! The body of an upstream's answer.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::{mpsc, watch};

use super::Route;
use crate::{
    operations::proxied::Outcome,
    outbound::http_client::UpstreamResponse,
    protocol::{
        code::INTERNAL_ERROR,
        event_stream::{self, Event, EventReader},
        header::{EVENT_STREAM, is_kind},
        message::{self, Message},
    },
    relay::{forwarding::Forwarding, govern::changes},
};

/// Bytes of an answer that refuses a subscription.
const MAX_REFUSAL: usize = 1024 * 1024;
/// Events that wait for a slow client.
const MAX_WAITING: usize = 16;

/// An event stream, event by event. From 2026-07-28 on (`modern`), a client that disconnects cancels its call; `park` is how
/// long the answer may still come on another stream of the session, if there is one.
pub fn events(
    response: UpstreamResponse,
    forwarding: Forwarding,
    most: usize,
    (modern, park): (bool, Option<Duration>),
) -> BoxStream<'static, Result<Bytes, Infallible>> {
    let (sender, events) = channel();
    tokio::spawn(pump(response, forwarding, most, (modern, park), sender));
    events
}

/// Where events are put in, and the stream of them.
pub fn channel() -> (mpsc::Sender<Bytes>, BoxStream<'static, Result<Bytes, Infallible>>) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event: Bytes = receiver.recv().await?;
        Some((Ok(event), receiver))
    });
    (sender, events.boxed())
}

async fn pump(
    mut response: UpstreamResponse,
    mut forwarding: Forwarding,
    most: usize,
    (modern, park): (bool, Option<Duration>),
    sender: mpsc::Sender<Bytes>,
) {
    let mut reader = EventReader::default();
    let (mut listens, mut resumable) = (true, false);
    let ended = loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk,
            () = sender.closed(), if listens => {
                // An older client may come back for its answer, and in any case the log is to have it.
                if modern || !forwarding.awaits_answer() {
                    return;
                }
                listens = false;
                continue;
            }
        };
        let Ok(Some(chunk)) = chunk else { break "the upstream ended before it had answered" };
        reader.push(&chunk);
        while let Some(event) = reader.next_event() {
            resumable |= event_stream::has_id(&event);
            let until = forwarding.until;
            let event = passed(&mut forwarding, &event).await;
            if let Some(later) = forwarding.until.filter(|_| forwarding.until != until) {
                response.wait_until(later.into());
            }
            // Fails if the client has left, see above; one that does not read holds nothing open for ever.
            let _ = within(forwarding.until, sender.send(event)).await;
            if forwarding.is_over {
                return;
            }
        }
        if reader.pending() > most {
            return give_up(forwarding, "the upstream's answer is larger than allowed", &sender).await;
        }
        if !listens && !forwarding.awaits_answer() {
            return;
        }
        if is_late(&forwarding) {
            break LATE;
        }
    };
    if is_late(&forwarding) {
        return give_up(forwarding, LATE, &sender).await;
    }
    match park {
        // What to do now is the protocol's affair: the answer may come on another stream.
        Some(time) => {
            if let Some((id, pending)) = forwarding.call.take() {
                forwarding.open.park(id, pending, time);
            }
        }
        None if resumable => {}
        None => give_up(forwarding, ended, &sender).await,
    }
}

/// The answer to a subscription to changes of the list of tools. Where the upstream knows no subscriptions, haldir tells of
/// changes itself.
pub async fn subscribed(response: Response, id: &str, route: &Route) -> Response {
    if is_events(&response) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, MAX_REFUSAL).await else { return Response::from_parts(parts, Body::empty()) };
    let refused = std::str::from_utf8(&body).ok().and_then(|text| Message::read(text).ok());
    if !refused.is_some_and(|message| changes::knows_none(&message)) {
        return Response::from_parts(parts, Body::from(body));
    }
    let begun = event_stream::message(&changes::acknowledgement(id));
    let events = stream::iter([Ok(begun)]).chain(stream::pending()).boxed();
    route.streamed(events, true)
}

fn is_events(response: &Response) -> bool {
    response.status().is_success() && is_kind(response.headers(), EVENT_STREAM)
}

/// A stream that a client listens to, with `told` whenever it may call other tools than before. An answer that is no stream
/// stays what it is.
pub fn with_changes(response: Response, changes: Option<watch::Receiver<u64>>, told: &str) -> Response {
    let Some(changes) = changes.filter(|_| is_events(&response)) else { return response };
    let (parts, body) = response.into_parts();
    let told = event_stream::message(told);
    let state = (body.into_data_stream(), changes, told);
    let events = stream::unfold(state, |(mut events, mut changes, told)| async move {
        let event = tokio::select! {
            event = events.next() => event?.ok()?,
            Ok(()) = changes.changed() => told.clone(),
        };
        Some((Ok::<_, Infallible>(event), (events, changes, told)))
    });
    Response::from_parts(parts, Body::from_stream(events))
}

const LATE: &str = "the upstream did not answer in time";
/// How long the last word has to reach a client.
const LAST_WORD: Duration = Duration::from_secs(1);

fn is_late(forwarding: &Forwarding) -> bool {
    forwarding.until.is_some_and(|until| until <= Instant::now())
}

async fn within<T>(until: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => tokio::time::timeout_at(until.into(), work).await.ok(),
        None => Some(work.await),
    }
}

/// No answer will come: the client is told so in its place, and the log as well.
async fn give_up(mut forwarding: Forwarding, why: &'static str, sender: &mpsc::Sender<Bytes>) {
    let Some((id, report)) = forwarding.call.take() else { return };
    report.send(Outcome::unknown(why));
    let event = event_stream::message(&message::error(Some(&id), INTERNAL_ERROR, why));
    // Fails if the client has left, or does not read.
    let _ = tokio::time::timeout(LAST_WORD, sender.send(event)).await;
}

/// The event written anew: its id and its pause, and the message in it as the client may see it. Comments, other kinds of
/// events and what is no message become an empty comment, which shows that the stream is open.
async fn passed(forwarding: &mut Forwarding, event: &[u8]) -> Bytes {
    let Some(event) = std::str::from_utf8(event).ok().map(Event::read) else { return COMMENT };
    let is_message = event.is_message();
    let message = match event.data {
        Some(data) if data.is_empty() => Some(String::new()),
        Some(data) if is_message => forwarding.pass(data).await,
        _ => None,
    };
    let id = event.id.filter(|id| !forwarding.secrets.finds(id));
    event_stream::written(id.as_deref(), event.retry, event.kind.is_some(), message.as_deref())
        .map_or(COMMENT, Bytes::from)
}

const COMMENT: Bytes = Bytes::from_static(b":\n\n");
