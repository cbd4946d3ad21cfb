//! How requests go out to allowed addresses, and bodies come back, no longer than allowed.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{
    Stream, StreamExt,
    stream::{self},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use rmcp::transport::streamable_http_client::StreamableHttpError;
use thiserror::Error;

use crate::{
    outbound::{Outbound, cause},
    protocol::header::{self as protocol_header, ACCEPT_BOTH, SESSION_ID},
};

/// Redirects that are followed, within one origin.
const MAX_REDIRECTS: usize = 3;

/// What can go wrong on the way, without the address.
#[derive(Debug, Error)]
pub(in crate::upstream) enum WireError {
    #[error("{0}")]
    Http(String),
    #[error("could not connect: {0}")]
    Connect(String),
    #[error("no answer in time")]
    TimedOut,
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    Unsafe(String),
    #[error("it redirects to another address: register that one, if it is meant")]
    Redirected,
    #[error("it answered with status {0}")]
    Status(u16, String),
}

pub(super) type Failed = StreamableHttpError<WireError>;

impl From<WireError> for Failed {
    fn from(error: WireError) -> Self {
        Self::Client(error)
    }
}

/// Whether a request that failed so was certainly not written to any connection.
pub(super) fn is_unsent(error: &Failed) -> bool {
    matches!(error, StreamableHttpError::Client(WireError::Connect(_) | WireError::Unsafe(_)))
}

/// How requests are sent.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) client: Client,
    pub(super) outbound: Outbound,
}

impl Wire {
    /// Sends, and follows redirects that stay where the operator pointed. Only what the first address did not get is
    /// [`is_unsent`].
    pub(super) async fn send(&self, uri: &str, request: impl Fn(Url) -> RequestBuilder) -> Result<Response, Failed> {
        let mut url = self.outbound.parse(uri).map_err(|error| WireError::Unsafe(error.message))?;
        for redirects in 0..=MAX_REDIRECTS {
            // The first address is the operator's; what goes to any other has arrived at that one before.
            let is_first = redirects == 0;
            let checked = self.outbound.check_form(&url);
            checked.map_err(|error| if is_first { WireError::Unsafe(error.message) } else { WireError::Redirected })?;
            let response = request(url.clone()).send().await.map_err(|error| match wire(error) {
                WireError::Connect(text) if !is_first => WireError::Http(text),
                error => error,
            })?;
            if let Some(coding) = response.headers().get(header::CONTENT_ENCODING)
                && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
            {
                return Err(WireError::Http("it compresses its answers although it was asked not to".to_owned()).into());
            }
            if !matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let target = location.and_then(|location| url.join(location).ok());
            let Some(target) = target.filter(|target| target.origin() == url.origin()) else {
                return Err(WireError::Redirected.into());
            };
            url = target;
        }
        Err(WireError::Http("too many redirects".to_owned()).into())
    }

    /// A request with what every one has.
    pub(super) fn request(
        &self,
        method: Method,
        url: Url,
        session: Option<&str>,
        headers: &HashMap<HeaderName, HeaderValue>,
    ) -> RequestBuilder {
        let mut request = self.client.request(method, url).header(header::ACCEPT, ACCEPT_BOTH);
        // Without it a server may compress what it answers.
        request = request.header(header::ACCEPT_ENCODING, "identity");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(session) = session {
            request = request.header(SESSION_ID, session);
        }
        request
    }
}

/// What went wrong, down to its cause, without the address.
fn wire(error: reqwest::Error) -> WireError {
    let place = error.url().map(cause::place).unwrap_or_default();
    let error = error.without_url();
    if error.is_connect() {
        // Agents hear the class of the cause; where the upstream is, and all of it, is for the operator.
        if cause::is_due(&place) {
            tracing::warn!(place, error = cause::chain(&error), "an upstream was not reached");
        }
        return WireError::Connect(cause::class(&error).to_owned());
    }
    if error.is_timeout() {
        return WireError::TimedOut;
    }
    WireError::Http(cause::chain(&error))
}

/// The pieces of a body, up to so many bytes.
pub(super) fn pieces(response: Response, most: usize) -> impl Stream<Item = Result<Bytes, WireError>> + Send + 'static {
    stream::unfold((Some(response), 0_usize), move |(response, seen)| async move {
        let mut response = response?;
        match response.chunk().await {
            Ok(None) => None,
            Err(error) => Some((Err(wire(error)), (None, seen))),
            Ok(Some(chunk)) if chunk.len() > most.saturating_sub(seen) => {
                Some((Err(WireError::TooLarge(most)), (None, seen)))
            }
            Ok(Some(chunk)) => {
                let seen = seen + chunk.len();
                Some((Ok(chunk), (Some(response), seen)))
            }
        }
    })
}

/// The whole of a body, up to so many bytes.
pub(super) async fn body(response: Response, most: usize) -> Result<Vec<u8>, Failed> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(WireError::TooLarge(most).into());
    }
    let mut pieces = std::pin::pin!(pieces(response, most));
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece?);
    }
    Ok(body)
}

/// Whether the response states this type.
pub(super) fn is_kind(response: &Response, kind: &str) -> bool {
    protocol_header::is_kind(response.headers(), kind)
}
