//! `getInclusionProof`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    append,
    canonical::hex,
    tree::{self, ALGORITHM, SignedHead, Tree},
};
use crate::{
    call::{ReadContext, ReadOperation},
    error::{Error, Result},
    model::EntryId,
};

/// Prove that an entry is in the audit log: with the entry's canonical bytes, the path and the signed head, anybody can
/// check it without this server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetInclusionProof {
    /// The entry's id.
    entry_id: EntryId,
}

/// The proof (RFC 6962 section 2.1.1).
#[derive(Debug, Serialize, JsonSchema)]
pub struct InclusionProof {
    /// The tree's definition.
    algorithm: &'static str,
    /// The entry that it is about.
    entry_id: EntryId,
    /// Its place in the tree, from 0.
    leaf_index: u64,
    /// SHA-256 of a zero byte and the entry's canonical bytes, in hexadecimal.
    leaf_hash: String,
    /// Entries in the tree.
    tree_size: u64,
    /// Root of the tree, in hexadecimal.
    root_hash: String,
    /// The hashes beside the way from the leaf up to the root, in hexadecimal.
    audit_path: Vec<String>,
    /// The same tree's head, signed.
    sth: SignedHead,
}

impl ReadOperation for GetInclusionProof {
    type Output = InclusionProof;

    fn run(self, cx: &ReadContext<'_>) -> Result<InclusionProof> {
        let (tenant, entry_id) = (&cx.caller.tenant, self.entry_id);
        let not_found = || Error::not_found("the audit entry").field("entry_id");
        let seq = append::seq_of(&entry_id).filter(|seq| *seq > 0).ok_or_else(not_found)?;
        // The number is in the id, but the id is an entry's only if that entry says so.
        if !cx.tx.entry(tenant, seq)?.is_some_and(|read| read.is_ok_and(|entry| entry.id == entry_id)) {
            return Err(not_found());
        }
        let mut tree = Tree::open(cx.tx, &cx.services.keyring, tenant)?;
        let (leaf_index, tree_size) = ((seq - 1).cast_unsigned(), tree.size());
        if leaf_index >= tree_size {
            return Err(not_found());
        }
        let proof = tree.inclusion(leaf_index, tree_size)?;
        let signing = cx.services.keyring.signing_keys(cx.tx)?;
        Ok(InclusionProof {
            algorithm: ALGORITHM,
            entry_id,
            leaf_index,
            leaf_hash: hex(&proof.leaf),
            tree_size,
            root_hash: hex(&proof.root),
            audit_path: proof.path.iter().map(|hash| hex(hash)).collect(),
            sth: tree::sign(&signing, tree_size, &proof.root, cx.now),
        })
    }
}
