//! What the prompts read of haldir's answers. Typed, so that an amount of money stays the one that was answered.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    gate::session_detail::SessionDetail,
    interfaces::{backend::Backend, history::LogPage},
    model::Credential,
    operations::{self, CallOptions},
    watch::get_spend::Spend,
};

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
    pub async fn session(&self, id: &str) -> Result<SessionDetail> {
        self.ask("getSession", &json!({"session_id": id})).await
    }

    /// What was spent in a session, or by all of the tenant.
    pub async fn spend(&self, session_id: Option<&str>) -> Result<Spend> {
        let input = session_id.map_or_else(|| json!({}), |id| json!({"session_id": id}));
        self.ask("getSpend", &input).await
    }

    /// Log entries that fit the filters, newest first.
    pub async fn trail(&self, session_id: Option<&str>, limit: usize, filters: Value) -> Result<LogPage> {
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
