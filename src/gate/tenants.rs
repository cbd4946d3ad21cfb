//! What the operations on tenants share. They concern the whole store, so the key of one tenant does not suffice.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    call::{Settings, WriteContext},
    error::{Code, Error, Result},
    model::{Caller, Role, TenantId},
    watch::{self, Draft},
};

/// The token as presented; wiped from memory afterwards.
#[derive(Default, JsonSchema)]
#[schemars(transparent)]
pub(super) struct BootstrapToken(#[schemars(with = "String", length(max = 1024))] Zeroizing<String>);

impl<'de> Deserialize<'de> for BootstrapToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let token = Zeroizing::new(String::deserialize(deserializer)?);
        if token.chars().count() > 1024 {
            return Err(D::Error::custom("must have at most 1024 characters"));
        }
        Ok(Self(token))
    }
}

impl BootstrapToken {
    /// Whether it is the one that the server was started with.
    pub(super) fn is_the_servers(&self, settings: &Settings) -> bool {
        settings.is_bootstrap_token(&self.0)
    }
}

impl std::fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BootstrapToken(…)")
    }
}

/// Refuses unless the caller has the server's bootstrap token or access to the store's files.
pub(super) fn require_operator_of_store(
    caller: &Caller,
    settings: &Settings,
    token: Option<&BootstrapToken>,
) -> Result<()> {
    let has_store = caller.role == Role::Operator && !caller.is_key && !caller.is_anonymous();
    if has_store || token.is_some_and(|token| token.is_the_servers(settings)) {
        return Ok(());
    }
    let message = "only the operator of the server manages tenants: send its HALDIR_BOOTSTRAP_TOKEN as bootstrap_token, or run \
                   `haldir tenants` beside the store";
    // 403, not 401, for a valid key: the client must not take its key for an invalid one.
    let code = if caller.is_anonymous() { Code::Unauthorized } else { Code::OperatorRequired };
    Err(Error::new(code, message))
}

/// Gives a tenant a name that no other has.
pub(super) fn name(cx: &mut WriteContext<'_>, tenant: &TenantId, name: &str, field: &'static str) -> Result<()> {
    if let Some(other) = cx.tx.tenant_named(name)?.filter(|other| other != tenant) {
        let message = format!("the tenant {other} has this name already: choose another one");
        return Err(Error::new(Code::Conflict, message).field(field));
    }
    if !cx.tx.name_tenant(tenant, name)? {
        return Err(Error::not_found("the tenant").field("tenant_id"));
    }
    let caller = Caller { tenant: tenant.clone(), ..cx.caller.clone() };
    cx.tx.lock_tenant(tenant)?;
    let mut cx = WriteContext { tx: &mut *cx.tx, caller: &caller, now: cx.now, services: cx.services };
    watch::append(&mut cx, Draft::governance("tenant.name", None, &json!({"name": name}))?)?;
    Ok(())
}
