//! Proofs over the tree (RFC 6962 section 2.1, RFC 9162 section 2.1): that a leaf is in it, and that a larger tree
//! begins with a smaller one. Made from the roots of complete subtrees, and checked without any of them.

use super::merkle::{EMPTY_ROOT, Hash, node_hash};

/// Gives the roots of complete subtrees.
pub trait Nodes {
    /// Why one could not be given.
    type Error;

    /// The root of the subtree over the 2^`height` leaves from `index` · 2^`height` on.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// Where a tree of `size` leaves, at least two, is cut in two: the largest power of two below `size`.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over the `size` leaves from `first` on, where `first` is a place at which the tree is cut.
fn range_root<N: Nodes>(nodes: &mut N, first: u64, size: u64) -> Result<Hash, N::Error> {
    let (mut at, mut rest) = (first, size);
    let mut complete = Vec::new();
    while rest > 0 {
        let height = rest.ilog2();
        complete.push(nodes.node(height, at >> height)?);
        at += 1 << height;
        rest -= 1 << height;
    }
    let mut complete = complete.into_iter().rev();
    let Some(last) = complete.next() else { return Ok(EMPTY_ROOT) };
    Ok(complete.fold(last, |right, left| node_hash(&left, &right)))
}

/// The root of the tree of `size` leaves.
pub fn root<N: Nodes>(nodes: &mut N, size: u64) -> Result<Hash, N::Error> {
    range_root(nodes, 0, size)
}

/// PATH(m, D\[n\]): the way from leaf `index` to the root of the tree of `size` leaves, from below. `index` is less than
/// `size`.
pub fn inclusion<N: Nodes>(nodes: &mut N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let (mut first, mut index, mut size) = (0, index, size);
    let mut path = Vec::new();
    while size > 1 {
        let left = split(size);
        if index < left {
            path.push(range_root(nodes, first + left, size - left)?);
            size = left;
        } else {
            path.push(range_root(nodes, first, left)?);
            (first, index, size) = (first + left, index - left, size - left);
        }
    }
    path.reverse();
    Ok(path)
}

/// PROOF(m, D\[n\]): that the tree of `second` leaves begins with that of `first`. `first` is not more than `second`.
pub fn consistency<N: Nodes>(nodes: &mut N, first: u64, second: u64) -> Result<Vec<Hash>, N::Error> {
    let mut path = Vec::new();
    if first == 0 || first >= second {
        return Ok(path);
    }
    let (mut start, mut old, mut size, mut is_whole) = (0, first, second, true);
    while old != size {
        let left = split(size);
        if old <= left {
            path.push(range_root(nodes, start + left, size - left)?);
            size = left;
        } else {
            path.push(range_root(nodes, start, left)?);
            (start, old, size, is_whole) = (start + left, old - left, size - left, false);
        }
    }
    if !is_whole {
        path.push(range_root(nodes, start, size)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `path` leads from `leaf`, the `index`th of `size` leaves, to `root` (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` proves that the tree with `second_root` begins with the one with `first_root` (RFC 9162 section
/// 2.1.4.2). Every tree begins with the empty one.
pub fn verify_consistency(first: u64, first_root: &Hash, second: u64, second_root: &Hash, path: &[Hash]) -> bool {
    if first == second {
        return path.is_empty() && first_root == second_root;
    }
    if first > second {
        return false;
    }
    if first == 0 {
        return path.is_empty() && *first_root == EMPTY_ROOT;
    }
    let mut path = path.iter();
    let seed = if first.is_power_of_two() { Some(first_root) } else { path.next() };
    let Some(seed) = seed else { return false };
    let (mut node, mut last) = (first - 1, second - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*seed, *seed);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == *first_root && new == *second_root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::leaf_hash;

    /// MTH, PATH and PROOF of RFC 6962 section 2.1, as written there.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => EMPTY_ROOT,
            [leaf] => *leaf,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
            }
        }
    }

    fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = leaves.len().next_power_of_two() / 2;
        let (mut below, beside) = if m < k {
            (path(m, &leaves[..k]), mth(&leaves[k..]))
        } else {
            (path(m - k, &leaves[k..]), mth(&leaves[..k]))
        };
        below.push(beside);
        below
    }

    fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if m == leaves.len() {
            return if whole { Vec::new() } else { vec![mth(leaves)] };
        }
        let k = leaves.len().next_power_of_two() / 2;
        let (mut below, beside) = if m <= k {
            (subproof(m, &leaves[..k], whole), mth(&leaves[k..]))
        } else {
            (subproof(m - k, &leaves[k..], false), mth(&leaves[..k]))
        };
        below.push(beside);
        below
    }

    struct All(Vec<Hash>);

    impl Nodes for All {
        type Error = std::convert::Infallible;

        fn node(&mut self, height: u32, index: u64) -> Result<Hash, Self::Error> {
            let first = usize::try_from(index << height).unwrap();
            Ok(mth(&self.0[first..first + (1 << height)]))
        }
    }

    fn leaves(count: usize) -> All {
        All((0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect())
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|index| u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).unwrap()).collect()
    }

    /// The leaves, roots and proofs that implementations of RFC 6962 are commonly held against.
    #[test]
    fn the_known_answers_of_rfc_6962_are_met() {
        let inputs =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut all = All(inputs.iter().map(|input| leaf_hash(&bytes(input))).collect());
        for (index, expected) in roots.iter().enumerate() {
            assert_eq!(root(&mut all, index as u64 + 1).unwrap().to_vec(), bytes(expected), "{} leaves", index + 1);
        }
        let inclusions: [(u64, u64, &[&str]); 3] = [
            (
                0,
                8,
                &[
                    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
                ],
            ),
            (
                5,
                8,
                &[
                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                ],
            ),
            (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        ];
        for (index, size, expected) in inclusions {
            let expected: Vec<Hash> = expected.iter().map(|hash| bytes(hash).try_into().unwrap()).collect();
            assert_eq!(inclusion(&mut all, index, size).unwrap(), expected, "{index} of {size}");
        }
        let consistencies: [(u64, u64, &[&str]); 2] = [
            (
                6,
                8,
                &[
                    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                ],
            ),
            (
                2,
                5,
                &[
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                ],
            ),
        ];
        for (first, second, expected) in consistencies {
            let expected: Vec<Hash> = expected.iter().map(|hash| bytes(hash).try_into().unwrap()).collect();
            assert_eq!(consistency(&mut all, first, second).unwrap(), expected, "{first} to {second}");
        }
    }

    #[test]
    fn every_proof_of_every_small_tree_is_the_one_of_the_definition_and_verifies_for_its_own_place_alone() {
        let mut all = leaves(66);
        for size in 1..=all.0.len() {
            let tree: Vec<Hash> = all.0[..size].to_vec();
            let root = mth(&tree);
            assert_eq!(super::root(&mut all, size as u64).unwrap(), root);
            for index in 0..size {
                let proof = inclusion(&mut all, index as u64, size as u64).unwrap();
                assert_eq!(proof, path(index, &tree));
                for other in 0..size {
                    let verified = verify_inclusion(&tree[index], other as u64, size as u64, &proof, &root);
                    assert_eq!(verified, other == index, "{index} as {other} of {size}");
                }
            }
            for first in 1..=size {
                let proof = consistency(&mut all, first as u64, size as u64).unwrap();
                assert_eq!(proof, subproof(first, &tree, true));
                let old = mth(&tree[..first]);
                assert!(verify_consistency(first as u64, &old, size as u64, &root, &proof));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_single_bit_of_leaf_proof_root_and_size_counts(size in 2_u64..5_000, at: prop::sample::Index) {
            let mut all = leaves(usize::try_from(size).unwrap());
            let index = at.index(usize::try_from(size).unwrap()) as u64;
            let leaf = all.0[usize::try_from(index).unwrap()];
            let (root, first) = (mth(&all.0), index.max(1));
            let proof = inclusion(&mut all, index, size).unwrap();
            prop_assert_eq!(&proof, &path(usize::try_from(index).unwrap(), &all.0));
            prop_assert!(verify_inclusion(&leaf, index, size, &proof, &root));
            let flip = |hash: &Hash, bit: usize| { let mut hash = *hash; hash[bit / 8] ^= 1 << (bit % 8); hash };
            for bit in 0..256 {
                prop_assert!(!verify_inclusion(&flip(&leaf, bit), index, size, &proof, &root));
                prop_assert!(!verify_inclusion(&leaf, index, size, &proof, &flip(&root, bit)));
                for place in 0..proof.len() {
                    let mut altered = proof.clone();
                    altered[place] = flip(&altered[place], bit);
                    prop_assert!(!verify_inclusion(&leaf, index, size, &altered, &root));
                }
            }
            let old_leaves = &all.0[..usize::try_from(first).unwrap()];
            let old = mth(old_leaves);
            let proof = subproof(old_leaves.len(), &all.0, true);
            prop_assert_eq!(&consistency(&mut all, first, size).unwrap(), &proof);
            prop_assert!(verify_consistency(first, &old, size, &root, &proof));
            for bit in 0..64 {
                // A size whose tree has the same shape on the way cannot be told by the proof alone: the signature
                // covers the size. What must not be is another root.
                prop_assert!(!verify_consistency(first, &old, size, &flip(&root, bit), &proof));
                prop_assert!(!verify_consistency(first, &flip(&old, bit), size, &root, &proof));
            }
            for place in 0..proof.len() {
                let mut shorter = proof.clone();
                shorter.remove(place);
                prop_assert!(!verify_consistency(first, &old, size, &root, &shorter));
            }
            let longer = [proof, vec![root]].concat();
            prop_assert!(!verify_consistency(first, &old, size, &root, &longer));
        }
    }
}
