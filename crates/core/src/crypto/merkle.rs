//! The Merkle tree of RFC 6962 section 2.1 (SHA-256), kept as its frontier: the roots of the complete subtrees
//! that cover it, largest first. Appending costs one hash amortised, the root at most one per level.

use sha2::block_api::compress256;

use super::lanes::{self, LANES};

/// A node of the tree.
pub type Hash = [u8; 32];

/// The root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The hash of a leaf, set apart from inner nodes by its first byte.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(0, leaf)
}

/// The hashes of leaves, behind what `hashes` holds: many at a time if the processor can, and they are not wanted `plainly`.
pub fn leaf_hashes(leaves: &[&[u8]], plainly: bool, hashes: &mut Vec<Hash>) {
    for some in leaves.chunks(LANES) {
        match some.try_into().ok().filter(|_| !plainly).and_then(|leaves| lanes::sha256(0, leaves)) {
            Some(together) => hashes.extend(together),
            None => hashes.extend(some.iter().map(|leaf| leaf_hash(leaf))),
        }
    }
}

/// The nodes above `nodes`, which are as many as two to each, in the same way.
fn above(nodes: &[Hash], plainly: bool) -> Vec<Hash> {
    let pairs = nodes.as_chunks::<2>().0;
    let mut hashes = Vec::with_capacity(pairs.len());
    for some in pairs.chunks(LANES) {
        let together = <&[[Hash; 2]; LANES]>::try_from(some).ok().filter(|_| !plainly);
        match together.and_then(|pairs| lanes::sha256(1, &pairs.each_ref().map(|pair| pair.as_flattened()))) {
            Some(together) => hashes.extend(together),
            None => hashes.extend(some.iter().map(|[left, right]| node_hash(left, right))),
        }
    }
    hashes
}

/// The hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = [0; 64];
    node[..32].copy_from_slice(left);
    node[32..].copy_from_slice(right);
    sha256(1, &node)
}

/// The root over `nodes` of one height, which must be 2^n; `None` where there are none.
pub fn complete_root(nodes: &[Hash]) -> Option<Hash> {
    let mut nodes = nodes.to_vec();
    while nodes.len() > 1 {
        nodes = nodes.as_chunks().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    nodes.first().copied()
}

const BLOCK_BYTES: usize = 64;
/// The end of the last block: how many bits were hashed.
const LENGTH_BYTES: usize = 8;

/// SHA-256 of `first` and the bytes behind it. The blocks are laid out here (FIPS 180-4, section 5.1.1): of messages as short
/// as these, a hasher that takes bytes as they come spends a fifth of its time on that.
fn sha256(first: u8, rest: &[u8]) -> Hash {
    let bits = (rest.len() as u64 + 1) * 8;
    let mut state = INITIAL;
    let mut tail = [0; 2 * BLOCK_BYTES];
    tail[0] = first;
    // What is laid out anew: all of a short message, the first block and the end of a longer one.
    let mut used = 1;
    let mut left = rest;
    if let Some((head, behind)) = rest.split_at_checked(BLOCK_BYTES - 1) {
        tail[1..BLOCK_BYTES].copy_from_slice(head);
        let (whole, end) = behind.as_chunks();
        compress256(&mut state, tail[..BLOCK_BYTES].as_chunks().0);
        compress256(&mut state, whole);
        tail = [0; 2 * BLOCK_BYTES];
        (used, left) = (0, end);
    }
    tail[used..used + left.len()].copy_from_slice(left);
    used += left.len();
    tail[used] = 0x80;
    let end = if used < BLOCK_BYTES - LENGTH_BYTES { BLOCK_BYTES } else { 2 * BLOCK_BYTES };
    tail[end - LENGTH_BYTES..end].copy_from_slice(&bits.to_be_bytes());
    compress256(&mut state, tail[..end].as_chunks().0);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

/// Where SHA-256 begins (FIPS 180-4, section 5.3.3).
pub(super) const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

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

    /// Appends leaves by their hashes, and tells of every subtree that they complete: the height, its first leaf and the
    /// root. Many are hashed at a time, if the processor can and it is not wanted `plainly`.
    pub fn push_all(&mut self, leaves: &[Hash], plainly: bool, mut completed: impl FnMut(u32, u64, &Hash)) {
        let mut rest = leaves;
        while let Some(most) = rest.len().checked_ilog2() {
            // As many as are a complete subtree where they stand.
            let (some, behind) = rest.split_at(1 << most.min(self.size.trailing_zeros()));
            let (first, mut height, mut nodes) = (self.size, 0, some.to_vec());
            loop {
                for (leaf, node) in (first..).step_by(1 << height).zip(&nodes) {
                    completed(height, leaf, node);
                }
                if nodes.len() < 2 {
                    break;
                }
                nodes = above(&nodes, plainly);
                height += 1;
            }
            for root in nodes {
                self.grow(height, root, |height, root| completed(height, first, root));
            }
            rest = behind;
        }
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
    use sha2::{Digest, Sha256};

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
        fn the_hash_is_sha_256_whatever_the_length(first: u8, rest in proptest::collection::vec(any::<u8>(), 0..400)) {
            let whole: Hash = Sha256::new().chain_update([first]).chain_update(&rest).finalize().into();
            prop_assert_eq!(sha256(first, &rest), whole);
        }

        #[test]
        fn leaves_that_are_hashed_together_have_the_hashes_that_each_has_by_itself(
            leaves in proptest::collection::vec((any::<u8>(), 0..60_usize), 0..70), length in 0..600_usize, plainly: bool
        ) {
            let leaves: Vec<Vec<u8>> = leaves.into_iter().map(|(byte, more)| vec![byte; length + more]).collect();
            let (mut hashes, leaves) = (vec![EMPTY_ROOT], leaves.iter().map(Vec::as_slice).collect::<Vec<_>>());
            leaf_hashes(&leaves, plainly, &mut hashes);
            prop_assert_eq!(hashes.remove(0), EMPTY_ROOT);
            prop_assert_eq!(hashes, leaves.iter().map(|leaf| leaf_hash(leaf)).collect::<Vec<_>>());
        }

        #[test]
        fn the_root_is_the_one_of_the_definition_and_of_another_implementation(
            leaves in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..200)
        ) {
            let mut frontier = Frontier::default();
            let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
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
            leaves in 0_u32..600, height in 0_u32..6, uneven in 0_usize..100, plainly: bool
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
            let (mut at_once, mut gathered) = (Frontier::default(), Vec::new());
            let hashes: Vec<Hash> = (0..leaves).map(leaf).collect();
            let (one, others) = hashes.split_at(hashes.len().min(uneven));
            for (some, plainly) in [(one, plainly), (others, !plainly)] {
                at_once.push_all(some, plainly, |height, leaf, root| gathered.push((height, leaf >> height, *root)));
            }
            prop_assert_eq!(&at_once, &whole);
            let level = |of: u32| gathered.iter().filter(move |(height, _, _)| *height == of).map(|(_, index, _)| *index);
            let each_level_in_order = (0..10).all(|height| level(height).is_sorted());
            prop_assert!(each_level_in_order);
            gathered.sort_unstable();
            told.sort_unstable();
            prop_assert_eq!(&gathered, &told);
            found.sort_unstable();
            prop_assert_eq!(found, told);
            prop_assert_eq!(joined, whole);
        }
    }
}
