//! `getMetrics`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period;
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{Day, Money, Month},
    store::{Cost, Top},
};

/// Lines in each list of those with most actions.
const TOP: usize = 10;

/// Figures of this tenant: keys, sessions, actions, spending, secrets and payments; kept as they change, not counted
/// when asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetMetrics {}

/// The figures. Amounts are in USD.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Metrics {
    /// API keys that are not revoked.
    total_api_keys: i64,
    /// Sessions ever created.
    total_sessions: i64,
    /// Sessions that can act now.
    active_sessions: i64,
    /// Agents that ever had a session.
    unique_agents: i64,
    /// Actions that agents have logged.
    total_actions: i64,
    /// Entries of the log that are flagged.
    flagged_actions: i64,
    /// Actions logged since midnight UTC.
    actions_today: i64,
    /// What the actions cost.
    total_spend_usd: Money,
    /// Secrets in the vault.
    total_secrets: i64,
    /// Payments ever authorized.
    total_payments: i64,
    /// What payments were authorized and not given back.
    total_payment_volume_usd: Money,
    /// Approvals that wait for a decision.
    pending_approvals: i64,
    /// Approvals ever asked for.
    total_approvals: i64,
    /// The ten tools with most actions.
    top_tools: BTreeMap<String, i64>,
    /// The ten agents with most actions.
    top_agents: BTreeMap<String, i64>,
    /// Calls of this month, by tenant: this one.
    usage_this_month: BTreeMap<String, i64>,
}

impl ReadOperation for GetMetrics {
    type Output = Metrics;

    fn run(self, cx: &ReadContext<'_>) -> Result<Metrics> {
        let tenant = &cx.caller.tenant;
        let totals = cx.tx.totals(tenant)?;
        let log = cx.tx.head(tenant)?.unwrap_or_default();
        let today = Day::of(cx.now);
        let calls = cx.usage(Month::of(today))?.calls;
        let counts =
            |lines: Vec<(String, Cost)>| lines.into_iter().map(|(name, total)| (name, total.actions)).collect();
        Ok(Metrics {
            total_api_keys: totals.keys,
            total_sessions: totals.sessions,
            active_sessions: cx.tx.open_sessions(tenant, cx.now, 0)?.sessions,
            unique_agents: totals.agents,
            total_actions: log.actions,
            flagged_actions: log.flagged,
            actions_today: period::since(cx, today)?.actions,
            total_spend_usd: log.cost,
            total_secrets: totals.secrets,
            total_payments: totals.payments,
            total_payment_volume_usd: cx.tx.authorized_total(tenant)?,
            pending_approvals: cx.tx.pending_approvals(tenant, None, cx.now)?,
            total_approvals: totals.approvals,
            top_tools: counts(cx.tx.top(tenant, Top::Tools, TOP)?),
            top_agents: counts(cx.tx.top(tenant, Top::Agents, TOP)?),
            usage_this_month: BTreeMap::from([(tenant.to_string(), calls)]),
        })
    }
}
