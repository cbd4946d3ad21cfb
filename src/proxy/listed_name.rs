//! Which tool a listed name stands for. See [`crate::model::listed_name`] for how the names are made.

use super::catalogue::MAX_PINS;
use crate::{
    error::Result,
    model::{
        MAX_UPSTREAMS, TenantId, UpstreamName,
        listed_name::{SEPARATOR, is_clear, is_shortened, may_be_of, plain},
    },
    store::ReadTx,
};

/// The name in full, `upstream.tool`, of the tool that is listed under this name; `None` if none is.
pub fn in_full(tx: &ReadTx, tenant: &TenantId, called: &str) -> Result<Option<String>> {
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
                let all = tx.upstreams(tenant, MAX_UPSTREAMS)?.into_iter().map(|upstream| upstream.name);
                all.filter(|upstream| may_be_of(called, upstream.as_str())).collect()
            }
        };
        for upstream in upstreams {
            let mut tools = tx.callable_tools(tenant, &upstream, MAX_PINS)?.into_iter();
            if let Some((tool, _)) = tools.find(|(tool, _)| plain(upstream.as_str(), tool) == called) {
                return Ok(Some(format!("{upstream}.{tool}")));
            }
        }
    }
    // By a separator within the upstream's own name, as a user would write it.
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
