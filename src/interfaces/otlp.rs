//! OpenTelemetry: spans of calls and the figures of this process, sent to a collector. Off unless the standard
//! variables name one.
//!
//! What is sent is OTLP over HTTP in its JSON form (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), which every
//! collector takes and which needs no library beside those that are here: the SDK's own histograms take a lock for each
//! value, and ours would have to be copied into them.

mod encode;
mod settings;

use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue, header};
use reqwest::{Client, Url, redirect::Policy};
pub use settings::OtlpSettings;
use tokio::{
    sync::mpsc::Receiver,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    crypto,
    error::{Error, Result},
    traces::{self, Span},
};

/// Spans in one request.
const MAX_BATCH: usize = 512;
/// Attempts to send one request, and the pause after the first that fails; it doubles.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// How long the last requests of a process that stops may take.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// The tasks that export. After the stop signal they send what is left, and end.
pub struct Exporter {
    tasks: Vec<JoinHandle<()>>,
}

impl Exporter {
    /// Starts sending, if the settings name a collector.
    pub fn start(settings: Option<OtlpSettings>, stop: &CancellationToken) -> Result<Self> {
        let Some(settings) = settings else { return Ok(Self { tasks: Vec::new() }) };
        // Fails only if another provider was installed before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(settings.timeout)
            // A redirect would carry the headers, with their keys, to wherever it points.
            .redirect(Policy::none())
            .user_agent(concat!("haldir/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        let instance = crypto::token::<12>("").map_err(Error::internal)?;
        let resource = encode::resource(&settings.resource, &instance);
        let sender = |url: Url| Sender {
            client: client.clone(),
            url,
            headers: settings.headers.clone(),
            stop: stop.clone(),
            is_down: false,
        };
        let mut tasks = Vec::new();
        if let Some(url) = settings.traces
            && let Some(queue) = traces::export()
        {
            tasks.push(tokio::spawn(send_spans(sender(url), queue, resource.clone(), settings.span_delay)));
        }
        if let Some(url) = settings.metrics {
            tasks.push(tokio::spawn(send_metrics(sender(url), resource, settings.metric_interval)));
        }
        Ok(Self { tasks })
    }

    /// Waits until what is left is sent, or given up.
    pub async fn finish(self) {
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

async fn send_spans(mut sender: Sender, mut queue: Receiver<Span>, resource: serde_json::Value, delay: Duration) {
    let mut batch = Vec::new();
    while !sender.stop.is_cancelled() {
        let due = Instant::now() + delay;
        while batch.len() < MAX_BATCH {
            tokio::select! {
                received = queue.recv() => match received {
                    Some(span) => batch.push(span),
                    None => return,
                },
                () = tokio::time::sleep_until(due) => break,
                () = sender.stop.cancelled() => break,
            }
        }
        if !batch.is_empty() && !sender.stop.is_cancelled() {
            sender.send(encode::spans(&resource, &batch)).await;
            batch.clear();
        }
    }
    while let Ok(span) = queue.try_recv() {
        batch.push(span);
    }
    if !batch.is_empty() {
        sender.send(encode::spans(&resource, &batch)).await;
    }
}

async fn send_metrics(mut sender: Sender, resource: serde_json::Value, interval: Duration) {
    let began = SystemTime::now();
    loop {
        tokio::select! {
            () = sleep(interval) => {}
            () = sender.stop.cancelled() => {}
        }
        let is_last = sender.stop.is_cancelled();
        sender.send(encode::metrics(&resource, began)).await;
        if is_last {
            return;
        }
    }
}

/// Sends requests to one address.
struct Sender {
    client: Client,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    stop: CancellationToken,
    /// Whether the last request failed: a collector that is down is reported once, not with each request.
    is_down: bool,
}

impl Sender {
    /// Sends, and tries again where that may help; what cannot be sent is given up.
    async fn send(&mut self, body: serde_json::Value) {
        let body = body.to_string();
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let stopping = self.stop.is_cancelled();
            let outcome = if stopping {
                timeout(LAST_TIMEOUT, self.post(&body)).await.unwrap_or_else(|_| Err(("no answer".to_owned(), false)))
            } else {
                // Told to stop in the middle of an attempt, it has as long as the last ones.
                let stopped = async {
                    self.stop.cancelled().await;
                    sleep(LAST_TIMEOUT).await;
                };
                tokio::select! {
                    outcome = self.post(&body) => outcome,
                    () = stopped => Err(("no answer".to_owned(), false)),
                }
            };
            match outcome {
                Ok(()) => {
                    self.is_down = false;
                    return;
                }
                Err((_, true)) if attempt < ATTEMPTS && !stopping => {
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = self.stop.cancelled() => {}
                    }
                    pause *= 2;
                }
                Err((problem, _)) => {
                    let host = self.url.host_str().unwrap_or_default();
                    if !std::mem::replace(&mut self.is_down, true) {
                        tracing::warn!(
                            problem,
                            host,
                            "the OpenTelemetry collector takes nothing: what it misses is lost"
                        );
                    }
                    return;
                }
            }
        }
    }

    /// One attempt; the error says whether another one may help.
    async fn post(&self, body: &str) -> Result<(), (String, bool)> {
        let request = self.client.post(self.url.clone()).header(header::CONTENT_TYPE, "application/json");
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.body(body.to_owned()).send().await;
        let answer = answer.map_err(|error| (error.without_url().to_string(), true))?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            status => Err((format!("it answered with status {status}"), matches!(status, 429 | 502..=504))),
        }
    }
}
