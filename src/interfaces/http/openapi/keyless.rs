//! Paths without a key that are no operation: health, status, the index.

use serde_json::{Value, json};

use super::{COMPONENTS, capitalised};

fn schema(path: &str) -> Value {
    let (text, number) = (json!({"type": "string"}), json!({"type": "number", "description": "Unix seconds"}));
    let service = json!({"type": "string", "const": "haldir"});
    let truth = json!({"type": "boolean"});
    let seconds = json!({"type": ["number", "null"], "minimum": 0});
    let properties = match path {
        "/healthz" => json!({
            "status": {"type": "string", "const": "ok"}, "service": service, "version": text, "alive": truth,
            "checked_at": number,
        }),
        "/v1/status" => json!({
            "status": {"type": "string", "enum": ["ok", "degraded", "down"]}, "checked_at": number,
            "components": {"type": "array", "items": {
                "type": "object",
                "required": ["name", "state", "message", "checked_at"],
                "properties": {"name": text, "state": text, "message": text, "checked_at": number},
            }},
            "metrics": {
                "type": "object",
                "required": ["success_rate", "latency_seconds"],
                "properties": {
                    "success_rate": {
                        "type": "object",
                        "required": ["total", "errors", "ratio"],
                        "properties": {
                            "total": {"type": "integer", "minimum": 0}, "errors": {"type": "integer", "minimum": 0},
                            "ratio": {"type": "number", "minimum": 0, "maximum": 1},
                        },
                    },
                    "latency_seconds": {
                        "type": "object",
                        "required": ["p50", "p95", "p99"],
                        "properties": {"p50": seconds, "p95": seconds, "p99": seconds},
                    },
                },
            },
        }),
        "/livez" => json!({"alive": truth, "service": service, "checked_at": number}),
        "/readyz" => json!({
            "ready": truth, "service": service, "checked_at": number,
            "checks": {"type": "array", "items": {
                "type": "object",
                "required": ["name", "ok", "message", "duration_ms"],
                "properties": {"name": text, "ok": truth, "message": text, "duration_ms": {"type": "number"}},
            }},
        }),
        _ => json!({
            "service": service, "version": text, "docs": {"type": "string", "format": "uri"},
            "endpoints": {"type": "object", "additionalProperties": {"type": "string"}},
        }),
    };
    let required: Vec<_> = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

/// A path of this kind, and the name and the schema of its answer.
pub(super) fn path(path: &str, description: &str) -> (Value, (String, Value)) {
    let id = match path {
        "/healthz" => "healthCheck",
        "/livez" => "livenessCheck",
        "/readyz" => "readinessCheck",
        "/v1/status" => "getStatus",
        _ => "apiIndex",
    };
    let name = format!("{}Response", capitalised(id));
    let content = json!({"application/json": {"schema": {"$ref": format!("#{COMPONENTS}/{name}")}}});
    let mut responses = json!({"200": {"description": description, "content": content}});
    if path == "/readyz" {
        responses["503"] = json!({"description": "Not ready", "content": content});
    }
    let described = json!({"get": {
        "operationId": id, "summary": description, "tags": ["health"], "security": [], "responses": responses,
    }});
    (described, (name, schema(path)))
}
