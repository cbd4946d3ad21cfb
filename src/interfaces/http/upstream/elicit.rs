//! Asking the person at the client about a call that waits: in the event stream that answers the call, which then goes
//! on with the call's own answer.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header;
use http_body_util::BodyExt;
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep_until},
};

use super::{Calling, Exchange};
use crate::{
    error::{Error, Result},
    model::ApprovalId,
    operations::proxied::{ApprovalQuestion, PendingApproval},
    protocol::{
        code::INTERNAL_ERROR,
        event_stream::message as event,
        header::{EVENT_STREAM, is_kind},
        message::{self, Message, quoted},
    },
    relay::elicitation::{self, ApprovalReply, AskSettings, UNDECIDED},
    relay::{forwarding::Dialog, govern::Decision},
};

/// Events that wait for a slow client.
const MAX_WAITING: usize = 16;

/// The stream that begins with the question.
pub(super) fn begin(
    exchange: Exchange,
    calling: Calling,
    ask: Dialog,
    question: &ApprovalQuestion,
    held: PendingApproval,
    asking: AskSettings,
) -> Result<Response> {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    // The channel is empty.
    let _ = sender.try_send(event(&elicitation::dialog(&quoted(&ask.id), &question.message)));
    let waiting = Waiting {
        request_id: question.request_id.clone(),
        held,
        until: Instant::now() + asking.within,
        tell_every: asking.tell_every,
    };
    tokio::spawn(elicit(exchange, calling, ask, waiting, sender));
    let body = stream::unfold(receiver, |mut receiver| async move {
        let event: Bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "text/event-stream")
        .header(header::CACHE_CONTROL, "no-cache")
        .header("x-accel-buffering", "no")
        .body(Body::from_stream(body))
        .map_err(Error::internal)
}

struct Waiting {
    request_id: ApprovalId,
    held: PendingApproval,
    until: Instant,
    tell_every: Duration,
}

async fn elicit(
    exchange: Exchange,
    mut calling: Calling,
    mut ask: Dialog,
    waiting: Waiting,
    sender: mpsc::Sender<Bytes>,
) {
    let mut open = interval(waiting.tell_every);
    let token = std::str::from_utf8(&calling.text).ok().and_then(|text| Message::read(text).ok()?.progress_token());
    let mut times = 0;
    let answer = loop {
        tokio::select! {
            answer = &mut ask.answer => break answer.unwrap_or(ApprovalReply::None),
            () = sleep_until(waiting.until) => {
                let cancel = message::cancelled(&quoted(&ask.id), Some("the time to decide is over"));
                // Fails if the client has left.
                let _ = sender.send(event(&cancel)).await;
                break ApprovalReply::None;
            }
            // The client has disconnected: the request stays open for a later decision.
            () = sender.closed() => return,
            _ = open.tick() => {
                // The first tick is at once.
                let told = match (&token, times) {
                    (Some(token), 1..) => event(&elicitation::waits(token, times)),
                    _ => Bytes::from_static(b":\n\n"),
                };
                times += 1;
                let _ = sender.send(told).await;
            }
        }
    };
    drop(ask);
    let Some(decided) = answer.decided(waiting.request_id, &exchange.open.client().name) else {
        let told = Decision::Told(waiting.held.text_after(UNDECIDED));
        if let Err(response) = told.admitted(&calling.id, false) {
            // As above.
            let _ = sender.send(event(&response)).await;
        }
        return;
    };
    let id = calling.id.clone();
    (calling.decided, calling.asked) = (Some(decided), true);
    let text = calling.text.clone();
    let read = std::str::from_utf8(&text).map_err(Error::internal);
    let read = read.and_then(|text| Message::read(text).map_err(|(_, problem)| Error::internal(problem)));
    let answered = match read {
        Ok(message) => Box::pin(exchange.call(calling, &message)).await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(response) => pass_on(response, &sender).await,
        Err(error) => {
            let _ = sender.send(event(&message::error(Some(&id), INTERNAL_ERROR, &error.message))).await;
        }
    }
}

/// The answer, event by event, or as one.
async fn pass_on(response: Response, sender: &mpsc::Sender<Bytes>) {
    let is_stream = is_kind(response.headers(), EVENT_STREAM);
    let body = response.into_body();
    if is_stream {
        let mut pieces = body.into_data_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
        return;
    }
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if let Ok(text) = std::str::from_utf8(&bytes) {
        let _ = sender.send(event(text)).await;
    }
}
