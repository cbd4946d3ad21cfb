//! The session that an operator binds an agent to: it cannot ask for another one.

use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    error::{Error, Result},
    model::{Credential, Money, Scopes, SessionId, UnixMicros},
    operations::{self, CallOptions, Haldir},
};

/// Scopes of a session whose operator does not say: calls of tools, and the secrets for them that need no other.
const DEFAULT_SCOPES: [&str; 3] = ["execute", "read", "browse"];
/// Life of a session whose operator does not say, in seconds. It is followed by another one.
const DEFAULT_TTL: i64 = 86_400;
/// The agent's name, where its operator does not say.
const DEFAULT_AGENT: &str = "local-agent";
/// A session that ends within so many seconds is followed by another one, where the operator set no end.
const MARGIN: i64 = 60;

/// What an operator grants.
#[derive(Clone, Debug, Default)]
pub struct SessionTerms {
    /// The agent's name in the log.
    pub agent: Option<String>,
    /// What it may do.
    pub scopes: Option<Scopes>,
    /// The most that it may spend, in USD.
    pub budget: Option<Money>,
    /// The most that it may spend in a UTC day, in USD, whatever process it is in.
    pub daily_budget: Option<Money>,
    /// Seconds from the first call to the last; without it there is no end.
    pub ttl: Option<i64>,
    /// A session that was made for it already.
    pub session: Option<SessionId>,
}

/// A session that is made when it is first needed.
pub struct BoundSession {
    haldir: Haldir,
    credential: Credential,
    terms: SessionTerms,
    // Tokio's mutex: held while the session is made, so that only one is.
    current: Mutex<Option<Made>>,
}

#[derive(Clone, Deserialize)]
struct Made {
    session_id: SessionId,
    #[serde(default)]
    expires_at: UnixMicros,
}

/// What the agent has not asked for is no call of its.
fn own() -> CallOptions {
    CallOptions { is_own: true, ..CallOptions::default() }
}

impl BoundSession {
    /// Nothing is made yet.
    pub fn new(haldir: Haldir, credential: Credential, terms: SessionTerms) -> Self {
        Self { haldir, credential, terms, current: Mutex::default() }
    }

    /// What the agent may do, as far as its operator said so here: a session that was made before has scopes of its own.
    pub fn scopes(&self) -> Option<Scopes> {
        self.terms.scopes.clone().filter(|_| self.terms.session.is_none())
    }

    /// Whether its operator bounds what it may spend.
    pub fn has_budget(&self) -> bool {
        self.terms.budget.is_some() || self.terms.daily_budget.is_some()
    }

    /// The session's id.
    pub async fn id(&self) -> Result<SessionId> {
        if let Some(session) = &self.terms.session {
            return Ok(session.clone());
        }
        let mut current = self.current.lock().await;
        let ends_by_itself = self.terms.ttl.is_none();
        let now = self.haldir.now();
        let is_over =
            |made: &Made| ends_by_itself && made.expires_at.0 > 0 && made.expires_at < now.plus_seconds(MARGIN);
        if let Some(made) = current.as_ref().filter(|made| !is_over(made)) {
            return Ok(made.session_id.clone());
        }
        let made = self.make().await?;
        let id = made.session_id.clone();
        *current = Some(made);
        Ok(id)
    }

    /// Ends the session, if one was made: only this process knows it, and it makes no more calls.
    pub async fn end(&self) {
        let Some(made) = self.current.lock().await.take() else { return };
        let Some(operation) = operations::named("revokeSession") else { return };
        let input = json!({"session_id": made.session_id}).to_string();
        let ended = self.haldir.call(operation, &self.credential, &input, own()).await;
        if let Err(error) = ended {
            // It ends by itself once its time is over.
            tracing::warn!(%error, "the session of this process could not be ended");
        }
    }

    async fn make(&self) -> Result<Made> {
        let SessionTerms { agent, scopes, budget, daily_budget, ttl, .. } = &self.terms;
        let mut input = json!({
            "agent_id": agent.as_deref().unwrap_or(DEFAULT_AGENT), "ttl": ttl.unwrap_or(DEFAULT_TTL),
        });
        input["scopes"] = match scopes {
            Some(scopes) => json!(scopes),
            None => json!(DEFAULT_SCOPES),
        };
        let mut input = input.to_string();
        for (field, amount) in [("spend_limit", budget), ("daily_spend_limit", daily_budget)] {
            let Some(amount) = amount else { continue };
            // As text, so that the amount stays exact.
            let amount = serde_json::to_string(amount).map_err(Error::internal)?;
            input.truncate(input.len() - 1);
            input = format!("{input},\"{field}\":{amount}}}");
        }
        let operation =
            operations::named("createSession").ok_or_else(|| Error::internal("there is no createSession"))?;
        let reply = self.haldir.call(operation, &self.credential, &input, own()).await?;
        serde_json::from_str(&reply.body).map_err(Error::internal)
    }
}
