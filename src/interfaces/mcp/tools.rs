//! The ten tools. They are listed from `schemas/tools.json`, which a test holds against the operations: to make that
//! text anew in each process would take a third of the time until it can answer, and a megabyte and a half.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject, Tool, ToolAnnotations};
use serde_json::{Value, json, value::RawValue};
use zeroize::Zeroizing;

use super::session::{ARGUMENT, needs_session};
use crate::{
    error::{Code, Error, Result},
    interfaces::backend::Backend,
    model::Credential,
    operations::{self, CallOptions, Operation, Reply, schema_forms, take_idempotency_key},
};

/// The member of `_meta` that says how old the data of a result is, in seconds, where a replica of the database has answered.
const DATA_AGE: &str = "io.haldir/data_age_seconds";

static TOOLS: LazyLock<Vec<Tool>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../schemas/tools.json")).unwrap_or_default());

/// The tools as MCP lists them.
pub fn all() -> &'static [Tool] {
    &TOOLS
}

/// The tools as the operations have them: what `schemas/tools.json` is made of.
pub fn of_operations() -> Vec<Tool> {
    operations::all().iter().filter(|operation| operation.tool.is_some()).map(tool).collect()
}

fn tool(operation: &Operation) -> Tool {
    let hints = operation.tool.unwrap_or(operations::Hints::ADDS);
    let annotations = ToolAnnotations::with_title(operation.title)
        .read_only(hints.read_only)
        .destructive(hints.destructive)
        .idempotent(hints.idempotent)
        .open_world(false);
    Tool::new(operation.name, operation.description(), input_schema(operation))
        .with_title(operation.title)
        .with_raw_output_schema(Arc::new(object(operation.output_schema().to_value())))
        .with_annotations(annotations)
}

/// The input's schema, with the field that every tool that writes takes.
fn input_schema(operation: &Operation) -> Arc<JsonObject> {
    let mut schema = object(operation.input_schema().to_value());
    // The tool has it.
    schema.remove("description");
    if needs_session(operation) {
        // Over MCP the connection has one.
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.retain(|name| name != ARGUMENT);
        }
        if let Some(Value::Object(session)) = schema["properties"].get_mut(ARGUMENT) {
            let about = session.get("description").and_then(Value::as_str).unwrap_or_default();
            let about = format!("{about} Default: the session that this client made last.");
            session.insert("description".to_owned(), about.into());
            schema_forms::nullable(session);
        }
    }
    if operation.takes_idempotency_key() {
        schema["properties"]["idempotency_key"] = json!({
            "anyOf": [{"type": "string", "minLength": 1, "maxLength": 255}, {"type": "null"}],
            "description": "A text of your choice that makes a retry safe: the same call with the same key within 24 \
                            hours is carried out once, and answered again.",
        });
    }
    Arc::new(schema)
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

/// What a tool call is answered with.
pub struct Outcome {
    /// JSON: the answer, or the refusal.
    pub json: Zeroizing<String>,
    /// Of a refusal: the sentence that stands in front of the JSON.
    pub sentence: Option<String>,
    /// Whether `json` fits the tool's output schema. A refusal only does where the schema has room for it, and
    /// clients check it even then.
    pub structured: bool,
    /// Whether haldir said no.
    pub is_error: bool,
    /// How old the data is, where a replica has answered.
    data_age: Option<Duration>,
}

/// Calls a tool with its arguments as they were written, in a request that was counted against the hourly limit already
/// or not. An `Err` is about the caller, not about the call.
pub async fn call(
    backend: &Backend,
    credential: &Credential,
    operation: &'static Operation,
    arguments: &str,
    is_counted: bool,
) -> Result<Outcome> {
    let arguments = &*said(operation, arguments);
    let answer = match options(operation, arguments) {
        Ok((input, options)) => {
            backend.call(operation, credential, &input, CallOptions { is_counted, may_lag: true, ..options }).await
        }
        Err(error) if is_counted => Err(error),
        // The operation was not called, so the caller was not authenticated yet.
        Err(error) => Err(backend.admit(credential).await.err().unwrap_or(error)),
    };
    match answer {
        Ok(Reply { body, data_age, .. }) => {
            Ok(Outcome { json: body, sentence: None, structured: true, is_error: false, data_age })
        }
        Err(error) if matches!(error.code, Code::Unauthorized | Code::RateLimited) => Err(error),
        Err(error) => Ok(refusal(&error)),
    }
}

/// The arguments without those that say nothing: models send `""` for what they leave out.
fn said<'a>(operation: &Operation, arguments: &'a str) -> Cow<'a, str> {
    const EMPTY: &str = "\"\"";
    if !arguments.contains(EMPTY) {
        return Cow::Borrowed(arguments);
    }
    let Ok(mut fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(arguments) else {
        return Cow::Borrowed(arguments);
    };
    let Some(tool) = all().iter().find(|tool| tool.name == operation.name) else { return Cow::Borrowed(arguments) };
    let required = tool.input_schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    let may_be_left_out = |name: &str| {
        let schema = tool.input_schema.get("properties").and_then(|all| all.get(name));
        // One that is no text at all is refused, as every text there.
        schema
            .is_some_and(|schema| !is_required(name) && takes_text(schema) && !jsonschema::is_valid(schema, &json!("")))
    };
    let before = fields.len();
    fields.retain(|name, value| value.get() != EMPTY || !may_be_left_out(name));
    if fields.len() == before {
        return Cow::Borrowed(arguments);
    }
    serde_json::to_string(&fields).map_or(Cow::Borrowed(arguments), Cow::Owned)
}

fn takes_text(schema: &Value) -> bool {
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    schema["type"] == "string" || alternatives.into_iter().any(takes_text)
}

fn options(operation: &Operation, arguments: &str) -> Result<(String, CallOptions)> {
    if !operation.takes_idempotency_key() {
        return Ok((arguments.to_owned(), CallOptions::default()));
    }
    let (input, idempotency_key) = take_idempotency_key(arguments)?;
    Ok((input, CallOptions { idempotency_key, ..CallOptions::default() }))
}

/// A refusal as a tool result: `authorizePayment` alone says no within its schema.
pub fn refusal(error: &Error) -> Outcome {
    let json = Zeroizing::new(error.body(None));
    let structured = error.extra("authorized").is_some();
    Outcome { json, sentence: Some(error.sentence()), structured, is_error: true, data_age: None }
}

impl Outcome {
    /// What the model reads: the answer as JSON; of a refusal, a sentence and the JSON after it.
    pub fn text(&self) -> Zeroizing<String> {
        match &self.sentence {
            Some(sentence) => Zeroizing::new(format!("{sentence}\n{}", *self.json)),
            None => self.json.clone(),
        }
    }

    /// What the result says about itself, if anything.
    pub fn meta(&self) -> Option<JsonObject> {
        let seconds = (self.data_age?.as_secs_f64() * 1e3).round() / 1e3;
        Some(JsonObject::from_iter([(DATA_AGE.to_owned(), seconds.into())]))
    }

    /// As rmcp sends it.
    pub fn into_result(self) -> CallToolResult {
        let content = vec![ContentBlock::text(self.text().as_str())];
        let mut result = if self.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
        result.meta = self.meta().map(MetaObject);
        if self.structured {
            result.structured_content = serde_json::from_str(&self.json).ok();
        }
        result
    }
}
