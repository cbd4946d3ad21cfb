//! `listTreeHeads`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tree::SignedHead;
use crate::{
    call::{ReadContext, ReadOperation, cut, page_size},
    crypto::PublicKey,
    error::{Error, Result},
    store::tree::Heads,
};

/// Heads in one answer.
const MAX_LIMIT: i64 = 1_000;

/// List the heads of the audit log that were signed and recorded, the largest first. A server records one every five
/// minutes while the log grows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTreeHeads {
    /// How many at most. Default 100.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 100))]
    limit: Option<i64>,
    /// Only heads of fewer entries: `next_before` of the answer before.
    #[schemars(range(min = 1))]
    before: Option<i64>,
}

/// Recorded heads.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TreeHeads {
    /// How many are in this answer.
    count: usize,
    /// The largest first.
    entries: Vec<SignedHead>,
    /// Where to go on; null at the end.
    next_before: Option<i64>,
}

impl ReadOperation for ListTreeHeads {
    type Output = TreeHeads;

    fn run(self, cx: &ReadContext<'_>) -> Result<TreeHeads> {
        let limit = page_size(self.limit, MAX_LIMIT)?;
        if self.before.is_some_and(|before| before < 1) {
            return Err(Error::invalid("before", "before must be at least 1: `next_before` of an answer"));
        }
        let mut heads =
            cx.tx.recorded_heads(&cx.caller.tenant, Heads::Before(self.before.unwrap_or(i64::MAX)), limit + 1)?;
        let next_before = cut(&mut heads, limit, |head| head.tree_size);
        let entries: Vec<_> = heads
            .iter()
            .map(|head| {
                let key = PublicKey::from_bytes(head.public_key);
                SignedHead::new(head.tree_size.cast_unsigned(), &head.root_hash, head.signed_at, &head.signature, key)
            })
            .collect();
        Ok(TreeHeads { count: entries.len(), entries, next_before })
    }
}
