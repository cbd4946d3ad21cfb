//! What needs no key: liveness, readiness, and the index of the API.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::{extract::State, response::Response};
use serde_json::{Map, Value, json};

use super::{App, respond};
use crate::{
    model::{Clock, time::SystemClock},
    operations::{self, Haldir, ReplicaStatus},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The process runs.
pub async fn healthz() -> Response {
    let checked_at = SystemClock.now();
    let body = json!({
        "status": "ok", "service": "haldir", "version": VERSION, "alive": true, "checked_at": checked_at,
    });
    respond::json(200, body.to_string())
}

/// The process runs: for orchestrators that ask for that alone.
pub async fn livez() -> Response {
    let body = json!({"alive": true, "service": "haldir", "checked_at": SystemClock.now()});
    respond::json(200, body.to_string())
}

/// The process can do its work: each thing it needs, by name.
pub async fn readyz(State(app): State<App>) -> Response {
    let (database, writes, took) = check_store(&app.shared.haldir).await;
    let took = (took.as_secs_f64() * 1e6).round() / 1e3;
    let ready = database && writes;
    let check = |name: &str, ok: bool, message: &str, took: f64| json!({"name": name, "ok": ok, "message": message, "duration_ms": took});
    let away = match app.shared.haldir.outage() {
        Some((since, cause)) if !database => {
            format!("the database cannot be reached since {}: {cause}", since.to_rfc3339())
        }
        _ => "the store does not answer".to_owned(),
    };
    let mut checks = vec![
        check("database", database, if database { "ok" } else { &away }, took),
        check("writes", writes, if writes { "ok" } else { "the store takes no writes; its disk may be full" }, 0.0),
        // Opening the store has applied the migrations and opened a value sealed under the key: both held then.
        check("migrations", true, "ok", 0.0),
        check("encryption_key", true, "ok", 0.0),
    ];
    if let Some(ReplicaStatus { unused, .. }) = app.shared.haldir.replica() {
        let passed_on = unused.map(|(since, why)| format!("not read since {}: {why}", since.to_rfc3339()));
        // The primary answers instead: the process is ready all the same.
        checks.push(check("replica", passed_on.is_none(), passed_on.as_deref().unwrap_or("ok"), 0.0));
    }
    let checked_at = SystemClock.now();
    let body = json!({"ready": ready, "service": "haldir", "checked_at": checked_at, "checks": checks});
    respond::json(if ready { 200 } else { 503 }, body.to_string())
}

/// Whether the store answers, whether it takes writes, and how long the answer took. Writes are tried only if it answers.
pub async fn check_store(haldir: &Haldir) -> (bool, bool, Duration) {
    let (reader, began) = (haldir.clone(), Instant::now());
    let answers = tokio::task::spawn_blocking(move || reader.check_store()).await.is_ok_and(|checked| checked.is_ok());
    let took = began.elapsed();
    (answers, !answers || haldir.check_writes().await.is_ok(), took)
}

/// What there is.
pub async fn index(State(app): State<App>) -> Response {
    let mut groups = BTreeMap::new();
    for operation in operations::all() {
        let group = operation.path.split('/').nth(2).unwrap_or_default();
        groups.entry(group.to_owned()).or_insert_with(|| Value::from(format!("/v1/{group}")));
    }
    groups.insert("mcp".to_owned(), "/mcp".into());
    let endpoints: Map<String, Value> = groups.into_iter().collect();
    let docs = format!("{}/openapi.json", app.shared.public_url);
    let body = json!({"service": "haldir", "version": VERSION, "docs": docs, "endpoints": endpoints});
    respond::json(200, body.to_string())
}
