//! What stands beside a list in a result. It was never accepted, as tools are one by one: a server could say there
//! what it likes, and another thing tomorrow.

use serde_json::value::RawValue;

use crate::protocol::{
    json::{self, Object},
    meta::SERVER_INFO,
};

/// What MCP knows beside tools: none of it is text for a model.
const BESIDE_TOOLS: [&str; 5] = ["tools", "nextCursor", "resultType", "ttlMs", "cacheScope"];
/// The lists of MCP that are no tools.
const LISTS: [&str; 3] = ["prompts", "resources", "resourceTemplates"];
const META: &str = "_meta";

/// Whether a result that lists tools has something beside them that was never accepted.
pub(super) fn is_unaccepted(members: &Object<'_>) -> bool {
    members.0.iter().any(|(name, value)| match name.as_ref() {
        META => has_more(value),
        name => !BESIDE_TOOLS.contains(&name),
    })
}

/// A result that lists these tools, with what MCP knows beside them.
pub(super) fn with_tools(members: &Object<'_>, tools: &str) -> String {
    json::written(members.0.iter().filter_map(|(name, value)| match name.as_ref() {
        "tools" => Some((name.as_ref(), tools.to_owned())),
        META => Some((META, server_info(value)?)),
        name => BESIDE_TOOLS.contains(&name).then(|| (name, value.get().to_owned())),
    }))
}

/// A result that lists something else, without what its `_meta` says besides; `None` if it is no list, or says nothing.
pub(super) fn without_meta(members: &Object<'_>) -> Option<String> {
    let is_list = members.0.iter().any(|(name, _)| LISTS.contains(&name.as_ref()));
    if !is_list || !has_more(members.get(META)?) {
        return None;
    }
    Some(json::written(members.0.iter().filter_map(|(name, value)| match name.as_ref() {
        META => Some((META, server_info(value)?)),
        name => Some((name, value.get().to_owned())),
    })))
}

fn has_more(meta: &RawValue) -> bool {
    json::object(meta).map_or(true, |meta| meta.0.iter().any(|(name, _)| name != SERVER_INFO))
}

/// A `_meta` with the server's name and version, and nothing else.
fn server_info(meta: &RawValue) -> Option<String> {
    let info = json::object(meta).ok()?.get(SERVER_INFO)?;
    Some(json::written([(SERVER_INFO, info.get())]))
}
