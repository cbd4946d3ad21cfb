//! The HTTP client for requests that pass to upstreams: it connects to allowed addresses only, reuses connections, and
//! follows no redirect.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Client, Url};
use thread_local::ThreadLocal;
use tokio::time::{Instant, timeout_at};

use super::{Outbound, cause};
use crate::error::Result;

/// Method, headers and body of a request.
pub type Request = (Method, HeaderMap, Bytes);

/// Sends requests. Cloning it is cheap.
#[derive(Clone)]
pub struct HttpClient {
    outbound: Outbound,
    most: Duration,
    /// A client for each thread: a connection runs on the runtime of the thread that opened it, and a request from another
    /// worker's runtime would wake two threads.
    by_thread: Arc<ThreadLocal<Client>>,
    /// The clients of origins with certificates or a proxy of their own.
    by_origin: Arc<HashMap<String, Client>>,
}

/// Why a request is not sent.
const NOT_ALLOWED: &str = "its address is none that haldir connects to";

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The request was not sent: there was no connection. The reason names no address, since agents may see it.
    Unreachable(&'static str),
    /// The time limit passed.
    TimedOut,
    /// The connection ended first.
    BrokeOff,
}

/// A response, whose body is still to come until a time limit.
#[derive(Debug)]
pub struct UpstreamResponse {
    response: reqwest::Response,
    until: Instant,
}

impl HttpClient {
    /// No request takes longer than `most`.
    pub fn new(outbound: &Outbound, most: Duration) -> Result<Self> {
        let by_origin = Arc::new(outbound.clients_by_origin(most)?);
        Ok(Self { outbound: outbound.clone(), most, by_thread: Arc::default(), by_origin })
    }

    fn client(&self, url: &Url) -> Result<&Client> {
        let own =
            if self.by_origin.is_empty() { None } else { self.by_origin.get(&url.origin().ascii_serialization()) };
        own.map_or_else(|| self.by_thread.get_or_try(|| self.outbound.client(self.most)), Ok)
    }

    /// Sends a request, and answers with the head of the response. `within` limits the time of both and of the body, unless
    /// [`UpstreamResponse::wait_until`] changes it.
    pub async fn send(
        &self,
        url: &Url,
        (method, headers, body): Request,
        within: Duration,
    ) -> Result<UpstreamResponse, SendError> {
        self.outbound.check_form(url).map_err(|_| SendError::Unreachable(NOT_ALLOWED))?;
        let until = Instant::now() + within;
        let client = self.client(url).map_err(|_| SendError::Unreachable("the HTTP client cannot be set up"))?;
        let mut request = client.request(method, url.clone()).headers(headers);
        if !body.is_empty() {
            request = request.body(body);
        }
        let sent = timeout_at(until, request.send()).await.map_err(|_| SendError::TimedOut)?;
        let response = sent.map_err(|error| {
            let (place, error) = (cause::place(url), error.without_url());
            if error.is_connect() && cause::is_due(&place) {
                tracing::warn!(place, error = cause::chain(&error), "an upstream was not reached");
            }
            unanswered(&error)
        })?;
        Ok(UpstreamResponse { response, until })
    }
}

impl UpstreamResponse {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Sets the time limit of the rest of the body.
    pub fn wait_until(&mut self, until: Instant) {
        self.until = until;
    }

    /// The next piece of the body; `None` once it has ended.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        let chunk = timeout_at(self.until, self.response.chunk()).await.map_err(|_| SendError::TimedOut)?;
        chunk.map_err(|error| unanswered(&error))
    }
}

fn unanswered(error: &reqwest::Error) -> SendError {
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => SendError::Unreachable(cause::class(error)),
        (_, true) => SendError::TimedOut,
        _ => SendError::BrokeOff,
    }
}

#[cfg(test)]
mod tests;
