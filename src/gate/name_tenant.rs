//! `nameTenant`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tenants::{self, BootstrapToken};
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::{TenantId, text::Text},
};

/// Give a tenant a name for people. Only the operator of the server can: it needs the bootstrap token, or the terminal
/// client beside the store. No two tenants have the same name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameTenant {
    /// The tenant.
    tenant_id: TenantId,
    /// Its name from now on.
    #[schemars(required)]
    name: Option<Text<1, 128>>,
    /// The server's `HALDIR_BOOTSTRAP_TOKEN`.
    bootstrap_token: Option<BootstrapToken>,
}

/// The tenant has its name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TenantNamed {
    /// The tenant.
    tenant_id: TenantId,
    /// Its name.
    name: String,
}

impl WriteOperation for NameTenant {
    type Output = TenantNamed;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<TenantNamed> {
        let may = tenants::require_operator_of_store(cx.caller, &cx.services.settings, self.bootstrap_token.as_ref());
        // A caller without a credential is refused first; any other is told what its input lacks.
        let Some(name) = self.name else {
            return Err(may
                .err()
                .filter(|_| cx.caller.is_anonymous())
                .unwrap_or_else(|| Error::invalid("name", "name is required")));
        };
        may?;
        tenants::name(cx, &self.tenant_id, name.as_str(), "name")?;
        Ok(TenantNamed { tenant_id: self.tenant_id, name: name.into_string() })
    }
}
