//! One attempt: a signed POST, within its time, to allowed addresses only.

use std::time::Instant;

use reqwest::{Client, Response, StatusCode, Url, header};

use super::{
    attempts::{AttemptResult, Delivery},
    retry, secret,
};
use crate::{call::Services, error::Result, model::UnixMicros};

/// Redirects that are followed, of those that keep method and body (307 and 308).
const MAX_REDIRECTS: usize = 3;
/// Bytes of a response that are kept.
const EXCERPT_BYTES: usize = 512;
/// Characters of an error that are kept.
const ERROR_CHARS: usize = 300;

/// Makes the attempt. Failures are results, not errors.
pub(super) async fn send(client: &Client, services: &Services, delivery: &Delivery) -> AttemptResult {
    let started = services.clock.now();
    let clock = Instant::now();
    let limit = services.settings.webhooks.attempt_timeout;
    let mut outcome = AttemptResult {
        started,
        duration_ms: 0,
        status: 0,
        excerpt: String::new(),
        error: String::new(),
        retry_after: None,
    };
    // The client bounds each hop, this all of them together.
    match tokio::time::timeout(limit, post(client, services, delivery, started)).await {
        Err(_) => outcome.error = format!("no answer within {} s", limit.as_secs_f64()),
        Ok(Err(error)) => outcome.error = error,
        Ok(Ok(response)) => {
            outcome.status = response.status().as_u16();
            let asked = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            outcome.retry_after = asked.and_then(|text| retry::retry_after(text, started));
            if response.status().is_redirection() {
                outcome.error.push_str("the redirect was not followed: only 307 and 308 to allowed addresses are");
            }
            let left = limit.saturating_sub(clock.elapsed());
            outcome.excerpt = tokio::time::timeout(left, excerpt(response)).await.unwrap_or_default();
        }
    }
    outcome.error = shortened(&outcome.error, ERROR_CHARS);
    outcome.duration_ms = i64::try_from(clock.elapsed().as_millis()).unwrap_or(i64::MAX);
    outcome
}

/// Posts, and follows where it may; the error is text for the operator, without the address, which may hold secrets.
async fn post(client: &Client, services: &Services, delivery: &Delivery, now: UnixMicros) -> Result<Response, String> {
    let outbound = &services.settings.outbound;
    let mut url = outbound.parse(&delivery.webhook.url).map_err(|error| error.message)?;
    for hop in 0.. {
        // Names are checked as the client resolves them; an address in the URL itself here.
        outbound.check_form(&url).map_err(|error| error.message)?;
        let request = request(client, &url, delivery, now).map_err(|error| error.message)?;
        let response = request.send().await.map_err(explain)?;
        let is_kept = matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        if !is_kept || hop == MAX_REDIRECTS {
            return Ok(response);
        }
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let Some(target) = location.and_then(|location| url.join(location).ok()) else { return Ok(response) };
        if url.scheme() == "https" && target.scheme() != "https" {
            return Err("the receiver redirects from https to http: not followed".to_owned());
        }
        url = target;
    }
    Err("too many redirects".to_owned())
}

fn request(client: &Client, url: &Url, delivery: &Delivery, now: UnixMicros) -> Result<reqwest::RequestBuilder> {
    let (event, body) = (&delivery.event, delivery.event.body.as_str());
    let seconds = now.as_seconds();
    let newest = delivery.secrets.first().map_or("", |secret| secret.as_str());
    Ok(client
        .post(url.clone())
        .header(header::CONTENT_TYPE, "application/json")
        .header("X-Haldir-Event", &event.event_type)
        .header("X-Haldir-Timestamp", seconds)
        .header("X-Haldir-Webhook-Id", delivery.webhook.id)
        .header("X-Haldir-Delivery-Attempt", event.attempts + 1)
        .header("X-Haldir-Signature", secret::signature(newest, seconds, body))
        .header("webhook-id", &event.event_id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", secret::standard_signatures(&delivery.secrets, &event.event_id, seconds, body)?)
        .body(body.to_owned()))
}

/// What went wrong, down to its cause.
fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return "the receiver did not answer in time".to_owned();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}

/// The beginning of a body, as text that garbles no terminal.
async fn excerpt(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < EXCERPT_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(EXCERPT_BYTES - bytes.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    shortened(&String::from_utf8_lossy(&bytes), EXCERPT_BYTES)
}

fn shortened(text: &str, chars: usize) -> String {
    text.chars().take(chars).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
