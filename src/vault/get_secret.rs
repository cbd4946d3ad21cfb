//! `getSecret`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::sealing::{self, Plaintext};
use crate::{
    call::{WriteContext, WriteOperation, session},
    error::{Code, Error, Result},
    model::{Disclosure, SecretName, SessionId},
    watch::{self, Draft, Event},
};

/// Read a secret from the vault for a session that holds the scope it requires. Read it only when it is about to be
/// used, and do not repeat its value: every read is logged by name. A secret with disclosure `inject` is never returned.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSecret {
    /// The secret's name.
    name: SecretName,
    /// The session that asks.
    session_id: SessionId,
}

/// The secret.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretValue {
    /// Its name.
    name: SecretName,
    /// Its plaintext.
    value: Plaintext,
    /// Its version.
    version: i64,
}

impl WriteOperation for GetSecret {
    type Output = SecretValue;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<SecretValue> {
        let tenant = &cx.caller.tenant;
        let session = session::require_valid(cx.tx, tenant, &self.session_id, cx.now)?;
        let secret = cx.tx.secret(tenant, &self.name)?;
        let secret = secret.ok_or_else(|| Error::not_found(format!("the secret {}", self.name)).field("name"))?;
        session::require_scope(&session, &secret.scope_required)?;
        if secret.disclosure == Disclosure::Inject {
            let message = format!("the secret {} is for injection by the proxy and is never given out", self.name);
            return Err(Error::new(Code::InjectOnly, message).field("name"));
        }
        let value = sealing::open(&*cx.keys()?, tenant, &secret)?;
        let details = json!({"name": secret.name, "version": secret.version});
        let draft = Draft::governance("secret.read", Some(&session), &details)?;
        watch::append(cx, Draft { event: Event::SecretRead, ..draft })?;
        Ok(SecretValue { name: self.name, value, version: secret.version })
    }
}
