//! What the prompts read of haldir's answers. Typed, so that an amount of money stays the one that was answered.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    interfaces::backend::Backend,
    model::{Credential, Money},
    operations::{self, CallOptions},
};

/// Of `getSession`.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct SessionFacts {
    pub session_id: String,
    pub agent_id: String,
    pub scopes: Vec<String>,
    pub spend_limit: Option<Money>,
    pub spent: Money,
    pub remaining_budget: Option<Money>,
    pub is_valid: bool,
    pub revoked: bool,
    pub created_at: f64,
    pub expires_at: f64,
    pub parent_session_id: String,
}

/// Of `getSpend`.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct SpendFacts {
    pub total_usd: Money,
    pub authorized_usd: Money,
    pub action_count: i64,
    pub by_tool: BTreeMap<String, Money>,
}

/// Of `getAuditTrail`.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct TrailFacts {
    pub entries: Vec<EntryFacts>,
    pub next_cursor: Option<String>,
}

/// An entry of it.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct EntryFacts {
    pub seq: i64,
    pub timestamp: f64,
    pub agent_id: String,
    pub tool: String,
    pub action: String,
    pub cost_usd: Money,
    pub flagged: bool,
    pub flag_reason: String,
    #[serde(default)]
    pub details: Value,
}

#[derive(Deserialize)]
struct VerificationFacts {
    message: String,
}

/// Reads on behalf of the caller that asked for the prompt.
pub struct Facts<'a> {
    /// Where the operations run.
    pub backend: &'a Backend,
    /// The caller.
    pub credential: &'a Credential,
}

impl Facts<'_> {
    async fn ask<T: DeserializeOwned>(&self, name: &str, input: &Value) -> Result<T> {
        let operation = operations::named(name).ok_or_else(|| Error::internal(format!("{name} is not listed")))?;
        let reply = self.backend.call(operation, self.credential, &input.to_string(), CallOptions::counted()).await?;
        serde_json::from_str(&reply.body).map_err(Error::internal)
    }

    /// A session.
    pub async fn session(&self, id: &str) -> Result<SessionFacts> {
        self.ask("getSession", &json!({"session_id": id})).await
    }

    /// What was spent in a session, or by all of the tenant.
    pub async fn spend(&self, session_id: Option<&str>) -> Result<SpendFacts> {
        let input = session_id.map_or_else(|| json!({}), |id| json!({"session_id": id}));
        self.ask("getSpend", &input).await
    }

    /// Log entries that fit the filters, newest first.
    pub async fn trail(&self, session_id: Option<&str>, limit: usize, filters: Value) -> Result<TrailFacts> {
        let mut input = filters;
        input["limit"] = limit.into();
        if let Some(id) = session_id {
            input["session_id"] = id.into();
        }
        self.ask("getAuditTrail", &input).await
    }

    /// Whether the log holds, in a sentence.
    pub async fn integrity(&self) -> Result<String> {
        Ok(self.ask::<VerificationFacts>("verifyAuditTrail", &json!({})).await?.message)
    }
}
