//! Mid-call requests of an upstream in the relay: counted, logged and named as those of `upstream.tool` are, and forwarded in
//! the upstream's own words. The relay removes secrets from every message before it comes here.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::govern::Govern;
use crate::{
    operations::proxied::{MidCallRequests, NOT_LOGGED, NotForwarded},
    protocol::{
        code::INTERNAL_ERROR,
        message::{self, Message},
        request::{InputRequired, ServerRequest},
    },
};

/// The kind of mid-call request that a message is, and its id.
pub fn request_in<'m>(message: &'m Message<'_>) -> Option<(ServerRequest, &'m str)> {
    Some((ServerRequest::of(message.method.as_deref()?)?, message.request_id()?))
}

/// The request of this kind as the client gets it; without `requests` it is refused, since it could not be logged.
pub async fn forward(
    requests: Option<&MidCallRequests>,
    kind: ServerRequest,
    message: &Message<'_>,
) -> Result<String, NotForwarded> {
    let requests = requests.ok_or(NotForwarded::Refused(INTERNAL_ERROR, NOT_LOGGED))?;
    let params = requests.forward(kind, message.params.map(ToOwned::to_owned)).await?;
    Ok(message.with_params(params.as_deref()).text())
}

/// A result in which the upstream asks the client, as the client gets it; `None` if it does not ask. An error is why the
/// client gets no result.
pub async fn in_result(
    requests: impl FnOnce() -> Option<Arc<MidCallRequests>>,
    result: &RawValue,
) -> Result<Option<Box<RawValue>>, &'static str> {
    if let Ok(None) = InputRequired::read(result) {
        return Ok(None);
    }
    match requests() {
        Some(requests) => requests.in_result(result, |_, _| true).await,
        None => Err(NOT_LOGGED),
    }
}

/// The response to another request than a call, if the upstream asks the client in it, as the client gets it.
pub async fn in_response(
    requests: impl FnOnce() -> Option<Arc<MidCallRequests>>,
    message: &Message<'_>,
) -> Option<String> {
    match in_result(requests, message.result?).await {
        Ok(None) => None,
        Ok(result) => Some(message.with_result(result.as_deref()).text()),
        Err(why) => Some(message::error(message.answers(), INTERNAL_ERROR, &not_answered(why))),
    }
}

/// The error that a client gets in place of a result.
pub fn not_answered(why: &str) -> String {
    format!("the upstream did not answer: {why}")
}

/// Whether requests that name these sessions are all of one client, as far as that can be told: only then is what names none
/// of them handed to the newest.
pub fn are_one_clients<'a>(mut sessions: impl Iterator<Item = &'a Option<String>>) -> bool {
    let Some(first) = sessions.next() else { return true };
    let mut others = sessions.peekable();
    others.peek().is_none() || first.is_some() && others.all(|other| other == first)
}

/// Mid-call requests of a connection that belong to no call, since the client's last request.
#[derive(Default)]
pub struct OutsideCalls(Mutex<Option<Arc<MidCallRequests>>>);

impl OutsideCalls {
    /// Counts and logs them; `None` if the client may not use the proxy any more.
    pub fn get(&self, governor: &dyn Govern) -> Option<Arc<MidCallRequests>> {
        if let Some(requests) = &*self.0.lock() {
            return Some(Arc::clone(requests));
        }
        let made = governor.requests_outside_calls();
        let made = made.inspect_err(|error| tracing::warn!(%error, "a request of an upstream is refused")).ok()?;
        Some(Arc::clone(self.0.lock().get_or_insert(Arc::new(made))))
    }

    /// The client has made another request.
    pub fn restart(&self) {
        *self.0.lock() = None;
    }

    /// A call has ended since it had too many requests: what its upstream still asks counts as that call's.
    pub fn exhaust(&self, requests: Option<Arc<MidCallRequests>>) {
        *self.0.lock() = requests;
    }
}
