//! `deleteSecret`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::replacing;
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::{SecretName, SessionId},
    watch::{self, Draft},
};

/// Delete a secret from the vault, for good.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteSecret {
    /// Its name.
    name: SecretName,
    /// The session that deletes it. An agent needs one: it must hold the scope that the secret requires.
    session_id: Option<SessionId>,
}

/// What was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretDeleted {
    /// Always true.
    deleted: bool,
    /// Its name.
    name: SecretName,
}

impl WriteOperation for DeleteSecret {
    type Output = SecretDeleted;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<SecretDeleted> {
        let stored = cx.tx.secret(&cx.caller.tenant, &self.name)?;
        let stored = stored.ok_or_else(|| Error::not_found(format!("the secret {}", self.name)).field("name"))?;
        replacing::permit(cx, &stored, self.session_id.as_ref())?;
        cx.tx.delete_secret(&cx.caller.tenant, &self.name, cx.now)?;
        watch::append(cx, Draft::governance("secret.delete", None, &json!({"name": self.name}))?)?;
        Ok(SecretDeleted { deleted: true, name: self.name })
    }
}
