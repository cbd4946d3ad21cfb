//! Tools that need something of the client before they answer, as 2026-07-28 has it (SEP-2322): the result says
//! what, and the client calls again with it.

use std::collections::BTreeMap;

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, InputRequiredResult, InputResponses},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::server::{complete, typed};

/// The suffix that authenticates a state. A real server would use a MAC with a random key.
const SEAL: &str = "sealed-by-the-test-upstream";

/// A tool's answer, or `None` if the tool is none of these.
pub fn call(
    name: &str,
    params: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let responses = params.input_responses.as_ref();
    let answer = match name {
        "elicitation" => match elicited(responses, "user_name", "name") {
            Some(name) => said(&format!("Hello, {name}!")),
            None => ask(&json!({"user_name": form("What is your name?", "name", "string")}), None),
        },
        "sampling" => match sampled(responses, "capital_question") {
            Some(text) => said(&text),
            None => ask(&json!({"capital_question": sample("What is the capital of France?", 100)}), None),
        },
        "list_roots" => match responses.and_then(|all| all.get("client_roots")?.get("roots")?.as_array()) {
            Some(roots) => said(&format!("Roots: {}", json!(roots))),
            None => ask(&json!({"client_roots": roots()}), None),
        },
        "request_state" => match (elicited(responses, "confirm", "ok"), opened(params, "one")) {
            (Some(_), Some(true)) => said("state-ok"),
            (Some(_), _) => Err(bad_state()),
            (None, _) => ask(&json!({"confirm": form("Please confirm", "ok", "boolean")}), Some("one")),
        },
        "tampered_state" => match (params.request_state.is_some(), opened(params, "tampered")) {
            (true, Some(true)) => said("state-ok"),
            (true, _) => Err(bad_state()),
            (false, _) => ask(&json!({"confirm": form("Please confirm", "ok", "boolean")}), Some("tampered")),
        },
        "multiple_inputs" => {
            let all = (
                elicited(responses, "user_name", "name"),
                sampled(responses, "greeting"),
                responses.is_some_and(|all| all.contains_key("client_roots")),
            );
            match all {
                (Some(name), Some(greeting), true) if opened(params, "many") == Some(true) => {
                    said(&format!("{greeting} {name}"))
                }
                (Some(_), Some(_), true) => Err(bad_state()),
                _ => ask(
                    &json!({"user_name": form("What is your name?", "name", "string"),
                        "greeting": sample("Generate a greeting", 50), "client_roots": roots()}),
                    Some("many"),
                ),
            }
        }
        "multi_round" => multi_round(params),
        "capabilities" => by_capabilities(context),
        _ => return None,
    };
    Some(answer)
}

fn multi_round(params: &CallToolRequestParams) -> Result<CallToolResponse, ErrorData> {
    let responses = params.input_responses.as_ref();
    if let Some(color) = elicited(responses, "step2", "color") {
        return if opened(params, "second") == Some(true) {
            said(&format!("You like {color}."))
        } else {
            Err(bad_state())
        };
    }
    match elicited(responses, "step1", "name") {
        Some(_) if opened(params, "first") == Some(true) => {
            ask(&json!({"step2": form("Step 2: What is your favorite color?", "color", "string")}), Some("second"))
        }
        Some(_) => Err(bad_state()),
        None => ask(&json!({"step1": form("Step 1: What is your name?", "name", "string")}), Some("first")),
    }
}

/// Asks for what the client says that it can give.
fn by_capabilities(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    let capabilities = context.client_capabilities().unwrap_or_default();
    let mut asked = BTreeMap::new();
    if capabilities.elicitation.is_some() {
        asked.insert("user_name", form("What is your name?", "name", "string"));
    }
    if capabilities.sampling.is_some() {
        asked.insert("greeting", sample("Generate a greeting", 50));
    }
    if asked.is_empty() { said("The client can do nothing.") } else { ask(&json!(asked), None) }
}

/// What the prompt asks for.
pub fn prompt() -> Result<InputRequiredResult, ErrorData> {
    let asked = json!({"user_context": form("What context should the prompt use?", "context", "string")});
    typed(json!({"resultType": "input_required", "inputRequests": asked}))
}

/// A field of a form that a person has accepted, as text.
pub fn elicited(responses: Option<&InputResponses>, key: &str, field: &str) -> Option<String> {
    let response = responses?.get(key).filter(|response| response["action"] == "accept")?;
    match response.get("content")?.get(field)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn sampled(responses: Option<&InputResponses>, key: &str) -> Option<String> {
    Some(responses?.get(key)?.get("content")?.get("text")?.as_str()?.to_owned())
}

/// Whether the state is the one of this name; nothing if there is none.
fn opened(params: &CallToolRequestParams, state: &str) -> Option<bool> {
    params.request_state.as_ref().map(|sent| *sent == format!("{state}.{SEAL}"))
}

fn ask(requests: &Value, state: Option<&str>) -> Result<CallToolResponse, ErrorData> {
    let mut result = json!({"resultType": "input_required", "inputRequests": requests});
    if let Some(state) = state {
        result["requestState"] = format!("{state}.{SEAL}").into();
    }
    typed::<InputRequiredResult>(result).map(Into::into)
}

fn said(text: &str) -> Result<CallToolResponse, ErrorData> {
    complete::<CallToolResult>(json!({"content": [{"type": "text", "text": text}]})).map(Into::into)
}

fn bad_state() -> ErrorData {
    ErrorData::invalid_params("requestState is not what this server has made", None)
}

fn form(message: &str, field: &str, kind: &str) -> Value {
    let schema = json!({"type": "object", "properties": {field: {"type": kind}}, "required": [field]});
    json!({"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}})
}

fn sample(text: &str, tokens: u32) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": text}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": tokens}})
}

fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}
