//! The names that tools are listed under. Model APIs and hosted clients refuse a list of which one name does not match
//! `^[a-zA-Z0-9_-]{1,64}$`, so that a tool is listed as `upstream__tool`; what does not fit is shortened, with a digest that
//! keeps names apart. `upstream.tool`, by which the log and policies know a tool, is always accepted.

use clap::ValueEnum;

use super::{catalogue::MAX_PINS, register_upstream::MAX_UPSTREAMS};
use crate::{
    crypto,
    error::Result,
    model::{TenantId, UpstreamName},
    store::ReadTx,
    watch::canonical::hex,
};

/// The longest name that every model API takes.
const MAX_CHARS: usize = 64;
/// Between the names of the upstream and the tool.
const SEPARATOR: &str = "__";
/// Characters of the digest behind a shortened name.
const DIGEST_CHARS: usize = 8;

/// Which form the names of listed tools have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ToolNames {
    /// `upstream__tool`, which every model API takes.
    #[default]
    Plain,
    /// `upstream.tool`.
    Dotted,
}

impl ToolNames {
    /// The name that a tool is listed under.
    pub fn of(self, upstream: &UpstreamName, tool: &str) -> String {
        match self {
            Self::Plain => plain(upstream.as_str(), tool),
            Self::Dotted => format!("{upstream}.{tool}"),
        }
    }
}

/// `upstream__tool`, or what stands in its place.
pub fn plain(upstream: &str, tool: &str) -> String {
    let name = format!("{upstream}{SEPARATOR}{tool}");
    if is_clear(upstream) && name.len() <= MAX_CHARS && name.chars().all(is_allowed) {
        return name;
    }
    let digest = hex(&crypto::digest(&[upstream.as_bytes(), b".", tool.as_bytes()]));
    let mut name: String = name.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    // Of ASCII alone by now.
    name.truncate(MAX_CHARS - DIGEST_CHARS - 1);
    format!("{name}_{}", &digest[..DIGEST_CHARS])
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Whether the first separator of `upstream__tool` is the one between the two.
fn is_clear(upstream: &str) -> bool {
    !upstream.contains(SEPARATOR) && !upstream.ends_with('_')
}

/// The name in full, `upstream.tool`, of the tool that is listed under this name; `None` if none is.
pub fn in_full(tx: &dyn ReadTx, tenant: &TenantId, called: &str) -> Result<Option<String>> {
    let Some((first, _)) = called.split_once(SEPARATOR) else { return Ok(None) };
    let split = |at: usize| Some((UpstreamName::parse(&called[..at]).ok()?, &called[at + SEPARATOR.len()..]));
    let known = |upstream: &UpstreamName, tool: &str| -> Result<Option<String>> {
        let pinned = tx.pinned_tool(tenant, upstream, tool)?;
        Ok(pinned.map(|tool| tool.qualified()))
    };
    let begin = split(first.len());
    if let Some((upstream, tool)) = &begin
        && is_clear(upstream.as_str())
        && let Some(name) = known(upstream, tool)?
    {
        return Ok(Some(name));
    }
    if is_shortened(called) {
        let upstreams = match begin {
            Some((upstream, _)) if tx.upstream(tenant, &upstream)?.is_some() => vec![upstream],
            _ => {
                // One whose own name stands in front, as far as there was room for it.
                let begins = |upstream: &UpstreamName| {
                    let name = upstream.as_str();
                    called.starts_with(&name[..name.len().min(MAX_CHARS - DIGEST_CHARS - 1)])
                };
                let all = tx.upstreams(tenant, MAX_UPSTREAMS)?.into_iter().map(|upstream| upstream.name);
                all.filter(begins).collect()
            }
        };
        for upstream in upstreams {
            let mut tools = tx.callable_tools(tenant, &upstream, MAX_PINS)?.into_iter();
            if let Some((tool, _)) = tools.find(|(tool, _)| plain(upstream.as_str(), tool) == called) {
                return Ok(Some(format!("{upstream}.{tool}")));
            }
        }
    }
    // By a separator within the upstream's own name, as a person would write it.
    for at in 0..called.len() {
        if called.as_bytes()[at..].starts_with(SEPARATOR.as_bytes())
            && let Some((upstream, tool)) = split(at)
            && let Some(name) = known(&upstream, tool)?
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether a digest may stand at the end.
fn is_shortened(name: &str) -> bool {
    let Some((_, digest)) = name.rsplit_once('_') else { return false };
    name.len() <= MAX_CHARS
        && digest.len() == DIGEST_CHARS
        && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_one_that_model_apis_take_and_no_two_are_the_same() {
        let long = "t".repeat(128);
        let tools = [
            ("up", "echo"),
            ("up", "get.page"),
            ("up", "get_page"),
            ("up", "get/page"),
            ("up", &long),
            ("up", "é"),
            ("a", "b__c"),
            ("a__b", "c"),
            ("a_", "b"),
            ("a", "_b"),
            ("u-1", "x y"),
        ];
        let names: Vec<_> = tools.iter().map(|(upstream, tool)| plain(upstream, tool)).collect();
        for name in &names {
            assert!((1..=MAX_CHARS).contains(&name.len()) && name.chars().all(is_allowed), "{name}");
        }
        let once: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(once.len(), names.len(), "{names:?}");
        assert_eq!((names[0].as_str(), names[2].as_str(), names[6].as_str()), ("up__echo", "up__get_page", "a__b__c"));
        assert!(names[1].starts_with("up__get_page_") && is_shortened(&names[1]) && is_shortened(&names[4]));
        let name = UpstreamName::parse("up").unwrap();
        assert_eq!(ToolNames::Dotted.of(&name, "get.page"), "up.get.page");
    }
}
