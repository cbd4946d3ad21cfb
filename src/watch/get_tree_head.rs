//! `getTreeHead`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    canonical::hex,
    chain,
    tree::{self, SignedHead},
};
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{TenantId, UnixMicros},
};

/// Read the signed head of the audit log: how many entries it has, and the Merkle root over all of them. Whoever keeps
/// it can prove later whether anything before it was changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetTreeHead {}

/// The head of the log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TreeHead {
    /// Whose log it is.
    tenant_id: TenantId,
    /// Hash of the last entry, in hexadecimal; zeros for an empty log.
    chain_head: String,
    /// When the last entry was made, in Unix seconds.
    timestamp: UnixMicros,
    /// Where the signing key is: sealed in the store, under the master key.
    signing_key_source: &'static str,
    #[serde(flatten)]
    signed: SignedHead,
}

impl ReadOperation for GetTreeHead {
    type Output = TreeHead;

    fn run(self, cx: &ReadContext<'_>) -> Result<TreeHead> {
        let tenant = &cx.caller.tenant;
        let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
        let head = chain::authentic_head(cx.tx, &keys, tenant)?;
        let frontier = chain::frontier(&head)?;
        let signing = cx.services.keyring.signing_keys(cx.tx)?;
        Ok(TreeHead {
            tenant_id: tenant.clone(),
            chain_head: hex(&head.entry_hash),
            timestamp: head.at,
            signing_key_source: "store",
            signed: tree::sign(&signing, frontier.size(), &frontier.root(), cx.now),
        })
    }
}
