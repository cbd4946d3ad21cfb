//! `getOverview`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{chain, period};
use crate::{
    call::{ReadContext, ReadOperation, session::may_act},
    error::Result,
    model::{
        AgentId, Day, Entry, EntryId, MAX_SCHEDULES, MAX_UPSTREAMS, Money, Month, Scopes, Session, SessionId, TenantId,
        Tier, UnixMicros, month::MICROS_PER_DAY,
    },
    store::{AuditQuery, SessionQuery, compliance::Schedule},
};

/// Sessions that are shown.
const MAX_SESSIONS: usize = 100;
/// Sessions that are looked at for them, the newest: most of those that are over lie behind.
const NEWEST_SESSIONS: usize = 1_000;
/// Open sessions whose agents are told apart.
const MAX_TOLD_APART: usize = 10_000;
/// Entries that are shown.
const MAX_ENTRIES: usize = 20;
/// Days of `flagged_7d` before today.
const DAYS_BEFORE: i64 = 6;

/// What stands in this tenant at a glance: usage, open sessions, vault, log, webhooks, approvals, and whether haldir is
/// well. For dashboards.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetOverview {}

/// The overview. Amounts are in USD; times named `_at` are ISO 8601 here, others Unix seconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Overview {
    /// Whose it is.
    tenant_id: TenantId,
    /// The tier of the key that asks.
    tier: Tier,
    /// When this was read.
    generated_at: String,
    /// Calls and spending of this month.
    usage: UsageOverview,
    /// Sessions that can act now.
    sessions: SessionsOverview,
    /// Secrets.
    vault: VaultOverview,
    /// The log.
    audit: AuditOverview,
    /// Subscriptions and their deliveries.
    webhooks: WebhooksOverview,
    /// What waits for a decision.
    approvals: ApprovalsOverview,
    /// Evidence that is made on a schedule.
    compliance: ComplianceOverview,
    /// Whether haldir is well.
    health: HealthOverview,
}

/// What stands where there is no limit: clients print the number behind a slash, where 0 would read as none left.
const NO_LIMIT_OF_CALLS: i64 = 999_999_999;
const NO_LIMIT_OF_AGENTS: i64 = 999_999;

/// Calls and spending of this month, UTC.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageOverview {
    /// Calls of agents and API keys: requests, not the actions that agents log. The same as `calls_this_month`.
    actions_this_month: i64,
    /// Calls of agents and API keys.
    calls_this_month: i64,
    /// Actions that agents have logged, with logAction.
    logged_actions_this_month: i64,
    /// Calls that a month may have: always 999999999, which is no limit; limits are by the hour here.
    actions_limit: i64,
    /// Whether there is such a limit: always false. A program that prints figures says then that there is none.
    has_actions_limit: bool,
    /// Share of the limit that is used, from 0 to 1.
    actions_pct_used: f64,
    /// What agents have logged as cost.
    spend_usd_this_month: Money,
    /// Calls beyond the limit; always 0.
    overage_actions: i64,
    /// What they cost; always 0.
    overage_usd: Money,
    /// Whether calls are billed; always false.
    metered: bool,
}

/// Sessions that can act now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SessionsOverview {
    /// How many there are.
    active_count: i64,
    /// Agents that have one; told apart among the 10,000 sessions that last longest.
    agents_active: i64,
    /// Agents that may have one: always 999999, which is no limit.
    agents_limit: i64,
    /// Whether there is such a limit: always false.
    has_agents_limit: bool,
    /// The newest, at most 100, of the 1,000 sessions created last.
    sessions: Vec<SessionLine>,
}

/// A session that can act now.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct SessionLine {
    session_id: SessionId,
    agent_id: AgentId,
    scopes: Scopes,
    spent: Money,
    /// Null is no limit of its own.
    spend_limit: Option<Money>,
    created_at: UnixMicros,
    /// 0 is never.
    expires_at: UnixMicros,
    /// When its newest entry was made.
    last_active: UnixMicros,
}

/// Secrets.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct VaultOverview {
    secrets_count: i64,
    /// Plaintexts given out this month.
    secret_access_count: i64,
}

/// The log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditOverview {
    /// Entries, haldir's own included.
    total_entries: i64,
    /// Entries flagged today and in the six days before, UTC.
    flagged_7d: i64,
    /// When the last entry was made; null for an empty log.
    last_entry_at: Option<String>,
    /// Whether the head of the log, which names the last entry, the Merkle tree and the totals, bears haldir's keyed
    /// hash. The entries themselves are verified by /v1/audit/verify.
    chain_verified: bool,
    /// The newest, at most 20.
    recent: Vec<EntryLine>,
}

/// An entry.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct EntryLine {
    entry_id: EntryId,
    session_id: String,
    agent_id: String,
    action: String,
    tool: String,
    cost_usd: Money,
    timestamp: UnixMicros,
    flagged: bool,
    flag_reason: Option<String>,
}

/// Subscriptions and their deliveries.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct WebhooksOverview {
    registered_count: i64,
    deliveries_24h: i64,
    /// From 0 to 1; 1 without deliveries.
    delivery_success_rate_24h: f64,
    failed_24h: i64,
}

/// What waits for a decision.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct ApprovalsOverview {
    pending_count: i64,
}

/// Evidence that is made on a schedule.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct ComplianceOverview {
    schedules_count: usize,
    active_count: usize,
    /// When the next pack is made; null without schedules.
    next_due_at: Option<String>,
    /// `ok` or `failed`, of the newest run; empty if there was none.
    last_run_status: &'static str,
}

/// Whether haldir is well.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct HealthOverview {
    status: &'static str,
    components: Vec<ComponentLine>,
}

/// A part of haldir.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct ComponentLine {
    name: &'static str,
    state: &'static str,
    message: &'static str,
}

impl ReadOperation for GetOverview {
    type Output = Overview;

    fn run(self, cx: &ReadContext<'_>) -> Result<Overview> {
        let tenant = &cx.caller.tenant;
        let today = Day::of(cx.now);
        let month = Month::of(today);
        let used = cx.usage(month)?;
        let logged = period::since(cx, month.first_day())?;
        let head = cx.tx.head(tenant)?;
        let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
        let chain_verified =
            head.as_ref().is_some_and(|head| chain::is_authentic(&keys, tenant, head) && chain::frontier(head).is_ok());
        Ok(Overview {
            tenant_id: tenant.clone(),
            tier: cx.caller.tier,
            generated_at: cx.now.to_rfc3339(),
            usage: UsageOverview {
                actions_this_month: used.calls,
                calls_this_month: used.calls,
                logged_actions_this_month: logged.actions,
                actions_limit: NO_LIMIT_OF_CALLS,
                has_actions_limit: false,
                actions_pct_used: 0.0,
                spend_usd_this_month: logged.cost,
                overage_actions: 0,
                overage_usd: Money::ZERO,
                metered: false,
            },
            sessions: sessions(cx)?,
            vault: VaultOverview {
                secrets_count: cx.tx.totals(tenant)?.secrets,
                secret_access_count: used.secret_reads,
            },
            audit: AuditOverview {
                total_entries: head.as_ref().map_or(0, |head| head.seq),
                flagged_7d: period::since(cx, Day(today.0 - DAYS_BEFORE))?.flagged,
                last_entry_at: head.filter(|head| head.seq > 0).map(|head| head.at.to_rfc3339()),
                chain_verified,
                recent: recent(cx)?,
            },
            webhooks: webhooks(cx)?,
            approvals: ApprovalsOverview { pending_count: cx.tx.pending_approvals(tenant, None, cx.now)? },
            compliance: compliance(cx)?,
            health: health(chain_verified, proxy_health(cx)?),
        })
    }
}

fn sessions(cx: &ReadContext<'_>) -> Result<SessionsOverview> {
    let tenant = &cx.caller.tenant;
    let open = cx.tx.open_sessions(tenant, cx.now, MAX_TOLD_APART)?;
    let newest = cx.tx.sessions(tenant, &SessionQuery { limit: NEWEST_SESSIONS, ..SessionQuery::default() })?;
    let mut shown = Vec::new();
    for session in newest {
        if shown.len() < MAX_SESSIONS && may_act(cx.tx, tenant, &session, cx.now)? {
            shown.push(session);
        }
    }
    let ids: Vec<_> = shown.iter().map(|session| session.id.clone()).collect();
    let last = cx.tx.last_entries_of(tenant, &ids)?;
    let line = |session: Session| SessionLine {
        last_active: last.get(&session.id).copied().unwrap_or(session.created_at),
        session_id: session.id,
        agent_id: session.agent_id,
        scopes: session.scopes,
        spent: session.spent,
        spend_limit: session.spend_limit,
        created_at: session.created_at,
        expires_at: session.expires_at.unwrap_or_default(),
    };
    Ok(SessionsOverview {
        active_count: open.sessions,
        agents_active: open.agents,
        agents_limit: NO_LIMIT_OF_AGENTS,
        has_agents_limit: false,
        sessions: shown.into_iter().map(line).collect(),
    })
}

fn compliance(cx: &ReadContext<'_>) -> Result<ComplianceOverview> {
    let schedules = cx.tx.schedules(&cx.caller.tenant, MAX_SCHEDULES)?;
    let newest = schedules.iter().max_by_key(|schedule| schedule.last_run_at);
    Ok(ComplianceOverview {
        schedules_count: schedules.len(),
        active_count: schedules.len(),
        next_due_at: schedules.iter().map(|schedule| schedule.due_at).min().map(UnixMicros::to_rfc3339),
        last_run_status: newest.map_or("", Schedule::last_status),
    })
}

#[allow(clippy::cast_precision_loss)] // Attempts of a day are fewer than a double can count.
fn webhooks(cx: &ReadContext<'_>) -> Result<WebhooksOverview> {
    let tenant = &cx.caller.tenant;
    let (attempts, succeeded) = cx.tx.attempt_counts(tenant, UnixMicros(cx.now.0 - MICROS_PER_DAY))?;
    Ok(WebhooksOverview {
        registered_count: i64::try_from(cx.tx.webhooks(tenant)?.len()).unwrap_or(i64::MAX),
        deliveries_24h: attempts,
        delivery_success_rate_24h: if attempts == 0 { 1.0 } else { succeeded as f64 / attempts as f64 },
        failed_24h: attempts - succeeded,
    })
}

fn recent(cx: &ReadContext<'_>) -> Result<Vec<EntryLine>> {
    let query = AuditQuery { limit: MAX_ENTRIES, ..AuditQuery::default() };
    let line = |entry: Entry| EntryLine {
        entry_id: entry.id,
        session_id: entry.session_id,
        agent_id: entry.agent_id,
        action: entry.action,
        tool: entry.tool,
        cost_usd: entry.cost,
        timestamp: entry.at,
        flagged: entry.flagged,
        flag_reason: Some(entry.flag_reason).filter(|reason| !reason.is_empty()),
    };
    // One that cannot be read is tampering, which `verify` reports; it is left out here.
    Ok(cx.tx.entries(&cx.caller.tenant, &query)?.entries.into_iter().flatten().map(line).collect())
}

/// Whether the upstream servers answered when they were last asked.
fn proxy_health(cx: &ReadContext<'_>) -> Result<ComponentLine> {
    let upstreams = cx.tx.upstreams(&cx.caller.tenant, MAX_UPSTREAMS)?;
    let (state, message) = match upstreams.iter().filter(|upstream| !upstream.healthy).count() {
        _ if upstreams.is_empty() => ("off", "no upstream server is registered"),
        0 => ("ok", "every upstream server answers"),
        _ => ("degraded", "not every upstream server answers: see GET /v1/proxy/upstreams"),
    };
    Ok(ComponentLine { name: "proxy", state, message })
}

/// The store has just answered, so it is well; an altered log is not.
fn health(chain_verified: bool, proxy: ComponentLine) -> HealthOverview {
    let log = if chain_verified {
        ComponentLine { name: "audit", state: "ok", message: "the head of the log is authentic" }
    } else {
        ComponentLine { name: "audit", state: "degraded", message: "the head of the log was altered outside haldir" }
    };
    HealthOverview {
        status: if log.state == "ok" && proxy.state != "off" { proxy.state } else { log.state },
        components: vec![
            ComponentLine { name: "api", state: "ok", message: "ok" },
            ComponentLine { name: "database", state: "ok", message: "ok" },
            log,
            ComponentLine { name: "billing", state: "off", message: "there is none" },
            proxy,
        ],
    }
}
