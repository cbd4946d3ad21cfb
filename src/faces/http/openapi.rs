//! The OpenAPI 3.1 document, generated from the operations.

use axum::{extract::State, response::Response};
use serde_json::{Map, Value, json};

use super::{App, respond};
use crate::{
    error::{Code, Error, Result},
    operations::{self, Method, Operation, Run},
};

/// Where definitions of the document lie.
const COMPONENTS: &str = "/components/schemas";

/// The document.
pub async fn serve(State(app): State<App>) -> Response {
    respond::json(200, app.shared.openapi.clone())
}

/// Writes the document for a server at `public_url`.
pub fn document(public_url: &str) -> Result<String> {
    let mut settings = operations::schema_settings();
    settings.definitions_path = COMPONENTS.into();
    let mut inputs = settings.clone().for_deserialize().into_generator();
    let mut outputs = settings.for_serialize().into_generator();
    let mut paths = Map::new();
    for operation in operations::all() {
        let input = operation.input_schema_in(&mut inputs).to_value();
        let output = operation.output_schema_in(&mut outputs).to_value();
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = describe(operation, input, output);
    }
    for (path, description) in [
        ("/healthz", "Whether the process runs"),
        ("/readyz", "Whether the store answers, and each thing that haldir needs"),
        ("/v1", "What there is"),
        ("/v1/status", "How this process is doing, without a figure of any tenant"),
    ] {
        paths.insert(path.to_owned(), open_path(path, description));
    }
    let mut schemas = Map::new();
    schemas.extend(inputs.take_definitions(true));
    schemas.extend(outputs.take_definitions(true));
    schemas.insert("Error".to_owned(), error_schema());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "haldir",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Governance for AI agents: sessions with scopes and budgets, a vault, and an audit log that \
                            nobody can rewrite unnoticed.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": public_url}],
        "security": [{"BearerAuth": []}, {"ApiKeyAuth": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "BearerAuth": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer hld_…"},
                "ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    });
    serde_json::to_string(&document).map_err(Error::internal)
}

fn describe(operation: &Operation, mut input: Value, mut output: Value) -> Value {
    let description = take_description(&mut input);
    let answer = take_description(&mut output);
    let mut described = json!({
        "operationId": operation.name,
        "summary": operation.title,
        "description": format!("{description}\n\nNeeds the key scope `{}`{}.", operation.needs, role(operation)),
        "tags": [operation.needs.resource.name()],
        "parameters": parameters(operation, &mut input),
        "responses": responses(operation, &answer, &output),
    });
    if operation.method == Method::Post {
        let required = input["required"].as_array().is_some_and(|fields| !fields.is_empty());
        described["requestBody"] = json!({"required": required, "content": {"application/json": {"schema": input}}});
    }
    if operation.open_to_anonymous {
        described["security"] = json!([{}, {"BearerAuth": []}, {"ApiKeyAuth": []}]);
    }
    described
}

fn role(operation: &Operation) -> &'static str {
    match operation.needs.role {
        crate::model::Role::Operator => " and an operator's key",
        crate::model::Role::Agent => "",
    }
}

fn take_description(schema: &mut Value) -> String {
    let taken = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    taken.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Moves the fields that stand in the path or the query out of the input's schema.
fn parameters(operation: &Operation, input: &mut Value) -> Vec<Value> {
    let in_path: Vec<_> = operation.path_fields().collect();
    let required: Vec<String> = input["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let all_in_query = operation.method != Method::Post;
    let fields = match input["properties"].take() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let (moved, kept): (Map<_, _>, Map<_, _>) =
        fields.into_iter().partition(|(name, _)| all_in_query || in_path.contains(&name.as_str()));
    let still_required: Vec<_> = required.iter().filter(|name| kept.contains_key(*name)).cloned().collect();
    input["properties"] = Value::Object(kept);
    if still_required.is_empty() {
        input.as_object_mut().map(|input| input.remove("required"));
    } else {
        input["required"] = json!(still_required);
    }
    let mut parameters: Vec<Value> = moved
        .into_iter()
        .map(|(name, mut schema)| {
            let description = take_description(&mut schema);
            let is_path = in_path.contains(&name.as_str());
            // getSecret takes its session from the header as well, so that neither is required by itself.
            let is_required = is_path || (required.contains(&name) && name != "session_id");
            let place = if is_path { "path" } else { "query" };
            json!({"name": name, "in": place, "required": is_required, "description": description, "schema": schema})
        })
        .collect();
    if operation.name == "getSecret" {
        parameters.push(json!({
            "name": "X-Session-ID", "in": "header", "required": false, "schema": {"type": "string"},
            "description": "The session that asks, instead of session_id: a header is kept in no log of addresses.",
        }));
    }
    if operation.takes_idempotency_key() {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "The same call with the same key within 24 hours is carried out once, and answered again.",
        }));
    }
    parameters
}

fn responses(operation: &Operation, answer: &str, output: &Value) -> Value {
    let mut responses = Map::new();
    responses.insert(
        operation.status.to_string(),
        json!({"description": answer, "content": {"application/json": {"schema": output}}}),
    );
    let mut codes = vec![
        Code::InvalidArgument,
        Code::Unauthorized,
        Code::InsufficientScope,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::RateLimited,
        Code::Unavailable,
    ];
    if operation.method == Method::Post {
        codes.extend([Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType]);
        if matches!(operation.run, Run::Write(_)) {
            codes.extend([Code::Conflict, Code::IdempotencyMismatch]);
        }
    }
    for code in codes {
        let status = code.status();
        let names: Vec<_> = Code::ALL.iter().filter(|code| code.status() == status).map(|code| code.name()).collect();
        let description = format!("With one of the codes: {}", names.join(", "));
        let schema = json!({"$ref": format!("#{COMPONENTS}/Error")});
        responses.insert(
            status.to_string(),
            json!({"description": description, "content": {"application/json": {"schema": schema}}}),
        );
    }
    Value::Object(responses)
}

fn error_schema() -> Value {
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    json!({
        "type": "object",
        "required": ["error", "code"],
        "properties": {
            "error": {"type": "string", "description": "For people: what was wrong, and what would be right"},
            "code": {"type": "string", "enum": codes},
            "field": {"type": "string", "description": "The input field that it is about"},
            "retryable": {"type": "boolean", "description": "Whether the same call may succeed later"},
            "request_id": {"type": "string", "description": "As in the header X-Request-ID"},
        },
    })
}

fn open_path(path: &str, description: &str) -> Value {
    let id = match path {
        "/healthz" => "healthCheck",
        "/readyz" => "readinessCheck",
        "/v1/status" => "getStatus",
        _ => "apiIndex",
    };
    let schema = json!({"type": "object"});
    let mut responses =
        json!({"200": {"description": description, "content": {"application/json": {"schema": schema}}}});
    if path == "/readyz" {
        responses["503"] = json!({"description": "Not ready", "content": {"application/json": {"schema": schema}}});
    }
    json!({"get": {
        "operationId": id, "summary": description, "tags": ["health"], "security": [], "responses": responses,
    }})
}
