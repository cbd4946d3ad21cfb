//! Completion: session ids for `session_id`, newest first.

use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference};
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    interfaces::{
        backend::Backend,
        mcp::{prompts, resources},
    },
    model::Credential,
    operations::{self, CallOptions},
};

/// Completes an argument of a prompt or of a resource template.
pub async fn complete(
    backend: &Backend,
    credential: &Credential,
    params: &CompleteRequestParams,
) -> Result<CompleteResult> {
    let known = match &params.r#ref {
        Reference::Prompt(prompt) => prompts::all().iter().any(|known| known.name == prompt.name),
        Reference::Resource(resource) => resources::templates().iter().any(|known| known.uri_template == resource.uri),
        _ => false,
    };
    if !known {
        return Err(Error::invalid("ref", "there is no such prompt or resource template"));
    }
    let values = match params.argument.name.as_str() {
        "session_id" => session_ids(backend, credential, &params.argument.value).await?,
        _ => Vec::new(),
    };
    let info = CompletionInfo::new(values).map_err(Error::internal)?;
    Ok(CompleteResult::new(info))
}

async fn session_ids(backend: &Backend, credential: &Credential, start: &str) -> Result<Vec<String>> {
    let start: String = start.chars().take(128).collect();
    let input = json!({"id_prefix": start, "limit": CompletionInfo::MAX_VALUES}).to_string();
    let operation = operations::named("listSessions").ok_or_else(|| Error::internal("listSessions is not listed"))?;
    let reply = backend.call(operation, credential, &input, CallOptions::counted()).await?;
    let list: Value = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let sessions = list["sessions"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(sessions.iter().filter_map(|session| session["session_id"].as_str().map(str::to_owned)).collect())
}
