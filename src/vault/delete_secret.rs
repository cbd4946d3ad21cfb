//! `deleteSecret`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::SecretName,
    watch::{self, Draft},
};

/// Delete a secret from the vault, for good.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteSecret {
    /// Its name.
    name: SecretName,
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
        if !cx.tx.delete_secret(&cx.caller.tenant, &self.name)? {
            return Err(Error::not_found(format!("the secret {}", self.name)).field("name"));
        }
        watch::append(cx, Draft::governance("secret.delete", None, &json!({"name": self.name}))?)?;
        Ok(SecretDeleted { deleted: true, name: self.name })
    }
}
