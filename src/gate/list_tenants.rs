//! `listTenants`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tenants::{self, BootstrapToken};
use crate::{
    call::{ReadContext, ReadOperation, cut, page_size},
    error::Result,
    model::{TenantId, UnixMicros},
};

/// Tenants in one answer.
const MAX_LIMIT: i64 = 1_000;

/// List the tenants of the whole store, in the order of their ids. Only the operator of the server can: it needs the
/// bootstrap token, or the terminal client beside the store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTenants {
    /// The server's `HALDIR_BOOTSTRAP_TOKEN`.
    bootstrap_token: Option<BootstrapToken>,
    /// Only tenants behind this id: `next_cursor` of the page before.
    cursor: Option<TenantId>,
    /// How many at most. Default 100.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 100))]
    limit: Option<i64>,
}

/// Tenants.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[allow(clippy::struct_field_names)] // It is the name on the wire.
pub struct Tenants {
    /// How many are in this answer.
    pub count: usize,
    /// By their ids.
    pub tenants: Vec<TenantDetail>,
    /// Where the next page begins; null at the end.
    pub next_cursor: Option<TenantId>,
}

/// A tenant.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantDetail {
    /// Its id.
    pub tenant_id: TenantId,
    /// What it is called; empty without a name.
    pub name: String,
    /// When it was made, in Unix seconds.
    pub created_at: UnixMicros,
    /// API keys that are not revoked.
    pub keys: i64,
    /// Sessions that were ever made.
    pub sessions: i64,
    /// Entries of its log.
    pub entries: i64,
}

impl ReadOperation for ListTenants {
    type Output = Tenants;

    fn run(self, cx: &ReadContext<'_>) -> Result<Tenants> {
        tenants::require_operator_of_store(cx.caller, &cx.services.settings, self.bootstrap_token.as_ref())?;
        let limit = page_size(self.limit, MAX_LIMIT)?;
        let after = self.cursor.as_ref().map_or("", TenantId::as_str);
        let mut records = cx.tx.tenants(after, limit + 1)?;
        let next_cursor = cut(&mut records, limit, |last| last.id.clone());
        let detail = |record: crate::store::TenantRecord| {
            let totals = cx.tx.totals(&record.id)?;
            Ok(TenantDetail {
                entries: cx.tx.head(&record.id)?.map_or(0, |head| head.seq),
                keys: totals.keys,
                sessions: totals.sessions,
                name: record.name,
                created_at: record.created_at,
                tenant_id: record.id,
            })
        };
        let tenants = records.into_iter().map(detail).collect::<Result<Vec<_>>>()?;
        Ok(Tenants { count: tenants.len(), tenants, next_cursor })
    }
}
