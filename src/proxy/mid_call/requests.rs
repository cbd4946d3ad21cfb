//! Counts, logs and names the mid-call requests of an upstream, whichever way they take to the client: through the relay, or
//! through a call of `upstream.tool`.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::value::{RawValue, to_raw_value};

use super::shown;
use crate::{
    call::OutwardContext,
    model::{InFlightCall, UpstreamName},
    protocol::{
        code::{INTERNAL_ERROR, INVALID_PARAMS},
        json::Members,
        message,
        request::{InputRequired, REQUESTS, ServerRequest},
    },
    proxy::{question::INPUT, record},
};

/// Requests of one call; outside of calls, those between two requests of the client.
const MAX_REQUESTS: usize = 32;
/// Why a call ends that has more.
pub const TOO_MANY: &str = "it asks the client more than 32 times in one call";
/// Why a request is refused that is not in the log.
pub const NOT_LOGGED: &str = "haldir could not write this request to its log";
const UNWRITABLE: &str = "what it asks cannot be written";

/// The mid-call requests of one call, or those of one connection that belong to no call.
pub struct MidCallRequests {
    cx: OutwardContext,
    upstream: UpstreamName,
    call: Option<Arc<InFlightCall>>,
    count: AtomicUsize,
}

/// Why a request does not reach the client.
#[derive(Debug)]
pub enum NotForwarded {
    /// The upstream gets this error.
    Refused(i32, &'static str),
    /// It is one more than allowed: the upstream gets an error, and the call ends.
    TooMany,
}

impl NotForwarded {
    /// The response to the request of this id.
    pub fn response(&self, id: &str) -> String {
        let (code, why) = match self {
            Self::Refused(code, why) => (*code, *why),
            Self::TooMany => (INTERNAL_ERROR, TOO_MANY),
        };
        message::error(Some(id), code, why)
    }
}

impl MidCallRequests {
    pub(in crate::proxy) fn of_call(cx: OutwardContext, call: Arc<InFlightCall>) -> Self {
        Self { cx, upstream: call.upstream.clone(), call: Some(call), count: AtomicUsize::new(0) }
    }

    /// Those of a connection that belong to no call.
    pub fn outside_calls(cx: OutwardContext, upstream: UpstreamName) -> Self {
        Self { cx, upstream, call: None, count: AtomicUsize::new(0) }
    }

    /// Counts and logs a request; returns its parameters as the client gets them. `params` has no secrets any more.
    pub async fn forward(
        &self,
        kind: ServerRequest,
        params: Option<Box<RawValue>>,
    ) -> Result<Option<Box<RawValue>>, NotForwarded> {
        if !self.count(kind).await {
            return Err(NotForwarded::TooMany);
        }
        self.show(kind, params).await.map_err(|(code, why)| NotForwarded::Refused(code, why))
    }

    /// The same for every request in an `input_required` result; `None` if it is no such result. An error ends the call.
    pub async fn in_result(
        &self,
        result: &RawValue,
        is_supported: impl Fn(ServerRequest, Option<&RawValue>) -> bool,
    ) -> Result<Option<Box<RawValue>>, &'static str> {
        let Some(needed) = InputRequired::read(result)? else { return Ok(None) };
        let mut requests = Members::default();
        for (key, kind, params) in needed.requests {
            if !self.count(kind).await {
                return Err(TOO_MANY);
            }
            let objection = match &*key {
                INPUT => Some("it asks by the name by which haldir itself does"),
                _ if !is_supported(kind, params.as_deref()) => Some("it asks the client what that cannot be asked"),
                _ => None,
            };
            if let Some(why) = objection {
                return Err(if self.log(kind, false).await { why } else { NOT_LOGGED });
            }
            let params = self.show(kind, params).await.map_err(|(_, why)| why)?;
            let mut request = Members::default();
            request.set("method", to_raw_value(kind.method()).map_err(|_| UNWRITABLE)?);
            if let Some(params) = params {
                request.set("params", params);
            }
            requests.set(&key, request.written().ok_or(UNWRITABLE)?);
        }
        let mut members = Members::of(result).ok_or(UNWRITABLE)?;
        if members.get(REQUESTS).is_some() {
            members.set(REQUESTS, requests.written().ok_or(UNWRITABLE)?);
        }
        members.written().map(Some).ok_or(UNWRITABLE)
    }

    /// Whether there may be one more. The log has the first that may not, and none after it.
    pub(super) async fn count(&self, kind: ServerRequest) -> bool {
        let before = self.count.fetch_add(1, Ordering::AcqRel);
        if before == MAX_REQUESTS {
            // The call fails, whether or not this can be written.
            self.log(kind, false).await;
        }
        before < MAX_REQUESTS
    }

    /// The parameters with the name of the upstream in what a person reads. The log has the request before this returns.
    pub(super) async fn show(
        &self,
        kind: ServerRequest,
        params: Option<Box<RawValue>>,
    ) -> Result<Option<Box<RawValue>>, (i32, &'static str)> {
        let shown = match kind {
            ServerRequest::Elicitation => params
                .and_then(|params| shown::form(self.upstream.as_str(), &params))
                .map(Some)
                .ok_or((INVALID_PARAMS, "the question cannot be shown to a person as it is")),
            ServerRequest::Sampling | ServerRequest::Roots => Ok(params),
        };
        if self.log(kind, shown.is_ok()).await { shown } else { Err((INTERNAL_ERROR, NOT_LOGGED)) }
    }

    /// Writes the audit entry; whether that could be done.
    pub(super) async fn log(&self, kind: ServerRequest, forwarded: bool) -> bool {
        let (upstream, call) = (self.upstream.clone(), self.call.clone());
        let written = self.cx.write(move |cx| record::asked(cx, &upstream, call.as_deref(), kind.method(), forwarded));
        written.await.inspect_err(|error| tracing::error!(%error, "a mid-call request could not be logged")).is_ok()
    }
}
