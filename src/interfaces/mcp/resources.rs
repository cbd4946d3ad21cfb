//! Resources: a session, an audit entry and the current tree head, by URI.

use percent_encoding::percent_decode_str;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::json;

use crate::{
    error::{Error, Result},
    interfaces::backend::Backend,
    model::Credential,
    operations::{self, CallOptions},
};

const TREE_HEAD: &str = "haldir://audit/tree-head";
const SESSIONS: &str = "haldir://sessions/";
const ENTRIES: &str = "haldir://audit/";
const JSON: &str = "application/json";

/// Resources with a fixed address.
pub fn all() -> Vec<Resource> {
    vec![
        Resource::new(TREE_HEAD, "tree-head")
            .with_title("Audit tree head")
            .with_description("How many entries the audit log has, and the Merkle root over all of them")
            .with_mime_type(JSON),
    ]
}

/// Resources by id.
pub fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(format!("{SESSIONS}{{session_id}}"), "session")
            .with_title("Session")
            .with_description("A session's scopes, budget and state")
            .with_mime_type(JSON),
        ResourceTemplate::new(format!("{ENTRIES}{{entry_id}}"), "audit-entry")
            .with_title("Audit entry")
            .with_description("One entry of the audit log")
            .with_mime_type(JSON),
    ]
}

/// Reads a resource.
pub async fn read(backend: &Backend, credential: &Credential, uri: &str) -> Result<ReadResourceResult> {
    let (name, input) = if uri == TREE_HEAD {
        ("getTreeHead", json!({}))
    } else if let Some(id) = uri.strip_prefix(SESSIONS) {
        ("getSession", json!({"session_id": decoded(id)?}))
    } else if let Some(id) = uri.strip_prefix(ENTRIES) {
        ("getAuditEntry", json!({"entry_id": decoded(id)?}))
    } else {
        return Err(unknown(uri));
    };
    let operation = operations::named(name).ok_or_else(|| unknown(uri))?;
    let reply = backend.call(operation, credential, &input.to_string(), CallOptions::counted()).await?;
    let contents = ResourceContents::text(reply.body.as_str(), uri).with_mime_type(JSON);
    Ok(ReadResourceResult::new(vec![contents]))
}

fn decoded(id: &str) -> Result<String> {
    percent_decode_str(id).decode_utf8().map(Into::into).map_err(|_| Error::invalid("uri", "the uri is not UTF-8"))
}

fn unknown(uri: &str) -> Error {
    let uri: String = uri.chars().take(200).collect();
    Error::not_found(format!("the resource {uri}")).field("uri").with("uri", uri)
}
