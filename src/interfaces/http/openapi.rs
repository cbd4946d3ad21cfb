//! The OpenAPI 3.1 document, generated from the operations.

use serde_json::{Map, Value, json};

use super::respond::{NDJSON, PLAIN_TEXT};
use crate::{
    error::{Code, Error, Result},
    model::{Resource, SessionId},
    operations::{self, Operation},
};

/// The path of definitions in the document.
const COMPONENTS: &str = "/components/schemas";

/// The text of a header: ASCII, without white space at either end (RFC 9110, section 5.5).
const HEADER_PATTERN: &str = "^[!-~]([ -~]*[!-~])?$";

/// Writes the document for a server at `public_url`.
pub fn document(public_url: &str) -> Result<String> {
    let mut settings = operations::schema_settings(true);
    settings.definitions_path = COMPONENTS.into();
    let mut inputs = settings.clone().for_deserialize().into_generator();
    let mut outputs = settings.for_serialize().into_generator();
    let (mut paths, mut named) = (Map::new(), Map::new());
    for operation in operations::all() {
        let input = operation.input_schema_in(&mut inputs).to_value();
        let output = operation.output_schema_in(&mut outputs).to_value();
        let path = paths.entry(operation.path.replace("{*", "{")).or_insert_with(|| json!({}));
        let mut described = describe(operation, input, output);
        named.extend(name_parts(operation, &mut described));
        path[operation.method.as_str().to_ascii_lowercase()] = described;
    }
    let mut document = base()?;
    paths.extend(members(document["paths"].take()));
    let schemas = inputs.take_definitions(true).into_iter().chain(outputs.take_definitions(true)).chain(named);
    let schemas: Map<_, _> = schemas.chain(members(document["components"]["schemas"].take())).collect();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["servers"] = json!([{"url": public_url}]);
    document["tags"] = tags().into();
    document["paths"] = paths.into();
    document["components"]["schemas"] = schemas.into();
    serde_json::to_string(&document).map_err(Error::internal)
}

/// The document without operations: errors, and the paths without a key that are no operation.
fn base() -> Result<Value> {
    let mut base: Value = serde_json::from_str(include_str!("openapi/base.json")).map_err(Error::internal)?;
    for name in ["Error", "RateLimitError"] {
        let schema = &mut base["components"]["schemas"][name];
        schema["properties"]["code"]["enum"] = Code::ALL.iter().map(|code| code.name()).collect();
    }
    Ok(base)
}

fn members(object: Value) -> Map<String, Value> {
    if let Value::Object(members) = object { members } else { Map::new() }
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
    if operation.method.has_body() {
        let required = input["required"].as_array().is_some_and(|fields| !fields.is_empty());
        described["requestBody"] = json!({"required": required, "content": {"application/json": {"schema": input}}});
    }
    if operation.open_to_anonymous {
        described["security"] = json!([{}, {"BearerAuth": []}, {"ApiKeyAuth": []}]);
    }
    described
}

/// Moves the schemas of request and response to the components: generators of clients name their types by these.
fn name_parts(operation: &Operation, described: &mut Value) -> Map<String, Value> {
    let name = capitalised(operation.name);
    let status = operation.status.to_string();
    let mut named = Map::new();
    for (place, end) in [
        ("/requestBody".to_owned(), "Request"),
        (format!("/responses/{status}"), "Response"),
        ("/responses/403".to_owned(), "Refusal"),
    ] {
        let schema = described.pointer_mut(&format!("{place}/content/application~1json/schema"));
        if let Some(schema) = schema.filter(|schema| schema["$ref"].is_null()) {
            let name = format!("{name}{end}");
            let reference = json!({"$ref": format!("#{COMPONENTS}/{name}")});
            named.insert(name, std::mem::replace(schema, reference));
        }
    }
    named
}

/// The name of an operation as the prefix of a type name.
fn capitalised(operation: &str) -> String {
    let mut name = operation.to_owned();
    name[..1].make_ascii_uppercase();
    name
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

/// Moves the fields in the path or the query out of the input's schema.
fn parameters(operation: &Operation, input: &mut Value) -> Vec<Value> {
    let in_path: Vec<_> = operation.path_fields().collect();
    let required: Vec<String> = input["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let all_in_query = !operation.method.has_body();
    let (moved, kept): (Map<_, _>, Map<_, _>) = members(input["properties"].take())
        .into_iter()
        .partition(|(name, _)| all_in_query || in_path.contains(&name.as_str()));
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
            // getSecret also takes its session from the header, so that neither is required by itself.
            let is_required = is_path || (required.contains(&name) && name != "session_id");
            let place = if is_path { "path" } else { "query" };
            let schema = as_text(schema);
            json!({"name": name, "in": place, "required": is_required, "description": description, "schema": schema})
        })
        .collect();
    if operation.name == "getSecret" {
        parameters.push(json!({
            "name": "X-Session-ID", "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": SessionId::MAX_CHARS, "pattern": HEADER_PATTERN},
            "description": "The session that asks, instead of session_id: a header is kept in no log of addresses.",
        }));
    }
    if operation.takes_idempotency_key() {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": HEADER_PATTERN},
            "description": "The same call with the same key within 24 hours is carried out once, and answered again.",
        }));
    }
    parameters
}

/// A field's schema where it is written as text: a missing field is left out, never null, and booleans are words.
fn as_text(mut schema: Value) -> Value {
    let nullable = |one: &Value| one == "null" || one["type"] == "null";
    for alternatives in ["type", "anyOf"] {
        let Some(Value::Array(all)) = schema.get_mut(alternatives) else { continue };
        all.retain(|one| !nullable(one));
        let [only] = all.as_slice() else { continue };
        let only = only.clone();
        match (&only, alternatives) {
            (_, "type") => schema["type"] = only,
            (Value::Object(rules), _) => {
                if let Some(members) = schema.as_object_mut() {
                    members.remove(alternatives);
                    members.extend(rules.clone());
                }
            }
            _ => {}
        }
    }
    if schema["default"].is_null() {
        schema.as_object_mut().map(|schema| schema.remove("default"));
    }
    if schema["type"] == "boolean" {
        schema["type"] = "string".into();
        schema["enum"] = json!(["true", "false"]);
        if let Some(Value::Bool(default)) = schema.get("default").cloned() {
            schema["default"] = default.to_string().into();
        }
    }
    schema
}

fn responses(operation: &Operation, answer: &str, output: &Value) -> Value {
    let mut responses = Map::new();
    let description = if answer.is_empty() { operation.title } else { answer };
    let mut success = json!({"description": description});
    if operation.status != 204 {
        // OpenAPI 3.1 has no schema for JSON lines.
        let schema = |name: &str| match name {
            "application/json" => json!({"schema": output}),
            NDJSON => json!({"schema": {"type": "string", "description": "JSON, one value a line."}}),
            PLAIN_TEXT => json!({"schema": {
                "type": "string",
                "description": "The same lines, for clients that accept text and nothing else.",
            }}),
            _ => json!({"schema": {"type": "string"}}),
        };
        // Generators without JSON lines drop a response that has no other type.
        let as_text = operation.media_types.contains(&NDJSON).then_some(PLAIN_TEXT);
        let content = operation.media_types.iter().copied().chain(as_text).map(|name| (name.to_owned(), schema(name)));
        success["content"] = Value::Object(content.collect());
    }
    if operation.may_lag {
        success["headers"] = json!({"Haldir-Data-Age": {
            "description": "How old the data is at most, in seconds, where a replica of the database has answered; absent where \
                the database itself has.",
            "schema": {"type": "number", "minimum": 0},
        }});
    }
    responses.insert(operation.status.to_string(), success);
    let mut codes = vec![
        Code::InvalidArgument,
        Code::Unauthorized,
        Code::InsufficientScope,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::RateLimited,
        Code::Unavailable,
    ];
    if operation.method.has_body() {
        codes.extend([Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType]);
        if operation.run.changes() {
            codes.extend([Code::Conflict, Code::IdempotencyMismatch]);
        }
    }
    for code in codes {
        let status = code.status();
        let names: Vec<_> = Code::ALL.iter().filter(|code| code.status() == status).map(|code| code.name()).collect();
        let description = format!("With one of the codes: {}", names.join(", "));
        let schema = match code {
            Code::RateLimited => json!({"$ref": format!("#{COMPONENTS}/RateLimitError")}),
            Code::InsufficientScope if operation.name == "authorizePayment" => payment_refusal(output),
            Code::InsufficientScope if operation.name == "proxyCall" => call_refusal(output),
            _ => json!({"$ref": format!("#{COMPONENTS}/Error")}),
        };
        let content = json!({"application/json": {"schema": schema, "example": error_example(operation, code)}});
        let mut response = json!({"description": description, "content": content});
        if code == Code::RateLimited {
            response["headers"] = limit_headers();
        }
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}

/// The shape of an error.
fn error_example(operation: &Operation, code: Code) -> Value {
    let message = match code {
        Code::InvalidArgument => "limit must be from 1 to 1000",
        Code::Unauthorized => "the API key is missing or not valid: send Authorization: Bearer hld_…, or X-API-Key",
        Code::InsufficientScope => "the API key lacks the scope audit:read; it has: sessions:read",
        Code::NotFound => "session ses_… was not found",
        Code::MethodNotAllowed => "/v1/audit does not take PATCH; GET /openapi.json says what it takes",
        Code::RequestTimeout => "the request body did not arrive within 30 s",
        Code::Conflict => "this call was carried out before; its answer held a secret and was not kept",
        Code::PayloadTooLarge => "a request body has at most 1048576 bytes",
        Code::UnsupportedMediaType => "send JSON, with Content-Type: application/json",
        Code::IdempotencyMismatch => "this idempotency key came with another call before: use a new key for a new call",
        Code::RateLimited => "the hourly limit of 100 calls of the free tier is reached: try again in 1742 s",
        _ => "the store is busy with other processes; try again",
    };
    let mut error = Error::new(code, message);
    if code == Code::RateLimited {
        error = error.with("limit", 100).with("tier", "free").with("retry_after", 1742);
    }
    if code == Code::InsufficientScope && operation.name == "authorizePayment" {
        error = error.with("authorized", false);
    }
    if code == Code::InsufficientScope && operation.name == "proxyCall" {
        let told = json!({"error": message, "code": code.name(), "blocked_by": "haldir"}).to_string();
        error = error.with("isError", true).with("content", json!([{"type": "text", "text": told}]));
    }
    serde_json::from_str(&error.body(Some("req_ZjX6wXKop-1a"))).unwrap_or_default()
}

/// The rate-limit headers of every response to a known key while limits are on.
fn limit_headers() -> Value {
    let header = |description: &str| json!({"description": description, "schema": {"type": "integer"}});
    json!({
        "Retry-After": header("Seconds until the hour ends"),
        "X-RateLimit-Limit": header("Calls an hour"),
        "X-RateLimit-Remaining": header("Calls left"),
        "X-RateLimit-Reset": header("When the hour ends, in Unix seconds"),
    })
}

/// A refused payment is an error and a `PaymentResult` in one.
fn payment_refusal(output: &Value) -> Value {
    let mut schema = error_schema();
    for (name, property) in output["properties"].as_object().into_iter().flatten() {
        schema["properties"][name] = property.clone();
    }
    schema["required"] = json!(["error", "code", "authorized"]);
    schema
}

/// A refused call is an error and a tool's result in one.
fn call_refusal(output: &Value) -> Value {
    let mut schema = error_schema();
    schema["properties"]["content"] = output["properties"]["content"].clone();
    schema["properties"]["isError"] =
        json!({"type": "boolean", "const": true, "description": "Always true: the call was not made"});
    schema["required"] = json!(["error", "code", "isError", "content"]);
    schema
}

fn error_schema() -> Value {
    base().map(|mut base| base["components"]["schemas"]["Error"].take()).unwrap_or_default()
}

/// The descriptions of the tags that operations use.
fn tags() -> Vec<Value> {
    let about = |resource: Resource| match resource {
        Resource::Sessions => "Sessions: scopes, budgets, lifetimes, delegation, permission checks",
        Resource::Vault => "Secrets, sealed at rest and read within a session",
        Resource::Audit => "The tamper-evident log, and what it adds up to",
        Resource::Payments => "Payments within a session's budget",
        Resource::Webhooks => "Events, delivered to addresses of the operator's choice",
        Resource::Proxy => "Upstream MCP servers, called under policy",
        Resource::Approvals => "Requests that a person decides",
        Resource::Admin => "API keys, and the tenant as a whole",
    };
    let used = |resource: &Resource| operations::all().iter().any(|operation| operation.needs.resource == *resource);
    let mut tags: Vec<_> = Resource::ALL
        .iter()
        .filter(|(_, resource)| used(resource))
        .map(|(name, resource)| json!({"name": name, "description": about(*resource)}))
        .collect();
    tags.push(json!({"name": "health", "description": "What needs no key: liveness, readiness, the index"}));
    tags
}
