//! `getTreeHead`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{canonical::hex, chain};
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{TenantId, UnixMicros},
};

/// The hash algorithm and tree shape of RFC 6962 section 2.1.
pub const ALGORITHM: &str = "RFC6962-SHA256";

/// Read the head of the audit log: how many entries it has, and the Merkle root over all of them. Whoever keeps
/// it can tell later whether anything before it was changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetTreeHead {}

/// The head of the log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TreeHead {
    /// Whose log it is.
    tenant_id: TenantId,
    /// Number of entries.
    tree_size: i64,
    /// Root of the RFC 6962 tree over the entries' canonical bytes, in hexadecimal.
    root_hash: String,
    /// The tree's definition.
    algorithm: &'static str,
    /// Hash of the last entry, in hexadecimal; zeros for an empty log.
    chain_head: String,
    /// When the last entry was made, in Unix seconds.
    timestamp: UnixMicros,
}

impl ReadOperation for GetTreeHead {
    type Output = TreeHead;

    fn run(self, cx: &ReadContext<'_>) -> Result<TreeHead> {
        let tenant = &cx.caller.tenant;
        let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
        let head = chain::authentic_head(cx.tx, &keys, tenant)?;
        Ok(TreeHead {
            tenant_id: tenant.clone(),
            tree_size: head.seq,
            root_hash: hex(&chain::frontier(&head)?.root()),
            algorithm: ALGORITHM,
            chain_head: hex(&head.entry_hash),
            timestamp: head.at,
        })
    }
}
