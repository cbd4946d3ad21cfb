//! Carries requests out to allowed addresses, and what is answered back: over plain HTTP on kept connections, over TLS
//! or in a way of the address's own with the client of [`Outbound::client_to`]. Neither follows a redirect.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, uri::Authority};
use reqwest::{Client, Url};
use tokio::time::Instant;

pub use super::kept::Unanswered;
use super::{Outbound, cause, kept};
use crate::error::Result;

/// Method, headers and body of a request.
pub type Request = (Method, HeaderMap, Bytes);

/// Sends requests. Cloning it is cheap.
#[derive(Clone)]
pub struct Carrier {
    outbound: Outbound,
    plain: kept::Kept,
    tls: Client,
    /// Those of addresses with a way of their own, by origin.
    own: Arc<HashMap<String, Client>>,
    /// The longest that any request may take.
    most: Duration,
}

/// Why a request does not leave.
const NOT_ALLOWED: &str = "its address is none that haldir connects to";

/// An answer, whose body is still to come.
pub enum Answer {
    /// Over plain HTTP.
    Plain(Box<kept::Answer>),
    /// Over TLS, and until when its body may come.
    Tls(Box<reqwest::Response>, Instant),
}

impl Carrier {
    /// No request takes longer than `most`.
    pub fn new(outbound: &Outbound, most: Duration) -> Result<Self> {
        let own = outbound.clients_by_origin(most)?;
        let (plain, tls) = (kept::Kept::new(outbound), outbound.client(most)?);
        Ok(Self { outbound: outbound.clone(), plain, tls, own: Arc::new(own), most })
    }

    fn own(&self, url: &Url) -> Option<&Client> {
        if self.own.is_empty() { None } else { self.own.get(&url.origin().ascii_serialization()) }
    }

    /// Sends a request, and answers with the head of what comes back; `within` is the time for all of it, unless
    /// [`Answer::wait_until`] says otherwise.
    pub async fn send(
        &self,
        url: &Url,
        (method, headers, body): Request,
        within: Duration,
    ) -> Result<Answer, Unanswered> {
        self.outbound.check_form(url).map_err(|_| Unanswered::Unreachable(NOT_ALLOWED))?;
        let own = self.own(url);
        if url.scheme() == "http" && own.is_none() {
            let (address, request) = plain(url, (method, headers, body)).ok_or(Unanswered::Unreachable(NOT_ALLOWED))?;
            let answer = self.plain.send(&address, request, Instant::now() + within).await?;
            return Ok(Answer::Plain(Box::new(answer)));
        }
        let until = Instant::now() + within;
        let mut request = own.unwrap_or(&self.tls).request(method, url.clone()).headers(headers).timeout(self.most);
        if !body.is_empty() {
            request = request.body(body);
        }
        match tokio::time::timeout_at(until, request.send()).await {
            Ok(sent) => sent.map(|sent| Answer::Tls(Box::new(sent), until)).map_err(|error| {
                let (place, error) = (cause::place(url), error.without_url());
                if error.is_connect() && cause::is_due(&place) {
                    tracing::warn!(place, error = cause::chain(&error), "an upstream was not reached");
                }
                unanswered(&error)
            }),
            Err(_) => Err(Unanswered::TimedOut),
        }
    }
}

/// A request as it goes over plain HTTP, and where to.
fn plain(url: &Url, (method, headers, body): Request) -> Option<(Authority, kept::Outgoing)> {
    kept::outgoing(method, &url.as_str().parse::<Uri>().ok()?, headers, body)
}

impl Answer {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Plain(answer) => answer.status,
            Self::Tls(response, _) => response.status(),
        }
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        match self {
            Self::Plain(answer) => &answer.headers,
            Self::Tls(response, _) => response.headers(),
        }
    }

    /// The rest of the body may come until then.
    pub fn wait_until(&mut self, then: Instant) {
        match self {
            Self::Plain(answer) => answer.wait_until(then),
            Self::Tls(_, until) => *until = then,
        }
    }

    /// The next piece of the body; `None` once it has ended.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Unanswered> {
        match self {
            Self::Plain(answer) => answer.chunk().await,
            Self::Tls(response, until) => match tokio::time::timeout_at(*until, response.chunk()).await {
                Ok(chunk) => chunk.map_err(|error| unanswered(&error)),
                Err(_) => Err(Unanswered::TimedOut),
            },
        }
    }
}

fn unanswered(error: &reqwest::Error) -> Unanswered {
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => Unanswered::Unreachable(cause::class(error)),
        (_, true) => Unanswered::TimedOut,
        _ => Unanswered::BrokeOff,
    }
}
