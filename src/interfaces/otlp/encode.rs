//! Spans and figures as OTLP's JSON: ids in hexadecimal, 64-bit integers as text
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{
    crypto,
    metrics::{Distribution, METRICS},
    model::Tier,
    operations,
    traces::{self, Span},
};

const SERVER: u8 = 2;
const FAILED: u8 = 2;
const CUMULATIVE: u8 = 2;
const MICROS_PER_SECOND: f64 = 1e6;

/// The resource: this process.
pub fn resource(attributes: &[(String, String)], instance: &str) -> Value {
    let own = [("service.version", env!("CARGO_PKG_VERSION")), ("service.instance.id", instance)];
    let own = own.iter().filter(|(name, _)| attributes.iter().all(|(known, _)| known != name));
    let given = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<_> = given.chain(own.copied()).map(|(name, value)| text(name, value)).collect();
    json!({"attributes": all})
}

/// A request with spans.
pub fn spans(resource: &Value, spans: &[Span]) -> Value {
    let spans: Vec<_> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope(), "spans": spans}]}]})
}

fn span(span: &Span) -> Value {
    // Random as the specification wants it; an id of zeros, which is none, shows that the system has no randomness.
    let (mut trace, mut own) = ([0; 16], [0; 8]);
    let _ = crypto::fill(&mut trace).and_then(|()| crypto::fill(&mut own));
    let trace = span.parent.map_or(u128::from_be_bytes(trace), |parent| parent.trace_id);
    let mut attributes = vec![integer("http.response.status_code", i64::from(span.status))];
    attributes.extend(span.error.map(|code| text("error.type", code)));
    let mut encoded = json!({
        "traceId": format!("{trace:032x}"),
        "spanId": format!("{:016x}", u64::from_be_bytes(own)),
        "name": span.name,
        "kind": SERVER,
        "startTimeUnixNano": nanos(span.ended.checked_sub(span.took).unwrap_or(span.ended)),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": attributes,
        "status": if span.status >= 500 { json!({"code": FAILED}) } else { json!({}) },
    });
    if let Some(parent) = span.parent {
        encoded["parentSpanId"] = format!("{:016x}", parent.span_id).into();
    }
    encoded
}

/// A request with all that is measured since `began`.
pub fn metrics(resource: &Value, began: SystemTime) -> Value {
    let times = Times { began: nanos(began), now: nanos(SystemTime::now()) };
    let (mut answers, mut latencies) = (Vec::new(), Vec::new());
    for operation in operations::all() {
        let name = text("haldir.operation", operation.name);
        for (status, count) in operation.measured.answers() {
            let attributes = [name.clone(), integer("http.response.status_code", i64::from(status))];
            answers.push(times.count(&attributes, count));
        }
        let latency = operation.measured.latency.read();
        if latency.count() > 0 {
            latencies.push(times.histogram(&[name], &latency, MICROS_PER_SECOND));
        }
    }
    let limited = [Tier::Free, Tier::Pro, Tier::Enterprise].iter().zip(&METRICS.rate_limited);
    let limited: Vec<_> =
        limited.map(|(tier, count)| times.count(&[text("haldir.tier", tier.as_str())], count.get())).collect();
    let depth = json!({"timeUnixNano": times.now, "asInt": METRICS.queued_writes.get().max(0).to_string()});
    let one = |histogram: &crate::metrics::Histogram, unit| vec![times.histogram(&[], &histogram.read(), unit)];
    let metrics = json!([
        sum("haldir.requests", "{request}", &answers),
        histograms("haldir.request.duration", "s", &latencies),
        sum("haldir.rate_limited", "{request}", &limited),
        {"name": "haldir.writer.queue_depth", "unit": "{write}", "gauge": {"dataPoints": [depth]}},
        histograms("haldir.commit.batch_size", "{write}", &one(&METRICS.batch_size, 1.0)),
        histograms("haldir.sync.duration", "s", &one(&METRICS.sync_time, MICROS_PER_SECOND)),
        histograms("haldir.webhook.lag", "s", &one(&METRICS.webhook_lag, MICROS_PER_SECOND)),
        sum("haldir.spans.dropped", "{span}", &[times.count(&[], traces::DROPPED.get())]),
    ]);
    json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": scope(), "metrics": metrics}]}]})
}

struct Times {
    began: String,
    now: String,
}

impl Times {
    fn count(&self, attributes: &[Value], count: u64) -> Value {
        json!({
            "attributes": attributes, "startTimeUnixNano": self.began, "timeUnixNano": self.now,
            "asInt": count.to_string(),
        })
    }

    /// `unit` parts make one of the metric's unit.
    #[allow(clippy::cast_precision_loss)] // Sums and bounds of times, far below 2^53.
    fn histogram(&self, attributes: &[Value], read: &Distribution, unit: f64) -> Value {
        let bounds: Vec<f64> =
            (0..read.counts.len()).filter_map(Distribution::bound).map(|bound| bound as f64 / unit).collect();
        let counts: Vec<String> = read.counts.iter().map(u64::to_string).collect();
        json!({
            "attributes": attributes, "startTimeUnixNano": self.began, "timeUnixNano": self.now,
            "count": read.count().to_string(), "sum": read.sum as f64 / unit,
            "explicitBounds": bounds, "bucketCounts": counts,
        })
    }
}

fn sum(name: &str, unit: &str, points: &[Value]) -> Value {
    let sum = json!({"dataPoints": points, "aggregationTemporality": CUMULATIVE, "isMonotonic": true});
    json!({"name": name, "unit": unit, "sum": sum})
}

fn histograms(name: &str, unit: &str, points: &[Value]) -> Value {
    json!({"name": name, "unit": unit, "histogram": {"dataPoints": points, "aggregationTemporality": CUMULATIVE}})
}

fn scope() -> Value {
    json!({"name": "haldir", "version": env!("CARGO_PKG_VERSION")})
}

fn text(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

fn integer(name: &str, value: i64) -> Value {
    json!({"key": name, "value": {"intValue": value.to_string()}})
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos().to_string()
}
