//! OpenTelemetry: what a collector is told of calls, and what calls notice of a collector that is dead.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Client, Delivery, HeldPort, House, Receiver, Server, at_once, json, text};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A server that sends to this address what it has every few milliseconds.
fn reporting(house: &House, endpoint: &str) -> (Server, Client) {
    let mut command = house.serving();
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=for%20the%20collector");
    command.env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test");
    command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "600000");
    command.env("OTEL_BSP_SCHEDULE_DELAY", "20").env("OTEL_METRIC_EXPORT_INTERVAL", "100");
    let server = Server::start(command);
    let operator = server.first_key();
    (server, operator)
}

fn spans(got: &[Delivery]) -> Vec<Value> {
    let traces = got.iter().filter(|delivery| delivery.path == "/v1/traces").map(Delivery::json);
    let spans = |body: Value| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    traces.flat_map(spans).collect()
}

/// The value of a list of attributes under this name.
fn attribute<'a>(of: &'a Value, name: &str) -> &'a Value {
    let attributes = of["attributes"].as_array().unwrap();
    attributes.iter().find(|attribute| attribute["key"] == name).map_or(&Value::Null, |found| &found["value"])
}

#[test]
fn every_call_is_a_span_in_its_callers_trace_and_no_span_tells_a_secret() {
    let (house, collector) = (House::new(), Receiver::new());
    let (_server, operator) = reporting(&house, &format!("http://{}", collector.address));
    let session = operator.session(&json!({"agent_id": "agent-who-is-named"}));
    operator.post("/v1/secrets", &json!({"name": "name-of-it", "value": "value-of-it"})).ok();
    let traced = [("traceparent", &*format!("00-{TRACE}-{SPAN}-01"))];
    operator.send("GET", &format!("/v1/sessions/{session}"), &traced, "").ok();
    let ignored = [("traceparent", &*format!("00-{TRACE}-{SPAN}-00"))];
    operator.send("GET", "/v1/secrets", &ignored, "").ok();
    operator.pay(&session, "5").refused(403, "scope_denied");
    operator.tool("getSpend", &json!({}));
    operator.get("/v1/audit/export");

    let wanted =
        ["createApiKey", "createSession", "storeSecret", "getSession", "authorizePayment", "getSpend", "exportAudit"];
    let got = collector.wait_until("a span of every call", |got| {
        let spans = spans(got);
        wanted.iter().all(|name| spans.iter().any(|span| span["name"] == *name))
    });
    let all = spans(&got);
    let find = |name: &str| all.iter().find(|span| span["name"] == name).unwrap();
    assert!(all.iter().all(|span| span["name"] != "listSecrets"), "the caller did not want it recorded");
    assert_eq!((&find("getSession")["traceId"], &find("getSession")["parentSpanId"]), (&json!(TRACE), &json!(SPAN)));
    assert!(find("createSession")["parentSpanId"].is_null() && find("createSession")["traceId"] != TRACE);
    let refused = find("authorizePayment");
    assert_eq!(attribute(refused, "http.response.status_code")["intValue"], "403");
    assert_eq!(attribute(refused, "error.type")["stringValue"], "scope_denied");
    for span in &all {
        assert_eq!((text(span, "traceId").len(), text(span, "spanId").len()), (32, 16));
        let moment = |name: &str| text(span, name).parse::<u128>().unwrap();
        assert!(moment("startTimeUnixNano") <= moment("endTimeUnixNano"));
    }
    for delivery in &got {
        assert_eq!(delivery.header("content-type"), "application/json");
        assert_eq!(delivery.header("x-collector-key"), "for the collector");
        for secret in [operator.key(), &session, "agent-who-is-named", "name-of-it", "value-of-it", "for the collector"]
        {
            assert!(!delivery.body.contains(secret), "{secret} in {}", delivery.body);
        }
    }
}

#[test]
fn figures_are_those_of_prometheus() {
    let (house, collector) = (House::new(), Receiver::new());
    let (server, operator) = reporting(&house, &format!("http://{}", collector.address));
    for _ in 0..7 {
        operator.session(&json!({}));
    }
    drop(operator);
    // What is left is sent before the end.
    server.process.terminate();
    let (well, errors) = server.process.finish();
    assert!(well, "{errors}");
    let got = collector.got();
    let last = got.iter().rfind(|delivery| delivery.path == "/v1/metrics").unwrap().json();
    let sender = &last["resourceMetrics"][0];
    assert_eq!(attribute(&sender["resource"], "service.name")["stringValue"], "haldir");
    assert_eq!(attribute(&sender["resource"], "deployment.environment")["stringValue"], "test");
    let metrics = sender["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let points = |name: &str, kind: &str| {
        let metric = metrics.iter().find(|metric| metric["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        metric[kind]["dataPoints"].as_array().unwrap().clone()
    };
    let of = |points: &[Value]| {
        let is_it = |point: &&Value| attribute(point, "haldir.operation")["stringValue"] == "createSession";
        points.iter().find(is_it).unwrap().clone()
    };
    let answers = of(&points("haldir.requests", "sum"));
    assert_eq!(answers["asInt"], "7");
    assert_eq!(attribute(&answers, "http.response.status_code")["intValue"], "201");
    let latency = of(&points("haldir.request.duration", "histogram"));
    assert_eq!(latency["count"], "7");
    let (bounds, counts) = (latency["explicitBounds"].as_array().unwrap(), latency["bucketCounts"].as_array().unwrap());
    assert_eq!(bounds.len() + 1, counts.len());
    assert_eq!(counts.iter().map(|count| count.as_str().unwrap().parse::<u64>().unwrap()).sum::<u64>(), 7);
    assert!(latency["sum"].as_f64().unwrap() > 0.0);
    assert_eq!(points("haldir.spans.dropped", "sum")[0]["asInt"], "0");
    assert_eq!(points("haldir.writer.queue_depth", "gauge")[0]["asInt"], "0");
}

/// Calls, and the end, take as long as they take without a collector.
fn goes_on(endpoint: &str) {
    let house = House::new();
    let (server, operator) = reporting(&house, endpoint);
    let session = operator.session(&json!({}));
    let path = format!("/v1/sessions/{session}");
    // More than the queue holds: a call that waited for the collector would wait for ten minutes.
    at_once(6, |_| {
        let client = operator.again();
        (0..500).for_each(|_| drop(client.get(&path).ok()));
    });
    let begun = Instant::now();
    server.process.terminate();
    let (well, errors) = server.process.finish();
    assert!(well, "{errors}");
    assert!(begun.elapsed() < Duration::from_secs(60), "the end took {:?}", begun.elapsed());
    assert!(!errors.contains("panicked"), "{errors}");
    let complaints = errors.lines().filter(|line| line.contains("collector takes nothing")).count();
    assert!(complaints <= 2, "one for spans and one for figures, not {complaints}");
}

#[test]
fn a_collector_that_does_not_listen_slows_no_call_and_no_shutdown() {
    let port = HeldPort::new();
    goes_on(&format!("http://{}", port.address()));
}

#[test]
fn a_collector_that_never_answers_slows_no_call_and_no_end() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    goes_on(&format!("http://{}", silent.local_addr().unwrap()));
    drop(silent);
}

#[test]
fn a_collector_that_refuses_for_a_while_gets_what_waited() {
    use crate::support::Reply;
    let (house, collector) = (House::new(), Receiver::new());
    collector.then([Reply::status(503), Reply::status(503)]);
    let (_server, operator) = reporting(&house, &format!("http://{}", collector.address));
    operator.session(&json!({}));
    collector.wait_until("the span that was refused at first", |got| {
        spans(got).iter().filter(|span| span["name"] == "createApiKey").count() >= 1
            && spans(got).iter().any(|span| span["name"] == "createSession")
    });
}
