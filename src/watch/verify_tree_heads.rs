//! `verifyTreeHeads`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tree::{self, Tree};
use crate::{
    call::{Keyring, PublishedKey, ReadContext, ReadOperation},
    error::{Code, Result},
    model::TenantId,
    store::{
        ReadTx,
        tree::{Heads, RecordedHead},
    },
};

/// Heads that are read at a time.
const AT_A_TIME: usize = 1_000;

/// Check every recorded head of the audit log: its signature, that a published key made it, and that the log of today
/// begins with the log of then.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyTreeHeads {}

/// What the check found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HeadsVerification {
    /// Whether every recorded head is as it was signed, and stands for the beginning of today's log.
    verified: bool,
    /// How many were found good, from the largest on.
    heads_checked: u64,
    /// Entries in today's log.
    tree_size: u64,
    /// In one sentence.
    message: String,
    /// The first head that is not good; null if there is none.
    first_break: Option<BadHead>,
}

/// A head that is not good.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BadHead {
    /// Its number of entries.
    tree_size: i64,
    /// What is wrong with it.
    problem: String,
}

impl ReadOperation for VerifyTreeHeads {
    type Output = HeadsVerification;

    fn run(self, cx: &ReadContext<'_>) -> Result<HeadsVerification> {
        HeadsVerification::of(cx.tx, &cx.services.keyring, &cx.caller.tenant)
    }
}

impl HeadsVerification {
    /// Checks the heads of this tenant's log.
    pub fn of(tx: &ReadTx, keyring: &Keyring, tenant: &TenantId) -> Result<Self> {
        let mut tree = Tree::open(tx, keyring, tenant)?;
        let signing = keyring.signing_keys(tx)?;
        let (mut checked, mut before, mut first_break) = (0_u64, i64::MAX, None);
        'pages: loop {
            let heads = tx.recorded_heads(tenant, Heads::Before(before), AT_A_TIME)?;
            let Some(last) = heads.last() else { break };
            before = last.tree_size;
            for head in &heads {
                if let Some(problem) = problem(&mut tree, signing.published(), head)? {
                    first_break = Some(BadHead { tree_size: head.tree_size, problem: problem.to_owned() });
                    break 'pages;
                }
                checked += 1;
            }
        }
        let message = match &first_break {
            None => format!("all {checked} recorded heads are verified against the log of {} entries", tree.size()),
            Some(bad) => format!("the head of {} entries: {}", bad.tree_size, bad.problem),
        };
        let verified = first_break.is_none();
        Ok(Self { verified, heads_checked: checked, tree_size: tree.size(), message, first_break })
    }

    /// Whether all is good.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// In one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

fn problem(tree: &mut Tree<'_>, keys: &[PublishedKey], head: &RecordedHead) -> Result<Option<&'static str>> {
    let Some(published) = keys.iter().find(|published| *published.key.as_bytes() == head.public_key) else {
        return Ok(Some("it was signed with a key that is none of this store's"));
    };
    let size = head.tree_size.cast_unsigned();
    let message = tree::signed_bytes(size, &head.root_hash, head.signed_at);
    let is_signed = head.signature.as_slice().try_into().is_ok_and(|bytes| published.key.verifies(&message, bytes));
    if !is_signed {
        return Ok(Some("its signature does not verify: it was altered"));
    }
    if size > tree.size() {
        return Ok(Some("the log has fewer entries today: its end was cut off"));
    }
    match tree.root_at(size) {
        Ok(root) if root == head.root_hash => Ok(None),
        Ok(_) => Ok(Some("the log of today does not begin with it: entries before it were changed")),
        Err(error) if error.code == Code::Internal => Ok(Some("the tree in the store was altered outside haldir")),
        Err(error) => Err(error),
    }
}
