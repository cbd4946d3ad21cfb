//! The Merkle tree of RFC 6962 section 2.1 (SHA-256), kept as its frontier: the roots of the complete subtrees
//! that cover it, largest first. Appending costs one hash amortised, the root at most one per level.

use super::Sha256;

/// A node of the tree.
pub type Hash = [u8; 32];

/// The root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The hash of a leaf, set apart from inner nodes by its first byte.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

/// The hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The root over `nodes` of one height, which must be 2^n; `None` where there are none.
pub fn complete_root(nodes: &[Hash]) -> Option<Hash> {
    let mut nodes = nodes.to_vec();
    while nodes.len() > 1 {
        nodes = nodes.as_chunks().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    nodes.first().copied()
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::default();
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

/// A tree that can be appended to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _| {});
    }

    /// Appends a leaf by its hash, and tells of every subtree that it completes: the height, from 0 for the leaf
    /// itself, and the root.
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(u32, &Hash)) {
        completed(0, &leaf);
        self.grow(0, leaf, completed);
    }

    /// Appends the leaves of another tree, which has at most as many as this has in its smallest subtree, or any number
    /// if this is empty; tells of every subtree that is completed by it. `false` if the other does not fit.
    pub fn append(&mut self, other: &Self, mut completed: impl FnMut(u32, u64, &Hash)) -> bool {
        for (height, root) in other.subtrees() {
            if self.size.trailing_zeros() < height {
                return false;
            }
            let leaf = self.size;
            self.grow(height, root, |height, root| completed(height, leaf >> height, root));
        }
        true
    }

    /// Appends a complete subtree behind others that are at least as high.
    fn grow(&mut self, height: u32, root: Hash, mut completed: impl FnMut(u32, &Hash)) {
        let mut node = root;
        // Every trailing one bit of the size is a complete subtree that the new one completes to a larger one.
        for above in 1..=(self.size >> height).trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                node = node_hash(&left, &node);
                completed(height + above, &node);
            }
        }
        self.subtrees.push(node);
        self.size += 1 << height;
    }

    /// The root of the complete subtree number `index` of this height, if the tree ends behind it.
    pub fn subtree(&self, height: u32, index: u64) -> Option<Hash> {
        let place = self.subtrees().find(|(own, _)| *own == height);
        place.filter(|_| self.size >> height == index + 1).map(|(_, root)| root)
    }

    /// Height and root of every subtree, the largest first.
    fn subtrees(&self) -> impl Iterator<Item = (u32, Hash)> {
        let heights = (0..u64::BITS).rev().filter(|height| self.size >> height & 1 == 1);
        heights.zip(self.subtrees.iter().copied())
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(last) = subtrees.next() else { return EMPTY_ROOT };
        subtrees.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The subtrees as bytes, for the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.subtrees.concat()
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` if it cannot belong to a tree of that size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        (rest.is_empty() && hashes.len() == size.count_ones() as usize)
            .then(|| Self { size, subtrees: hashes.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    use super::*;

    /// MTH of RFC 6962 section 2.1, as written there.
    fn by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => EMPTY_ROOT,
            [leaf] => leaf_hash(leaf),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&by_definition(&leaves[..split]), &by_definition(&leaves[split..]))
            }
        }
    }

    proptest! {
        #[test]
        fn the_root_is_the_one_of_the_definition_and_of_another_implementation(
            leaves in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..200)
        ) {
            let mut frontier = Frontier::default();
            let mut other = MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
            for leaf in &leaves {
                frontier.push(leaf_hash(leaf));
                other.push(leaf.clone());
            }
            prop_assert_eq!(frontier.root(), by_definition(&leaves));
            let their_root: Hash = (*other.root().as_bytes()).into();
            prop_assert_eq!(frontier.root(), their_root);
            prop_assert_eq!(Frontier::from_bytes(frontier.size(), &frontier.to_bytes()), Some(frontier));
        }

        #[test]
        fn trees_of_parts_make_the_tree_of_the_whole(
            leaves in 0_u32..600, height in 0_u32..6
        ) {
            let leaf = |number: u32| leaf_hash(&number.to_be_bytes());
            let (mut whole, mut told) = (Frontier::default(), Vec::new());
            for number in 0..leaves {
                let index = u64::from(number);
                whole.push_with(leaf(number), |height, root| told.push((height, index >> height, *root)));
            }
            let (mut joined, mut found) = (Frontier::default(), Vec::new());
            for first in (0..leaves).step_by(1 << height) {
                let mut part = Frontier::default();
                for number in first..leaves.min(first + (1 << height)) {
                    let index = u64::from(number);
                    part.push_with(leaf(number), |height, root| found.push((height, index >> height, *root)));
                }
                prop_assert!(joined.append(&part, |height, index, root| found.push((height, index, *root))));
            }
            told.sort_unstable();
            found.sort_unstable();
            prop_assert_eq!(found, told);
            prop_assert_eq!(joined, whole);
        }
    }
}
