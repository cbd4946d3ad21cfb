//! `stopAgent`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ending, revoke_api_key};
use crate::{
    call::{OutwardContext, OutwardOperation, ReadContext},
    error::{Code, Error, Result},
    model::{AgentId, KEY_PREFIX, Role, SessionId, UnixMicros},
    store::{CostsOf, SessionQuery},
    watch::{self, Draft},
};

/// Sessions in one read.
const PAGE: usize = 500;
/// Passes over all sessions of the agent: it may create new ones while the others are ended.
const MAX_PASSES: usize = 4;
/// Sessions that the response names.
const MAX_NAMED: usize = 1_000;
/// Names of agents that an unknown one is compared with.
const MAX_COMPARED: usize = 1_000;

/// Stop an agent: end all of its sessions now and for good, and those that they delegated to. With `revoke_keys` the agent
/// keys that made them are revoked as well; otherwise the agent can make a new session with the same key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopAgent {
    /// The agent's name, as its sessions have it.
    agent_id: AgentId,
    /// Whether to revoke the agent keys that made its sessions. Operators' keys stay. Default: false.
    #[schemars(extend("default" = false))]
    revoke_keys: Option<bool>,
}

/// The sessions that ended, and the keys that were revoked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentStopped {
    /// Always true.
    pub stopped: bool,
    /// The agent.
    pub agent_id: AgentId,
    /// The sessions that ended, those below them included; the first 1,000 of them.
    pub sessions_ended: Vec<SessionId>,
    /// How many sessions ended.
    pub sessions_ended_count: usize,
    /// The principals that created the agent's sessions: keys by their first characters, `local`, `operator`.
    pub made_by: Vec<String>,
    /// The keys that were revoked, by their first characters.
    pub keys_revoked: Vec<String>,
}

impl OutwardOperation for StopAgent {
    type Output = AgentStopped;

    async fn run(self, cx: OutwardContext) -> Result<AgentStopped> {
        let (agent, revoke_keys) = (self.agent_id, self.revoke_keys.unwrap_or(false));
        require_known(&cx, &agent).await?;
        let details = json!({"agent_id": agent, "revoke_keys": revoke_keys});
        cx.write(move |cx| watch::append(cx, Draft::governance("agent.stop", None, &details)?).map(drop)).await?;
        let mut made_by = BTreeSet::new();
        let mut keys_revoked = Vec::new();
        let mut sessions_ended = Vec::new();
        for _ in 0..MAX_PASSES {
            let found = open_sessions(&cx, &agent).await?;
            if found.is_empty() {
                break;
            }
            made_by.extend(found.iter().map(|(_, creator)| creator.clone()));
            if revoke_keys {
                // First, so that no new sessions are made meanwhile.
                keys_revoked.extend(revoke_agent_keys(&cx, &made_by).await?);
            }
            for (id, _) in found {
                let below = ending::end(&cx, &id).await?;
                sessions_ended.push(id);
                sessions_ended.extend(below);
            }
        }
        let sessions_ended_count = sessions_ended.len();
        sessions_ended.truncate(MAX_NAMED);
        let made_by = made_by.into_iter().collect();
        Ok(AgentStopped { stopped: true, agent_id: agent, sessions_ended, sessions_ended_count, made_by, keys_revoked })
    }
}

/// Refuses a name that no session has: with a mistyped name, the agent would go on unnoticed.
async fn require_known(cx: &OutwardContext, agent: &AgentId) -> Result<()> {
    let (tenant, agent) = (cx.caller.tenant.clone(), agent.clone());
    cx.store.caught_up().await;
    cx.store
        .scan(move |tx| {
            let query = SessionQuery { agent_id: Some(agent.clone()), limit: 1, ..SessionQuery::default() };
            if !tx.sessions(&tenant, &query)?.is_empty() {
                return Ok(());
            }
            let known = tx.costs(&tenant, CostsOf::Agents, MAX_COMPARED)?;
            let is_alike = |name: &&String| name.to_lowercase() == agent.as_str().to_lowercase();
            let alike = known.iter().map(|(name, _)| name).find(is_alike);
            let hint = alike.map_or_else(String::new, |name| format!("; there is an agent {name}"));
            let message = format!("no session was ever made for an agent {agent}: nothing was stopped{hint}");
            Err(Error::new(Code::NotFound, message).field("agent_id"))
        })
        .await
}

/// The agent's sessions that are neither revoked nor expired, and the principals that created them.
async fn open_sessions(cx: &OutwardContext, agent: &AgentId) -> Result<Vec<(SessionId, String)>> {
    let (tenant, agent, now) = (cx.caller.tenant.clone(), agent.clone(), cx.services.clock.now());
    cx.store.caught_up().await;
    cx.store
        .scan(move |tx| {
            let mut open = Vec::new();
            let mut before: Option<(UnixMicros, String)> = None;
            loop {
                let agent_id = Some(agent.clone());
                let query = SessionQuery { agent_id, before, limit: PAGE, ..SessionQuery::default() };
                let page = tx.sessions(&tenant, &query)?;
                before = page.last().map(|last| (last.created_at, last.id.to_string()));
                let is_last = page.len() < PAGE;
                let valid = page.into_iter().filter(|session| session.is_valid(now));
                open.extend(valid.map(|session| (session.id, session.created_by)));
                if is_last {
                    return Ok(open);
                }
            }
        })
        .await
}

/// Revokes the agent keys among these keys.
async fn revoke_agent_keys(cx: &OutwardContext, made_by: &BTreeSet<String>) -> Result<Vec<String>> {
    let is_agents = |cx: &ReadContext<'_>, prefix: &str| {
        let keys = cx.tx.api_keys_by_prefix(prefix)?;
        let mut ours = keys.iter().filter(|key| key.tenant == cx.caller.tenant && key.revoked_at.is_none()).peekable();
        Ok(ours.peek().is_some() && ours.all(|key| key.role == Role::Agent))
    };
    let mut revoked = Vec::new();
    for prefix in made_by.iter().filter(|prefix| prefix.starts_with(KEY_PREFIX)) {
        if cx.read(|cx| is_agents(cx, prefix))? {
            let named = prefix.clone();
            cx.write(move |cx| revoke_api_key::revoke(cx, &named)).await?;
            revoked.push(prefix.clone());
        }
    }
    Ok(revoked)
}
