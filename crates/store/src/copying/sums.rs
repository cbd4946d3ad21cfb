//! What the rows of a table add up to.

use serde::{Deserialize, Serialize};

use super::table::Cell;
use crate::crypto;

/// The number of rows, and the sum of their digests: the same in whatever order the rows are read, since the two databases order keys
/// with U+0000 differently. Digests begin with a random salt, so that no client could prepare rows whose sum is that of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) rows: u64,
    digests: [u64; 4],
}

impl Sums {
    pub(super) fn add(&mut self, salt: &[u8; 32], row: &[Cell]) {
        let mut bytes = salt.to_vec();
        for cell in row {
            cell.encode(&mut bytes);
        }
        let digest = crypto::digest(&[&bytes]);
        self.rows += 1;
        for (sum, part) in self.digests.iter_mut().zip(digest.as_chunks().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*part));
        }
    }
}
