//! Where an upstream's messages go: to the requests in flight of haldir's own connection, or to the relay's queue.

use std::time::Duration;

use tokio::{sync::mpsc, time::timeout};

use super::{
    Failure,
    in_flight::{InFlight, Taken},
    transport::Incoming,
};
use crate::protocol::{
    code::METHOD_NOT_FOUND,
    message::{self, Message},
    request::ServerRequest,
};

/// How long an upstream has to take the answer to a request of its own; else its connection is ended.
pub(super) const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// Where the messages of a session over HTTP go.
pub(super) enum Sink {
    /// To the relay, which reads them in order.
    Queue(mpsc::Sender<Incoming>),
    /// To the requests in flight. The task that reads a response dispatches it: a queue to another task would wake two more
    /// threads for each call.
    InFlight(InFlight),
}

impl Sink {
    /// Passes on a message, whose text is given; `answering` is the request in whose answer it stands.
    pub(super) async fn pass(&self, message: &Message<'_>, text: &str, answering: Option<&str>) {
        match self {
            Self::InFlight(in_flight) => in_flight.take(message, text.len(), answering).await,
            Self::Queue(queue) => {
                let (text, answering) = (text.to_owned(), answering.map(str::to_owned));
                // Fails if the connection has ended.
                let _ = queue.send(Incoming::Message { text, answering, room: None }).await;
            }
        }
    }

    /// Says that no answer to the request of this id will come.
    pub(super) async fn fail(&self, id: &str, failure: Failure) {
        match self {
            Self::InFlight(in_flight) => in_flight.failed(id, failure),
            Self::Queue(queue) => {
                // As above.
                let _ = queue.send(Incoming::Failed { id: id.to_owned(), failure }).await;
            }
        }
    }
}

impl InFlight {
    /// Hands a message of `length` bytes to its request, or answers it; `answering` is the request in whose answer it stands,
    /// over HTTP.
    pub(super) async fn take(&self, message: &Message<'_>, length: usize, answering: Option<&str>) {
        if let Some(id) = message.answers() {
            return self.answered(id, message);
        }
        let response = match self.heard(message, length, answering) {
            Taken::Done => return,
            Taken::Refused(response) => response,
            Taken::Asked(asked) => {
                let in_flight = self.clone();
                tokio::spawn(async move {
                    if let Some((response, _place)) = asked.response().await {
                        in_flight.respond(response).await;
                    }
                });
                return;
            }
            Taken::Passes => {
                let Some(id) = message.request_id() else {
                    if message.is("notifications/tools/list_changed") {
                        self.note_change();
                    }
                    return;
                };
                declined(id, message.method.as_deref().unwrap_or_default())
            }
        };
        // While there is no room for it, nothing is read.
        self.respond(response).await;
    }

    /// Answers the upstream; one that takes no answer for a while is given up.
    async fn respond(&self, response: String) {
        if timeout(TAKEN_WITHIN, self.input().send(response.into())).await.is_err() {
            tracing::warn!("an upstream does not take the answers to its requests; its connection is ended");
            self.give_up();
        }
    }
}

/// The answer to a request of the upstream that belongs to no call of a client that could be asked.
fn declined(id: &str, method: &str) -> String {
    match (method, ServerRequest::of(method)) {
        ("ping", _) => message::response(id, "{}"),
        (_, Some(ServerRequest::Elicitation)) => message::response(id, r#"{"action":"decline"}"#),
        (_, Some(ServerRequest::Roots)) => message::response(id, r#"{"roots":[]}"#),
        _ => message::error(Some(id), METHOD_NOT_FOUND, "haldir does not answer this"),
    }
}
