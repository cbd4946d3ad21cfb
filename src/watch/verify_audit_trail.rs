//! `verifyAuditTrail`.

use std::sync::{Arc, atomic::AtomicU64};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    canonical::hex,
    chain,
    check::{BadEntry, Check, Tiles},
    erasing::Erased,
    retention, tree,
};
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    store::Head,
};

/// Check the whole audit log: every field of every entry against its hash, every link to the entry before, the
/// Merkle tree, and the authenticated head. Says what it covered, and at a break names the first bad entry.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyAuditTrail {}

/// What the check found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verification {
    /// Whether every entry that was ever appended is there, unaltered.
    verified: bool,
    /// How many entries were found good, from the first on.
    entries_checked: i64,
    /// How many entries the log has by its head.
    entries_total: i64,
    /// In one sentence.
    message: String,
    /// The first place that is not as haldir left it; null if there is none.
    first_bad: Option<BadEntry>,
    /// The same, under the name that clients of the existing product read.
    first_break: Option<BadEntry>,
    /// The Merkle root over the entries that were checked, in hexadecimal.
    root_hash: String,
    /// The hash of the last entry that was checked, in hexadecimal.
    chain_head: String,
}

impl ReadOperation for VerifyAuditTrail {
    type Output = Verification;

    fn run(self, cx: &ReadContext<'_>) -> Result<Verification> {
        Verification::counted(cx, None)
    }
}

impl Verification {
    /// Checks the log on the snapshot of `cx`; `counted` is told the number of the entry that was followed last.
    pub fn counted(cx: &ReadContext<'_>, counted: Option<&Arc<AtomicU64>>) -> Result<Self> {
        let tenant = &cx.caller.tenant;
        let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
        let mut check = Check::default().counting(counted.cloned());
        let erased = Erased::read(cx.tx, &keys, tenant)?;
        tree::require_built(cx.tx, tenant)?;
        let mut tiles = Tiles::new(true);
        // From the smallest number there is: an entry in front of the first would be one too many.
        check.follow_stored(cx.tx, tenant, (i64::MIN, i64::MAX), erased, &mut tiles)?;
        let head = cx.tx.head(tenant)?;
        if check.first_bad.is_none() {
            let authentic = |head: &Head| chain::is_authentic(&keys, tenant, head);
            check.first_bad = check.end(head.as_ref(), head.as_ref().is_some_and(authentic));
        }
        if check.first_bad.is_none() {
            tiles.compare(cx.tx, tenant)?;
            tiles.compare_end(cx.tx, tenant, check.seq)?;
            check.first_bad = tiles.first_bad.take();
        }
        if check.first_bad.is_none() && !retention::records_are_authentic(cx.tx, &keys, tenant)? {
            let problem = "the record of what was erased by retention was altered".to_owned();
            check.first_bad = Some(BadEntry { seq: check.seq, entry_id: None, problem });
        }
        Ok(Self::of(check, head.map_or(0, |head| head.seq)))
    }

    /// What `check` found, in a log of `entries_total` entries by its head.
    pub fn of(check: Check, entries_total: i64) -> Self {
        let message = match &check.first_bad {
            None => format!("all {} entries of the log are verified, from the first to the head", check.seq),
            Some(bad) => {
                format!("entry {}: {}; the {} entries before it are verified", bad.seq, bad.problem, check.seq)
            }
        };
        Self {
            verified: check.first_bad.is_none(),
            entries_checked: check.seq,
            entries_total,
            message,
            root_hash: hex(&check.tree.root()),
            chain_head: hex(&check.entry_hash()),
            first_break: check.first_bad.clone(),
            first_bad: check.first_bad,
        }
    }

    /// Whether all is good.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// How many entries were found good.
    pub fn entries_checked(&self) -> i64 {
        self.entries_checked
    }

    /// In one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}
