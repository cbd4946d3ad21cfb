//! `getConsistencyProof`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    canonical::hex,
    tree::{ALGORITHM, Tree},
};
use crate::{
    call::{ReadContext, ReadOperation},
    error::{Code, Error, Result},
};

/// Prove that the audit log at one size begins with the log at an earlier size: that nothing was changed, removed or put
/// in between.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetConsistencyProof {
    /// The earlier size, at least 1.
    #[schemars(range(min = 1))]
    first: i64,
    /// The later size. Default: as many entries as there are.
    #[schemars(range(min = 1))]
    second: Option<i64>,
}

/// The proof (RFC 6962 section 2.1.2).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConsistencyProof {
    /// The tree's definition.
    pub algorithm: Cow<'static, str>,
    /// The earlier size.
    pub first_size: u64,
    /// The later size.
    pub second_size: u64,
    /// Root at the earlier size, in hexadecimal.
    pub first_root: String,
    /// Root at the later size, in hexadecimal.
    pub second_root: String,
    /// The hashes that lead from one to the other, in hexadecimal.
    pub consistency_path: Vec<String>,
}

impl ReadOperation for GetConsistencyProof {
    type Output = ConsistencyProof;

    fn run(self, cx: &ReadContext<'_>) -> Result<ConsistencyProof> {
        let mut tree = Tree::open(cx.tx, &cx.services.keyring, &cx.caller.tenant)?;
        let second = self.second.map_or(tree.size(), |size| u64::try_from(size).unwrap_or(0));
        let first = u64::try_from(self.first).unwrap_or(0);
        if first < 1 || first > second || second > tree.size() {
            let field = if first < 1 || first > second { "first" } else { "second" };
            let message = format!("sizes must be 1 <= first <= second <= {}, the entries of this log", tree.size());
            return Err(Error::new(Code::InvalidRange, message).field(field).with("tree_size", tree.size()));
        }
        let proof = tree.consistency(first, second)?;
        Ok(ConsistencyProof {
            algorithm: ALGORITHM.into(),
            first_size: first,
            second_size: second,
            first_root: hex(&proof.first_root),
            second_root: hex(&proof.second_root),
            consistency_path: proof.path.iter().map(|hash| hex(hash)).collect(),
        })
    }
}
