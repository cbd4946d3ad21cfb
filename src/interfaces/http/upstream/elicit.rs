//! Asking the person at the client about a call that waits: in the event stream that answers the call, which then goes
//! on with the call's own answer.

use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::{Calling, Exchange, stream};
use crate::{
    protocol::{
        code::INTERNAL_ERROR,
        event_stream::message as event,
        header::{EVENT_STREAM, is_kind},
        message::{self, Message},
    },
    relay::{
        dialog::Dialog,
        elicitation::UNDECIDED,
        govern::{HeldCall, told},
    },
};

/// The stream that begins with the question.
pub(super) fn begin(exchange: Exchange, calling: Calling, dialog: Dialog, held: HeldCall) -> Response {
    let (sender, events) = stream::channel();
    let response = exchange.route.streamed(events, false);
    tokio::spawn(async move {
        elicit(exchange, calling, dialog, held, &sender).await;
    });
    response
}

async fn elicit(
    exchange: Exchange,
    mut calling: Calling,
    dialog: Dialog,
    held: HeldCall,
    sender: &mpsc::Sender<Bytes>,
) {
    let text = calling.text.clone();
    // It was read before.
    let Ok(message) = Message::read_bytes(&text) else { return };
    let id = message.request_id().unwrap_or_default();
    let (client, token) = (exchange.open.client.lock().name.clone(), message.progress_token());
    let client = (client.as_str(), token.as_deref());
    // If the client leaves, the request stays open for a later decision.
    calling.decided = dialog.decision(&held, client, sender, |text| event(&text), sender.closed()).await;
    if calling.decided.is_none() {
        // Fails if the client has left, here as below.
        let _ = sender.send(event(&told(id, &held.held.text_after(UNDECIDED), false))).await;
        return;
    }
    let response = match Box::pin(exchange.call(calling, &message)).await {
        Ok(response) => response,
        Err(error) => {
            let _ = sender.send(event(&message::error(Some(id), INTERNAL_ERROR, &error.message))).await;
            return;
        }
    };
    // The answer, event by event, or as one.
    let is_stream = is_kind(response.headers(), EVENT_STREAM);
    let body = response.into_body();
    if is_stream {
        let mut pieces = body.into_data_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            if sender.send(piece).await.is_err() {
                break;
            }
        }
    } else {
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = sender.send(event(text)).await;
        }
    }
}
