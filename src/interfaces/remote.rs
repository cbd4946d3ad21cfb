//! Calls to a haldir server by its REST API: the same operations, the same JSON.

use std::{collections::BTreeMap, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::http::{
    respond::said_age,
    rest::{CANCEL, ON_HANG_UP},
};
use crate::{
    error::{Code, Error, Result},
    model::Credential,
    operations::{CallOptions, Method, Operation, Reply, Run},
    outbound::cause,
};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take in all; verifying a long log takes a while.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// How long reading a streamed response may take in all.
const STREAM_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);
/// The largest response that is read.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// What stays as it is in a path segment (RFC 3986 unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A haldir elsewhere.
#[derive(Clone)]
pub struct Remote {
    base: Url,
    client: Client,
}

impl Remote {
    /// The haldir at `base_url`, such as `https://haldir.example.com`.
    pub fn new(base_url: &str) -> Result<Self> {
        let base = base_url.trim_end_matches('/').parse::<Url>().ok();
        let base = base.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(|| {
            Error::invalid(
                "HALDIR_BASE_URL",
                "the address of the server (--url, HALDIR_BASE_URL) must begin with http:// or https://, such as https://host",
            )
        })?;
        // Fails only if another provider was installed before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            // A redirect would carry the key to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("haldir-mcp/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        Ok(Self { base, client })
    }

    /// Calls an operation there.
    pub async fn call(
        &self,
        operation: &Operation,
        credential: &Credential,
        input: &str,
        options: CallOptions,
    ) -> Result<Reply> {
        let client = options.client.clone();
        let answer = async { self.read(self.send(operation, credential, input, options).await?).await };
        tokio::select! {
            biased;
            // Dropping the request closes the connection, and the server cancels the call.
            () = client.cancelled() => Err(Error::new(Code::Unavailable, "the client took the call back")),
            answer = answer => answer,
        }
    }

    /// What stands at a path that needs no key, whatever its status.
    pub async fn public(&self, path: &str) -> Result<String> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let response = self.client.get(url).send().await.map_err(|error| self.unreachable(error))?;
        let body = self.body(response).await?;
        Ok(std::str::from_utf8(&body).unwrap_or_default().to_owned())
    }

    /// Calls an operation whose answer is a stream, and hands over each piece as it arrives.
    pub async fn stream(
        &self,
        operation: &Operation,
        credential: &Credential,
        input: &str,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut response = self.send(operation, credential, input, CallOptions::default()).await?;
        if !response.status().is_success() {
            return match self.read(response).await {
                Ok(reply) => Err(Error::from_body(reply.status, &reply.body)),
                Err(error) => Err(error),
            };
        }
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            each(&piece)?;
        }
        Ok(())
    }

    async fn send(
        &self,
        operation: &Operation,
        credential: &Credential,
        input: &str,
        options: CallOptions,
    ) -> Result<Response> {
        // As the server does: in a path or a query 7 and "7" would look the same, and the wrong type would pass.
        operation.check(input)?;
        let request = self.request(operation, input)?;
        let is_stream = matches!(operation.run, Run::Stream(_));
        let request = if is_stream { request.timeout(STREAM_TIMEOUT) } else { request };
        let request = match credential {
            Credential::ApiKey(key) => request.bearer_auth(key.as_str()),
            _ => request,
        };
        let request = match options.idempotency_key {
            Some(key) if !key.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
                return Err(Error::invalid("idempotency_key", "idempotency_key must be plain ASCII text"));
            }
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let request = match &options.client.cancelled {
            Some(_) => request.header(ON_HANG_UP, CANCEL),
            None => request,
        };
        request.send().await.map_err(|error| self.unreachable(error))
    }

    async fn body(&self, mut response: Response) -> Result<Zeroizing<Vec<u8>>> {
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Error::new(Code::Unavailable, "the answer of the remote haldir is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn read(&self, response: Response) -> Result<Reply> {
        let status = response.status().as_u16();
        let data_age = said_age(response.headers());
        let body = self.body(response).await?;
        let text = std::str::from_utf8(&body).unwrap_or_default();
        if status == 204 {
            return Ok(Reply { status, body: Zeroizing::new("{}".to_owned()), data_age });
        }
        if (200..300).contains(&status) && serde_json::from_str::<&RawValue>(text).is_ok() {
            return Ok(Reply { status, body: Zeroizing::new(text.to_owned()), data_age });
        }
        Err(Error::from_body(status, text))
    }

    /// The request: fields of the path into it, each as one encoded segment; the rest as query or body.
    fn request(&self, operation: &Operation, input: &str) -> Result<RequestBuilder> {
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(input)
            .map_err(|_| Error::new(Code::MalformedJson, "the arguments must be a JSON object"))?;
        let mut path = String::new();
        for segment in operation.path.split('/').skip(1) {
            let field = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            let takes_rest = field.is_some_and(|name| name.starts_with('*'));
            let field = field.map(|name| name.trim_start_matches('*'));
            let value = match field {
                Some(name) => {
                    let value = fields.remove(name).map(|value| plain(&value)).unwrap_or_default();
                    let is_step = |part: &str| matches!(part, "" | "." | "..");
                    if if takes_rest { value.split('/').any(is_step) } else { is_step(&value) } {
                        return Err(Error::invalid(name, format!("{name} is required")));
                    }
                    value
                }
                None => segment.to_owned(),
            };
            path.push('/');
            let encoded = utf8_percent_encode(&value, SEGMENT).to_string();
            path.push_str(&if takes_rest { encoded.replace("%2F", "/") } else { encoded });
        }
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if operation.method.has_body() {
            let body = serde_json::to_string(&fields).map_err(Error::internal)?;
            let request = if operation.method == Method::Put { self.client.put(url) } else { self.client.post(url) };
            return Ok(request.header("Content-Type", "application/json").body(body));
        }
        // A session id opens doors: it goes into a header, where no log of addresses keeps it.
        let session = if operation.name == "getSecret" { fields.remove("session_id") } else { None };
        for (name, value) in fields.iter().filter(|(_, value)| value.get() != "null") {
            url.query_pairs_mut().append_pair(name, &plain(value));
        }
        let request = match operation.method {
            Method::Delete => self.client.delete(url),
            _ => self.client.get(url),
        };
        Ok(match session {
            Some(id) => request.header("X-Session-ID", plain(&id)),
            None => request,
        })
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        // The address may hold a session id, and every holder of that id can act in the session.
        let error = error.without_url();
        let place = cause::place(&self.base);
        let why = cause::class(&error);
        tracing::warn!(error = cause::chain(&error), place, "the remote haldir was not reached");
        Error::new(Code::Unavailable, format!("the haldir at {place} was not reached: {why}"))
    }
}

/// A JSON value as it stands in a path or a query.
fn plain(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}
