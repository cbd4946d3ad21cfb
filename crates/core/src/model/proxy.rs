//! The proxy's records: upstream servers, their tools, policies, in-flight calls.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Money, PolicyId, SessionId, UnixMicros, UpstreamName};

/// Upstreams of one tenant.
pub const MAX_UPSTREAMS: usize = 64;

/// An MCP server that haldir calls on behalf of agents.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Upstream {
    pub name: UpstreamName,
    /// Empty for a child process, which only the server that is configured with it can call.
    pub url: String,
    /// Headers of every request; `{{secret:NAME}}` stands for a secret.
    pub headers: BTreeMap<String, String>,
    pub limits: UpstreamSettings,
    /// Incremented each time it is registered: connections of an older generation are not used.
    pub generation: i64,
    /// Whether it responded to the last request or health check.
    pub healthy: bool,
    /// The last error; empty if it responded.
    pub problem: String,
    pub checked_at: Option<UnixMicros>,
    pub calls: i64,
    pub errors: i64,
    /// The sum over all calls, in microseconds.
    pub latency: i64,
    pub created_at: UnixMicros,
    pub created_by: String,
}

/// An operator's settings for one upstream. The server's settings for all upstreams apply to absent ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamSettings {
    /// Seconds without a response or progress after which a call times out, from 1 to 86400.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub call_timeout: Option<i64>,
    /// Seconds that it may take to start, as a child process, or to list its tools, from 1 to 86400.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub start_timeout: Option<i64>,
    /// Concurrent calls, from 1 to 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_024))]
    pub concurrency: Option<i64>,
    /// The largest response, in bytes, from 4096 to 268435456.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4_096, max = 268_435_456))]
    pub max_answer: Option<i64>,
}

impl UpstreamSettings {
    /// The first invalid setting: the field, and what it must be.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let all = [
            ("call_timeout", self.call_timeout, 1, 86_400),
            ("start_timeout", self.start_timeout, 1, 86_400),
            ("concurrency", self.concurrency, 1, 1_024),
            ("max_answer", self.max_answer, 4_096, 268_435_456),
        ];
        let is_bad =
            |value: Option<i64>, least: i64, most: i64| value.is_some_and(|value| !(least..=most).contains(&value));
        let bad = all.into_iter().find(|(_, value, least, most)| is_bad(*value, *least, *most));
        bad.map(|(name, _, least, most)| (name, format!("must be from {least} to {most}")))
    }
}

/// A tool with its pin: the accepted definition, and the offered one where it differs.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct PinnedTool {
    pub upstream: UpstreamName,
    pub name: String,
    /// The accepted definition, as JSON text from the upstream.
    pub definition: String,
    /// The digest of name, description, schemas and annotations.
    pub digest: [u8; 32],
    /// The definition that the upstream offers now, as JSON text, if its digest differs: the tool is then in quarantine.
    pub offered: Option<String>,
    /// Whether the last listing contains it.
    pub listed: bool,
    /// Suspicious parts of its description.
    pub warnings: Vec<String>,
    pub marks: ToolMarks,
    pub first_seen: UnixMicros,
    pub changed_at: Option<UnixMicros>,
    /// The principal that accepted a change; empty without one.
    pub accepted_by: String,
}

impl PinnedTool {
    /// `upstream.tool`.
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.upstream, self.name)
    }

    /// Whether it may be called, as far as the pin goes.
    pub fn is_callable(&self) -> bool {
        self.listed && self.offered.is_none()
    }
}

/// An operator's labels of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolMarks {
    /// Its results contain untrusted content: web pages, mail, issues.
    pub source: bool,
    /// It sends data out, or destroys something.
    pub sink: bool,
    /// What one call costs, in USD, out of the session's budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The JSON pointer (RFC 6901) of a call's cost in its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_argument: Option<String>,
    /// The JSON pointer (RFC 6901) of a call's cost in its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_result: Option<String>,
    /// The most that a call costs by its result, in USD; it is reserved before the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_max: Option<Money>,
}

/// The kinds of policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyType {
    /// `tool` is never called.
    BlockTool,
    /// Only `tools` are called.
    AllowList,
    /// `tools` are never called.
    DenyList,
    /// No call with an amount of more than `max` USD.
    SpendLimit,
    /// At most `max_per_minute` calls of an agent within any minute.
    RateLimit,
    /// Calls only from `start_hour` until `end_hour`, UTC.
    TimeWindow,
    /// Only calls that a policy set in Cedar permits.
    Cedar,
}

impl PolicyType {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BlockTool,
        Self::AllowList,
        Self::DenyList,
        Self::SpendLimit,
        Self::RateLimit,
        Self::TimeWindow,
        Self::Cedar,
    ];
}

/// The definition of a policy. Its fields depend on its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDefinition {
    /// The kind of policy.
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    /// The tool that it applies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The tools that it applies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// Of `spend_limit`: the largest amount, in USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Money>,
    /// Of `spend_limit`: the JSON pointer of the amount in the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// Of `rate_limit`: calls of an agent within a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_minute: Option<i64>,
    /// Of `time_window`: the first hour, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_hour: Option<i64>,
    /// Of `time_window`: the hour that it ends before, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_hour: Option<i64>,
    /// Of `cedar`: the policy set, in Cedar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cedar: Option<String>,
    /// Whether it only logs what it would refuse.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A policy of a tenant.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Policy {
    pub id: PolicyId,
    pub definition: PolicyDefinition,
    pub created_at: UnixMicros,
    pub created_by: String,
}

/// The row in which a call was counted, so that a failed call can be subtracted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PolicyUse {
    pub policy: String,
    pub subject: String,
    pub at: i64,
}

/// An in-flight call: sent or about to be sent, with an unknown outcome.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct InFlightCall {
    pub id: String,
    pub upstream: UpstreamName,
    pub tool: String,
    pub session_id: SessionId,
    /// The amount that was reserved for it in the budget.
    pub cost: Money,
    pub uses: Vec<PolicyUse>,
    pub started_at: UnixMicros,
    /// The end of its process's lease on it.
    pub lease: UnixMicros,
}
