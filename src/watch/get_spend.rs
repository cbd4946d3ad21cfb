//! `getSpend`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation},
    error::{Error, Result},
    model::{AgentId, Money, SessionId},
    store::{Cost, ToolSpend, ToolTally},
};

/// Lines in each breakdown.
const MAX_LINES: usize = 1_000;

/// Sum up what agents have logged as cost and what payments were authorized, by tool, session and agent; of one
/// session, one agent, or all.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSpend {
    /// Only this session.
    #[serde(default)]
    session_id: Option<SessionId>,
    /// Only this agent.
    #[serde(default)]
    agent_id: Option<AgentId>,
}

/// What was spent, in USD.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Spend {
    /// What agents have logged as cost.
    total_usd: Money,
    /// How many actions they have logged.
    action_count: i64,
    /// Logged cost by tool.
    by_tool: BTreeMap<String, Money>,
    /// Logged cost by session: the newest ones.
    by_session: BTreeMap<String, Money>,
    /// Logged cost by agent.
    by_agent: BTreeMap<String, Money>,
    /// What payments were authorized and not given back.
    authorized_usd: Money,
    /// Whether a breakdown has more lines than the 1,000 shown.
    truncated: bool,
}

impl ReadOperation for GetSpend {
    type Output = Spend;

    fn run(self, cx: &ReadContext<'_>) -> Result<Spend> {
        match (self.session_id, self.agent_id) {
            (Some(session), agent) => of_session(cx, &session, agent.as_ref()),
            (None, Some(agent)) => of_agent(cx, &agent),
            (None, None) => of_tenant(cx),
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
    let tools = cx.tx.tool_costs(tenant, ToolTally::Session(id.as_str()), MAX_LINES + 1)?;
    Ok(Spend {
        total_usd: session.logged_cost,
        action_count: session.action_count,
        by_session: BTreeMap::from([(id.to_string(), session.logged_cost)]),
        by_agent: BTreeMap::from([(session.agent_id.to_string(), session.logged_cost)]),
        authorized_usd: session.spent,
        truncated: tools.len() > MAX_LINES,
        by_tool: by_tool(tools),
    })
}

fn of_agent(cx: &ReadContext<'_>, agent: &AgentId) -> Result<Spend> {
    let tenant = &cx.caller.tenant;
    let stats = cx.tx.agent(tenant, agent.as_str())?.unwrap_or_default();
    let tools = cx.tx.tool_costs(tenant, ToolTally::Agent(agent.as_str()), MAX_LINES + 1)?;
    let sessions = cx.tx.session_costs(tenant, Some(agent.as_str()), MAX_LINES + 1)?;
    Ok(Spend {
        total_usd: stats.cost,
        action_count: stats.actions,
        by_agent: BTreeMap::from([(agent.to_string(), stats.cost)]),
        authorized_usd: stats.authorized,
        truncated: tools.len() > MAX_LINES || sessions.len() > MAX_LINES,
        by_tool: by_tool(tools),
        by_session: by_name(sessions),
    })
}

fn of_tenant(cx: &ReadContext<'_>) -> Result<Spend> {
    let tenant = &cx.caller.tenant;
    let Some(head) = cx.tx.head(tenant)? else { return Ok(Spend::default()) };
    let tools = cx.tx.tool_costs(tenant, ToolTally::Tenant, MAX_LINES + 1)?;
    let sessions = cx.tx.session_costs(tenant, None, MAX_LINES + 1)?;
    let agents = cx.tx.agent_costs(tenant, MAX_LINES + 1)?;
    Ok(Spend {
        total_usd: head.cost,
        action_count: head.actions,
        authorized_usd: cx.tx.authorized_total(tenant)?,
        truncated: [tools.len(), sessions.len(), agents.len()].iter().any(|lines| *lines > MAX_LINES),
        by_tool: by_tool(tools),
        by_session: by_name(sessions),
        by_agent: by_name(agents),
    })
}

fn by_tool(tools: Vec<ToolSpend>) -> BTreeMap<String, Money> {
    by_name(tools.into_iter().map(|line| (line.tool, line.total)).collect())
}

/// Lines in which something was logged at all.
fn by_name(lines: Vec<(String, Cost)>) -> BTreeMap<String, Money> {
    let lines = lines.into_iter().take(MAX_LINES).filter(|(_, total)| total.actions > 0);
    lines.map(|(name, total)| (name, total.cost)).collect()
}
