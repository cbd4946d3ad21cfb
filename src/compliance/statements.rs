//! What each section speaks to, and what it does not show. The texts, in `sections.json`, are signed with the pack: a change
//! of one raises [`FORMAT_VERSION`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The version of the pack's members and texts.
pub const FORMAT_VERSION: i64 = 2;

/// What a pack is, for whoever reads it first.
pub const DISCLAIMER: &str = "This pack states what haldir recorded of AI agents in one period. It is one input to an audit, and no attestation: \
     it says nothing about people, policies, or systems that do not go through haldir.";

/// A section and its criterion.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Control {
    /// The SOC 2 trust services criterion that the section speaks to; null for none.
    pub criterion: Option<String>,
    /// The section's title.
    pub title: String,
    /// What it shows.
    pub evidence: String,
    /// What it does not show.
    pub does_not_show: String,
}

/// A section of a pack, by the member that holds its figures.
#[derive(Deserialize)]
pub struct Statement {
    /// The member.
    pub name: String,
    /// Its criterion.
    #[serde(flatten)]
    pub control: Control,
    /// Names of lines for people, and the places of their values in the pack (RFC 6901), separated by blanks.
    pub lines: Map<String, Value>,
}

/// The sections in their order.
pub fn all() -> Result<Vec<Statement>> {
    serde_json::from_str(include_str!("sections.json")).map_err(Error::internal)
}

/// How secrets are sealed.
pub const CIPHER: &str = "XChaCha20-Poly1305";
/// What a sealed secret is bound to.
pub const BOUND_TO: &str = "tenant, name, version, required scope, disclosure";
