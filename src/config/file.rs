//! The config file.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::bad_setting;
use crate::{
    call::AnomalyThresholds, error::Result, files::read_text, model::UpstreamName, outbound::connect::ConnectSettings,
    upstream::child::ChildUpstream,
};

/// The largest config file, in bytes: more is some other file.
const MAX_BYTES: u64 = 1024 * 1024;

/// What can be set in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// When an action is flagged.
    pub anomalies: AnomalyThresholds,
    /// MCP servers that haldir starts, and stands in front of.
    pub upstreams: BTreeMap<UpstreamName, ChildUpstream>,
    /// How the upstreams at some addresses are reached, by the address's origin.
    pub connections: BTreeMap<String, ConnectSettings>,
}

/// Reads the file; without one, everything has its default.
pub fn read(path: Option<&Path>) -> Result<ConfigFile> {
    let Some(path) = path else { return Ok(ConfigFile::default()) };
    let problem =
        |problem: &dyn std::fmt::Display| bad_setting("HALDIR_CONFIG", &format!("{}: {problem}", path.display()));
    let text = read_text(path, MAX_BYTES).map_err(|error| problem(&error))?;
    toml::from_str(&text).map_err(|error| problem(&error))
}
