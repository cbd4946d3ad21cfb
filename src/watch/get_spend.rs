//! `getSpend`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation},
    error::{Error, Result},
    model::{AgentId, Authorization, Entry, EntryKind, Money, SessionId, TimePoint},
    store::{AuditQuery, Cost, CostsOf, PaymentQuery},
    watch::export_audit::no_formula,
};

/// Lines in each breakdown.
const MAX_LINES: usize = 1_000;
/// Entries and payments between two times that are summed up, the newest.
const MAX_ENTRIES: usize = 100_000;
const MAX_PAYMENTS: usize = 10_000;
/// Entries that are read at a time.
const PAGE: usize = 1_000;

/// Sum up what agents have logged as cost and what payments were authorized, by tool, session and agent; of one
/// session, one agent, or all; of all time, or of a span of it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSpend {
    /// Only this session.
    session_id: Option<SessionId>,
    /// Only this agent.
    agent_id: Option<AgentId>,
    /// Only what was logged and authorized at this time or later, in Unix seconds.
    since: Option<TimePoint>,
    /// Only what was logged and authorized before this time, in Unix seconds.
    until: Option<TimePoint>,
}

/// What was spent, in USD.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Spend {
    /// What agents have logged as cost.
    pub total_usd: Money,
    /// How many actions they have logged.
    pub action_count: i64,
    /// Logged cost by tool.
    pub by_tool: BTreeMap<String, Money>,
    /// Logged cost by session: the newest ones.
    pub by_session: BTreeMap<String, Money>,
    /// Logged cost by agent.
    pub by_agent: BTreeMap<String, Money>,
    /// What payments were authorized and not given back.
    pub authorized_usd: Money,
    /// Whether a breakdown has more lines than the 1,000 shown, or there is more between `since` and `until` than is looked
    /// at: then the figures are those of the newest 100,000 entries and 10,000 payments in it.
    pub truncated: bool,
}

impl ReadOperation for GetSpend {
    type Output = Spend;

    fn run(self, cx: &ReadContext<'_>) -> Result<Spend> {
        if self.since.is_some() || self.until.is_some() {
            return self.of_time(cx);
        }
        match (self.session_id, self.agent_id) {
            (Some(session), agent) => of_session(cx, &session, agent.as_ref()),
            (None, Some(agent)) => of_agent(cx, &agent),
            (None, None) => of_tenant(cx),
        }
    }
}

impl GetSpend {
    /// What lies between two times is summed up entry by entry: the counters have no tools and no sessions by day.
    fn of_time(self, cx: &ReadContext<'_>) -> Result<Spend> {
        let tenant = &cx.caller.tenant;
        let (since, until) = (self.since.map(TimePoint::micros), self.until.map(TimePoint::micros));
        if let Some(id) = &self.session_id {
            let unknown = || Error::not_found(format!("session {id}")).field("session_id");
            cx.tx.session(tenant, id)?.ok_or_else(unknown)?;
        }
        let mut spend = Spend::default();
        let mut query = AuditQuery {
            session_id: self.session_id.as_ref().map(ToString::to_string),
            agent_id: self.agent_id.as_ref().map(ToString::to_string),
            since,
            until,
            limit: PAGE,
            ..AuditQuery::default()
        };
        let mut read = 0;
        loop {
            let page = cx.tx.entries(tenant, &query)?;
            read += page.entries.len();
            // What cannot be read as an entry is tampering, which verification reports.
            for entry in page.entries.into_iter().flatten().filter(|entry| entry.kind == EntryKind::Action) {
                spend.add(entry);
            }
            match page.older_than {
                Some(seq) if read < MAX_ENTRIES => query.before_seq = Some(seq),
                more => {
                    spend.truncated = more.is_some();
                    break;
                }
            }
        }
        let payments = PaymentQuery {
            agent_id: self.agent_id.clone(),
            session_id: self.session_id,
            open: false,
            since,
            until,
            before: None,
            limit: MAX_PAYMENTS + 1,
        };
        let payments = cx.tx.authorizations(tenant, &payments)?;
        spend.truncated |= payments.len() > MAX_PAYMENTS;
        let is_wanted =
            |payment: &&Authorization| self.agent_id.as_ref().is_none_or(|agent| *agent == payment.agent_id);
        for payment in payments.iter().take(MAX_PAYMENTS).filter(is_wanted) {
            let taken = if payment.settled_at.is_some() { payment.captured } else { payment.amount };
            spend.authorized_usd = spend.authorized_usd.saturating_add(taken);
        }
        for lines in [&mut spend.by_tool, &mut spend.by_session, &mut spend.by_agent] {
            spend.truncated |= lines.len() > MAX_LINES;
            keep_largest(lines);
        }
        Ok(spend)
    }
}

impl Spend {
    fn add(&mut self, entry: Entry) {
        let Entry { cost, tool, session_id, agent_id, .. } = entry;
        self.total_usd = self.total_usd.saturating_add(cost);
        self.action_count += 1;
        for (lines, name) in
            [(&mut self.by_tool, tool), (&mut self.by_session, session_id), (&mut self.by_agent, agent_id)]
        {
            let line = lines.entry(name).or_default();
            *line = line.saturating_add(cost);
        }
    }
}

/// Leaves as many lines as are shown.
fn keep_largest(lines: &mut BTreeMap<String, Money>) {
    if lines.len() > MAX_LINES {
        let mut amounts: Vec<_> = lines.values().copied().collect();
        amounts.sort_unstable_by(|one, other| other.cmp(one));
        let least = amounts[MAX_LINES - 1];
        lines.retain(|_, amount| *amount >= least);
        while lines.len() > MAX_LINES {
            lines.pop_last();
        }
    }
}

fn of_session(cx: &ReadContext<'_>, id: &SessionId, agent: Option<&AgentId>) -> Result<Spend> {
    let tenant = &cx.caller.tenant;
    // Zeros would say that nothing was spent, where the id is wrong.
    let unknown = || Error::not_found(format!("session {id}")).field("session_id");
    let session = cx.tx.session(tenant, id)?.ok_or_else(unknown)?;
    if agent.is_some_and(|agent| session.agent_id != *agent) {
        return Ok(Spend::default());
    }
    let tools = cx.tx.costs(tenant, CostsOf::ToolsOfSession(id.as_str()), MAX_LINES + 1)?;
    Ok(Spend {
        total_usd: session.logged_cost,
        action_count: session.action_count,
        by_session: BTreeMap::from([(id.to_string(), session.logged_cost)]),
        by_agent: BTreeMap::from([(session.agent_id.to_string(), session.logged_cost)]),
        authorized_usd: session.spent,
        truncated: tools.len() > MAX_LINES,
        by_tool: by_name(tools),
    })
}

fn of_agent(cx: &ReadContext<'_>, agent: &AgentId) -> Result<Spend> {
    let tenant = &cx.caller.tenant;
    let stats = cx.tx.agent(tenant, agent.as_str())?.unwrap_or_default();
    let tools = cx.tx.costs(tenant, CostsOf::ToolsOfAgent(agent.as_str()), MAX_LINES + 1)?;
    let sessions = cx.tx.costs(tenant, CostsOf::Sessions { agent: Some(agent.as_str()) }, MAX_LINES + 1)?;
    Ok(Spend {
        total_usd: stats.cost,
        action_count: stats.actions,
        by_agent: BTreeMap::from([(agent.to_string(), stats.cost)]),
        authorized_usd: stats.authorized,
        truncated: tools.len() > MAX_LINES || sessions.len() > MAX_LINES,
        by_tool: by_name(tools),
        by_session: by_name(sessions),
    })
}

fn of_tenant(cx: &ReadContext<'_>) -> Result<Spend> {
    let tenant = &cx.caller.tenant;
    let Some(head) = cx.tx.head(tenant)? else { return Ok(Spend::default()) };
    let tools = cx.tx.costs(tenant, CostsOf::Tools, MAX_LINES + 1)?;
    let sessions = cx.tx.costs(tenant, CostsOf::Sessions { agent: None }, MAX_LINES + 1)?;
    let agents = cx.tx.costs(tenant, CostsOf::Agents, MAX_LINES + 1)?;
    Ok(Spend {
        total_usd: head.cost,
        action_count: head.actions,
        authorized_usd: cx.tx.authorized_total(tenant)?,
        truncated: [tools.len(), sessions.len(), agents.len()].iter().any(|lines| *lines > MAX_LINES),
        by_tool: by_name(tools),
        by_session: by_name(sessions),
        by_agent: by_name(agents),
    })
}

/// Lines as comma-separated values (RFC 4180). Agents choose their names: none is a formula to a spreadsheet.
pub fn csv(of: &str, lines: impl IntoIterator<Item = (impl AsRef<str>, Money)>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([of, "usd"]).map_err(Error::internal)?;
    for (name, usd) in lines {
        writer.write_record([no_formula(name.as_ref()).as_ref(), &usd.to_string()]).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}

/// Lines in which something was logged at all.
fn by_name(lines: Vec<(String, Cost)>) -> BTreeMap<String, Money> {
    let lines = lines.into_iter().take(MAX_LINES).filter(|(_, total)| total.actions > 0);
    lines.map(|(name, total)| (name, total.cost)).collect()
}
