//! `listUpstreams`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{catalogue::MAX_PINS, policy::MAX_POLICIES};
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{MAX_UPSTREAMS, UnixMicros, Upstream, UpstreamName, UpstreamSettings},
};

/// List the upstream servers, whether they are well, and what was called of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListUpstreams {}

/// The upstreams.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamList {
    /// By their names.
    pub upstreams: BTreeMap<String, UpstreamDetail>,
    /// How many tools can be called, of all of them.
    pub total_tools: usize,
    /// How many policies there are.
    pub policies: usize,
}

/// An upstream as it is listed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamDetail {
    /// Its address; empty for a child process of another haldir.
    pub url: String,
    /// Whether it answered when it was last asked.
    pub healthy: bool,
    /// Why not; empty if it did.
    pub error: String,
    /// How many of its tools can be called.
    pub tools: usize,
    /// How many are in quarantine, since they changed.
    pub quarantined: usize,
    /// Calls that left.
    pub total_calls: i64,
    /// Those that failed.
    pub total_errors: i64,
    /// How long they took, in the mean.
    pub avg_latency_ms: f64,
    /// When it was last asked for its tools, in Unix seconds; null if never.
    pub last_check: Option<UnixMicros>,
    /// The names of the headers that go with every request.
    pub headers: Vec<String>,
    /// Limits that hold for it alone.
    pub limits: UpstreamSettings,
    /// When it was first registered, in Unix seconds.
    pub created_at: UnixMicros,
}

impl ReadOperation for ListUpstreams {
    type Output = UpstreamList;

    fn run(self, cx: &ReadContext<'_>) -> Result<UpstreamList> {
        let tenant = &cx.caller.tenant;
        let mut list = UpstreamList {
            upstreams: BTreeMap::new(),
            total_tools: 0,
            policies: cx.tx.policies(tenant, MAX_POLICIES)?.len(),
        };
        for upstream in cx.tx.upstreams(tenant, MAX_UPSTREAMS)? {
            let name = upstream.name.to_string();
            let detail = detail(cx, upstream)?;
            list.total_tools += detail.tools;
            list.upstreams.insert(name, detail);
        }
        Ok(list)
    }
}

fn detail(cx: &ReadContext<'_>, upstream: Upstream) -> Result<UpstreamDetail> {
    let (tools, quarantined) = count(cx, &upstream.name)?;
    // Shown to people, not calculated with.
    #[allow(clippy::cast_precision_loss)]
    let mean = if upstream.calls > 0 { upstream.latency as f64 / upstream.calls as f64 / 1_000.0 } else { 0.0 };
    Ok(UpstreamDetail {
        url: upstream.url,
        healthy: upstream.healthy,
        error: upstream.problem,
        tools,
        quarantined,
        total_calls: upstream.calls,
        total_errors: upstream.errors,
        avg_latency_ms: (mean * 1_000.0).round() / 1_000.0,
        last_check: upstream.checked_at,
        headers: upstream.headers.into_keys().collect(),
        limits: upstream.limits,
        created_at: upstream.created_at,
    })
}

fn count(cx: &ReadContext<'_>, name: &UpstreamName) -> Result<(usize, usize)> {
    let tools = cx.tx.tools_of(&cx.caller.tenant, name, "", MAX_PINS)?;
    let listed = tools.iter().filter(|tool| tool.listed).count();
    let callable = tools.iter().filter(|tool| tool.is_callable()).count();
    Ok((callable, listed - callable))
}
