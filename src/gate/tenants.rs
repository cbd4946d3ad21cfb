//! What the operations about tenants share. They concern the whole store: no key of one tenant is enough for them.

use serde_json::json;

use super::create_api_key::BootstrapToken;
use crate::{
    call::{Settings, WriteContext},
    error::{Code, Error, Result},
    model::{Caller, Role, TenantId},
    watch::{self, Draft},
};

/// Refuses unless the caller has the server's bootstrap token, or the store itself in their hands.
pub(super) fn require_operator_of_store(
    caller: &Caller,
    settings: &Settings,
    token: Option<&BootstrapToken>,
) -> Result<()> {
    let has_store = caller.role == Role::Operator && !caller.is_key && !caller.is_anonymous();
    if has_store || token.is_some_and(|token| token.is_the_servers(settings)) {
        return Ok(());
    }
    let message = "tenants are the concern of who operates the server: send its HALDIR_BOOTSTRAP_TOKEN as bootstrap_token, or \
                   run `haldir tenants` beside the store";
    // A key that is good for other things is not to be taken for one that is not.
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
    let mut cx = WriteContext { tx: &mut *cx.tx, caller: &caller, now: cx.now, services: cx.services };
    watch::append(&mut cx, Draft::governance("tenant.name", None, &json!({"name": name}))?)?;
    Ok(())
}
