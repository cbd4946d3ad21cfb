//! `/metrics` for Prometheus, for operators, and `/v1/status`, for every client.

use std::fmt::{self, Write};

use axum::{body::Body, extract::State, response::Response};
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{App, guard::RequestId, health, input, respond};
use crate::{
    crypto,
    error::{Code, Error, Result},
    metrics::{Distribution, Histogram, METRICS},
    model::{Clock, Credential, Tier, time::SystemClock},
    operations::{self, Backlog, ReplicaStatus},
};

/// The text format (<https://prometheus.io/docs/instrumenting/exposition_formats>).
const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const MICROS_PER_SECOND: u64 = 1_000_000;

/// The digest of the token that opens `/metrics`.
pub struct MetricsToken(Option<[u8; 32]>);

impl MetricsToken {
    /// Keeps the digest of `token`, if there is one.
    pub fn new(token: Option<&Zeroizing<String>>) -> Self {
        Self(token.map(|token| crypto::digest(&[token.as_bytes()])))
    }

    fn is(&self, presented: &str) -> bool {
        self.0.is_some_and(|digest| crypto::same(&digest, &crypto::digest(&[presented.as_bytes()])))
    }
}

/// `/metrics`: for clients with the metrics token as a bearer token, or with an operator's key.
pub async fn metrics(
    State(app): State<App>,
    axum::Extension(id): axum::Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    match admitted(&app, &headers) {
        Ok(()) => {
            let haldir = app.shared.haldir.clone();
            // Reads the store and the disk.
            let replica = haldir.replica();
            let figures = tokio::task::spawn_blocking(move || (haldir.backlog().ok(), haldir.disk())).await;
            let (backlog, disk) = figures.unwrap_or_default();
            let mut response = Response::new(Body::from(exposition(backlog, disk, replica.as_ref())));
            response.headers_mut().insert(header::CONTENT_TYPE, TEXT_FORMAT);
            response
        }
        Err(error) => respond::error(&error, &id),
    }
}

fn admitted(app: &App, headers: &HeaderMap) -> Result<()> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    if bearer.is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && app.shared.metrics_token.is(token.trim())
    }) {
        return Ok(());
    }
    let credential = input::credential(headers);
    if matches!(credential, Credential::Anonymous) {
        return Err(unauthorized());
    }
    app.shared.haldir.authenticate_operator(&credential).map_err(|error| match error.code {
        Code::Unauthorized => unauthorized(),
        _ => error,
    })
}

fn unauthorized() -> Error {
    let message = "send HALDIR_METRICS_TOKEN, or an operator's API key with admin:read, as `Authorization: Bearer …`";
    Error::new(Code::Unauthorized, message)
}

/// Every measure in the text format.
fn exposition(backlog: Option<Backlog>, disk: (Option<u64>, Option<u64>), replica: Option<&ReplicaStatus>) -> String {
    let mut text = Exposition(String::with_capacity(64 * 1024));
    // Writing to a String does not fail.
    let _ = text.write_all();
    let _ = text.write_store(backlog, disk);
    let _ = replica.map_or(Ok(()), |replica| text.write_replica(replica));
    text.0
}

struct Exposition(String);

impl Exposition {
    fn write_all(&mut self) -> fmt::Result {
        self.head("haldir_requests_total", "counter", "Answers by operation and status.")?;
        for operation in operations::all() {
            for (status, count) in operation.measured.answers() {
                let name = operation.name;
                writeln!(self.0, "haldir_requests_total{{operation=\"{name}\",status=\"{status}\"}} {count}")?;
            }
        }
        let name = "haldir_request_duration_seconds";
        self.head(name, "histogram", "From a call to its answer, by operation.")?;
        // Operations without a call are left out: they would be most of the response.
        for operation in operations::all().iter().filter(|one| one.measured.latency.read().count() > 0) {
            let label = format!("operation=\"{}\"", operation.name);
            self.buckets(name, &label, &operation.measured.latency, MICROS_PER_SECOND, is_shown)?;
        }
        self.head("haldir_rate_limited_total", "counter", "Calls refused by the hourly limit, by tier.")?;
        for (tier, count) in [Tier::Free, Tier::Pro, Tier::Enterprise].iter().zip(&METRICS.rate_limited) {
            writeln!(self.0, "haldir_rate_limited_total{{tier=\"{}\"}} {}", tier.as_str(), count.get())?;
        }
        self.head("haldir_writer_queue_depth", "gauge", "Writes that wait or are in the running batch.")?;
        writeln!(self.0, "haldir_writer_queue_depth {}", METRICS.queued_writes.get().max(0))?;
        self.head("haldir_commit_batch_size", "histogram", "Writes in a commit.")?;
        self.histogram("haldir_commit_batch_size", "", &METRICS.batch_size, 1)?;
        self.head("haldir_sync_duration_seconds", "histogram", "Time of a commit, which syncs the write-ahead log.")?;
        self.histogram("haldir_sync_duration_seconds", "", &METRICS.sync_time, MICROS_PER_SECOND)?;
        self.head("haldir_webhook_lag_seconds", "histogram", "From an event to its delivery.")?;
        self.histogram("haldir_webhook_lag_seconds", "", &METRICS.webhook_lag, MICROS_PER_SECOND)?;
        if let Some(bytes) = resident_bytes() {
            self.head("process_resident_memory_bytes", "gauge", "Memory in use.")?;
            writeln!(self.0, "process_resident_memory_bytes {bytes}")?;
        }
        Ok(())
    }

    /// Queue lengths, and free space.
    fn write_store(&mut self, backlog: Option<Backlog>, (size, free): (Option<u64>, Option<u64>)) -> fmt::Result {
        self.head("haldir_refused_total", "counter", "Calls that were refused, by the code of the error.")?;
        for code in Code::ALL {
            let count = METRICS.refused_by(*code as usize).get();
            if count > 0 {
                writeln!(self.0, "haldir_refused_total{{code=\"{}\"}} {count}", code.name())?;
            }
        }
        let waiting = backlog.map(|backlog| {
            [
                ("haldir_approvals_waiting", "Approval requests that wait for a decision.", backlog.approvals),
                ("haldir_webhook_events_waiting", "Events on their way to webhooks.", backlog.events),
                ("haldir_webhook_dead_letters", "Events that were given up.", backlog.dead_letters),
                ("haldir_webhooks_failing", "Webhooks whose receivers take nothing.", backlog.failing_webhooks),
            ]
        });
        for (name, help, value) in waiting.into_iter().flatten() {
            self.head(name, "gauge", help)?;
            writeln!(self.0, "{name} {value}")?;
        }
        let sizes = [
            ("haldir_store_size_bytes", "The database and its write-ahead log.", size),
            ("haldir_disk_free_bytes", "The room that the store's disk has left.", free),
        ];
        for (name, help, value) in sizes {
            if let Some(value) = value {
                self.head(name, "gauge", help)?;
                writeln!(self.0, "{name} {value}")?;
            }
        }
        Ok(())
    }

    fn write_replica(&mut self, replica: &ReplicaStatus) -> fmt::Result {
        let name = "haldir_replica_reads_total";
        self.head(name, "counter", "Reads that the replica might answer, by the database that did.")?;
        writeln!(self.0, "{name}{{answered_by=\"replica\"}} {}", METRICS.replica_reads.get())?;
        writeln!(self.0, "{name}{{answered_by=\"primary\"}} {}", METRICS.replica_reads_passed_on.get())?;
        if let Some(age) = replica.age {
            self.head("haldir_replica_age_seconds", "gauge", "How old the data of the replica is, while it is read.")?;
            writeln!(self.0, "haldir_replica_age_seconds {:.3}", age.as_secs_f64())?;
        }
        Ok(())
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }

    fn histogram(&mut self, name: &str, label: &str, histogram: &Histogram, unit: u64) -> fmt::Result {
        self.buckets(name, label, histogram, unit, |_| true)
    }

    /// Buckets are cumulative here; `unit` is the number of parts in the series' unit.
    fn buckets(
        &mut self,
        name: &str,
        label: &str,
        histogram: &Histogram,
        unit: u64,
        is_shown: impl Fn(u64) -> bool,
    ) -> fmt::Result {
        let read = histogram.read();
        let comma = if label.is_empty() { "" } else { "," };
        let mut cumulative = 0;
        for (bucket, count) in read.counts.iter().enumerate() {
            cumulative += count;
            if Distribution::bound(bucket).is_some_and(|bound| !is_shown(bound)) {
                continue;
            }
            write!(self.0, "{name}_bucket{{{label}{comma}le=\"")?;
            match Distribution::bound(bucket) {
                Some(bound) => self.number(bound, unit)?,
                None => self.0.push_str("+Inf"),
            }
            writeln!(self.0, "\"}} {cumulative}")?;
        }
        let labels = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
        write!(self.0, "{name}_sum{labels} ")?;
        self.number(read.sum, unit)?;
        writeln!(self.0, "\n{name}_count{labels} {cumulative}")
    }

    fn number(&mut self, value: u64, unit: u64) -> fmt::Result {
        if unit == 1 {
            write!(self.0, "{value}")
        } else {
            write!(self.0, "{}.{:06}", value / MICROS_PER_SECOND, value % MICROS_PER_SECOND)
        }
    }
}

/// The bounds of durations by operation: from 64 µs on, each four times the last.
fn is_shown(bound: u64) -> bool {
    bound >= 64 && bound.trailing_zeros().is_multiple_of(2)
}

/// Memory in use, if the system reports it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// `/v1/status`: the state of this process since its start.
pub async fn status(State(app): State<App>) -> Response {
    let (database, writes, _) = health::check_store(&app.shared.haldir).await;
    let now = SystemClock.now();
    let component = |name: &str, state: &str, message: &str| json!({"name": name, "state": state, "message": message, "checked_at": now});
    let proxy = match app.shared.haldir.upstream_connections() {
        (0, _) => ("off", "no upstream server was called yet"),
        (_, 0) => ("ok", "every upstream server that was called answers"),
        _ => ("degraded", "an upstream server fails, and is left alone for a while"),
    };
    let haldir = app.shared.haldir.clone();
    let failing = tokio::task::spawn_blocking(move || haldir.backlog().map_or(0, |found| found.failing_webhooks)).await;
    let webhooks = match failing {
        Ok(0) => ("ok", "ok"),
        _ => ("degraded", "a webhook's receiver takes nothing; its events wait"),
    };
    let components = [
        component("api", "ok", "ok"),
        match (database, writes) {
            (true, true) => component("database", "ok", "ok"),
            (true, false) => component("database", "degraded", "the store takes no writes; its disk may be full"),
            (false, _) => component("database", "down", "the store does not answer"),
        },
        component("billing", "off", "there is none"),
        component("proxy", proxy.0, proxy.1),
        component("webhooks", webhooks.0, webhooks.1),
    ];
    let body = json!({
        "status": match (database, writes) {
            (true, true) => "ok",
            (true, false) => "degraded",
            (false, _) => "down",
        },
        "checked_at": now,
        "components": components,
        "metrics": figures(),
    });
    respond::json(200, body.to_string())
}

fn figures() -> Value {
    let (mut total, mut errors) = (0_u64, 0_u64);
    let mut latency = Distribution::default();
    for operation in operations::all() {
        latency.merge(&operation.measured.latency.read());
        for (status, count) in operation.measured.answers() {
            total += count;
            errors += if status >= 500 { count } else { 0 };
        }
    }
    #[allow(clippy::cast_precision_loss)] // A share for people.
    let ratio = if total == 0 { 1.0 } else { (total - errors) as f64 / total as f64 };
    #[allow(clippy::cast_precision_loss)] // Far below 2^53 microseconds.
    let seconds = |percent| latency.percentile(percent).map(|micros| micros as f64 / 1e6);
    json!({
        "success_rate": {"total": total, "errors": errors, "ratio": ratio},
        "latency_seconds": {"p50": seconds(50), "p95": seconds(95), "p99": seconds(99)},
    })
}
