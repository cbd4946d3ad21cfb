//! The Merkle tree of a log, read from its tiles. Nothing in the tiles is believed: every proof is checked against the
//! root in the log's authenticated head before it is given out.

use std::collections::{HashMap, hash_map};

use schemars::JsonSchema;
use serde::Serialize;

pub use haldir_verify::tree_head::{ALGORITHM, SIGNED, signed_bytes};

use super::{
    canonical::{self, hex},
    chain,
};
use crate::{
    call::{Keyring, PublishedKey, SigningKeys},
    crypto::{self, Checkpoint, Frontier, Hash, Nodes, Note, Verifier},
    error::{Code, Error, Result},
    model::{TenantId, UnixMicros},
    store::{
        Head, ReadTx, Store,
        tree::{TILE_HASHES, TILE_HEIGHT, TileHash, TreeBuild},
    },
};

/// Entries that one step of a build goes through; fewer in unit tests, where a short log takes several steps.
const BUILD_AT_A_TIME: i64 = if cfg!(test) { 256 } else { 4_096 };

/// A log's tree as one snapshot has it.
pub struct Tree<'a> {
    tx: &'a ReadTx,
    tenant: &'a TenantId,
    frontier: Frontier,
    root: Hash,
    tiles: HashMap<(u32, i64), Vec<Hash>>,
}

/// Refuses while the tree of a log is being built: what its tiles say cannot be compared with anything until then. Who opens
/// the store builds it.
pub fn require_built(tx: &ReadTx, tenant: &TenantId) -> Result<()> {
    let Some(build) = tx.tree_build(Some(tenant))? else { return Ok(()) };
    let message =
        format!("the tree of this log is being built, {} of {} entries so far; try again", build.done, build.total);
    Err(Error::new(Code::Unavailable, message))
}

impl<'a> Tree<'a> {
    /// The tree that ends at the log's authenticated head.
    pub fn open(tx: &'a ReadTx, keyring: &Keyring, tenant: &'a TenantId) -> Result<Self> {
        let keys = keyring.tenant(tx, tenant)?;
        Self::at(tx, tenant, &chain::authentic_head(tx, &keys, tenant)?)
    }

    /// The tree that ends at `head`, which is authentic.
    pub fn at(tx: &'a ReadTx, tenant: &'a TenantId, head: &Head) -> Result<Self> {
        require_built(tx, tenant)?;
        let frontier = chain::frontier(head)?;
        let root = frontier.root();
        Ok(Self { tx, tenant, frontier, root, tiles: HashMap::new() })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Root over all leaves.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The hash of leaf `index`, and the proof that it is in the tree of `size` leaves with the root that is answered
    /// as well.
    pub fn inclusion(&mut self, index: u64, size: u64) -> Result<Inclusion> {
        let root = self.root_at(size)?;
        let leaf = self.node(0, index)?;
        let path = crypto::inclusion(self, index, size)?;
        if crypto::verify_inclusion(&leaf, index, size, &path, &root) {
            Ok(Inclusion { leaf, root, path })
        } else {
            Err(altered())
        }
    }

    /// The roots of the trees of `first` and `second` leaves, and the proof that the larger begins with the smaller.
    pub fn consistency(&mut self, first: u64, second: u64) -> Result<Consistency> {
        let second_root = self.root_at(second)?;
        let first_root = crypto::root(self, first)?;
        let path = crypto::consistency(self, first, second)?;
        if crypto::verify_consistency(first, &first_root, second, &second_root, &path) {
            Ok(Consistency { first_root, second_root, path })
        } else {
            Err(altered())
        }
    }

    /// The root when the log had `size` leaves, at most as many as it has.
    pub fn root_at(&mut self, size: u64) -> Result<Hash> {
        if size == self.size() {
            return Ok(self.root);
        }
        let root = crypto::root(self, size)?;
        let path = crypto::consistency(self, size, self.size())?;
        if size < self.size() && crypto::verify_consistency(size, &root, self.size(), &self.root, &path) {
            Ok(root)
        } else {
            Err(altered())
        }
    }
}

/// A proof that a leaf is in a tree.
pub struct Inclusion {
    /// The leaf's hash.
    pub leaf: Hash,
    /// The tree's root.
    pub root: Hash,
    /// From the leaf up.
    pub path: Vec<Hash>,
}

/// A proof that a tree begins with another.
pub struct Consistency {
    /// Root of the smaller tree.
    pub first_root: Hash,
    /// Root of the larger tree.
    pub second_root: Hash,
    /// In the order of RFC 6962.
    pub path: Vec<Hash>,
}

impl Nodes for Tree<'_> {
    type Error = Error;

    fn node(&mut self, height: u32, index: u64) -> Result<Hash> {
        // Most of what a proof needs at the end of the tree is in its head.
        if let Some(root) = self.frontier.subtree(height, index) {
            return Ok(root);
        }
        let (level, inner) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
        let first = (index << inner).cast_signed();
        let tile = first / TILE_HASHES;
        let hashes = match self.tiles.entry((level, tile)) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(place) => {
                place.insert(self.tx.tile_hashes(self.tenant, level, tile * TILE_HASHES, 256)?)
            }
        };
        let from = usize::try_from(first % TILE_HASHES).map_err(Error::internal)?;
        let to = from + (1 << inner);
        if hashes.len() < to {
            *hashes = self::hashes(self.tx, self.tenant, level, tile * TILE_HASHES, to)?;
        }
        hashes.get(from..to).and_then(crypto::complete_root).ok_or_else(altered)
    }
}

/// The hashes of `level` from `first` on, at most `count`: from the tiles, and behind the last fold from the entries.
pub fn hashes(tx: &ReadTx, tenant: &TenantId, level: u32, first: i64, count: usize) -> Result<Vec<Hash>> {
    let mut hashes = tx.tile_hashes(tenant, level, first, count)?;
    let mut next = first + hashes.len().cast_signed() as i64;
    if hashes.len() == count || next < tx.last_in_tiles(tenant)? >> (level * TILE_HEIGHT) {
        return Ok(hashes);
    }
    if level > 0 {
        while hashes.len() < count {
            let below = self::hashes(tx, tenant, level - 1, next * TILE_HASHES, 256)?;
            hashes.extend(crypto::complete_root(&below).filter(|_| below.len() == 256));
            next += 1;
            if below.len() < 256 {
                break;
            }
        }
        return Ok(hashes);
    }
    let mut canonical = Vec::new();
    tx.each_entry(tenant, next + 1, &mut |read| {
        // What is missing or is no entry ends the list, as a gap in the tiles does.
        let Some(entry) = read.ok().filter(|entry| entry.seq == next + 1 && hashes.len() < count) else { return false };
        canonical::write(tenant, &entry, &mut canonical);
        hashes.push(crypto::leaf_hash(&canonical));
        next += 1;
        true
    })?;
    Ok(hashes)
}

fn altered() -> Error {
    Error::internal("the tree in the store is not that of the log's head: it was altered outside haldir")
}

/// A signed tree head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SignedHead {
    /// Number of entries.
    pub tree_size: u64,
    /// Root of the RFC 6962 tree over the entries' canonical bytes, in hexadecimal.
    pub root_hash: String,
    /// When it was signed, in whole Unix seconds.
    pub signed_at: i64,
    /// What is signed and how: Ed25519 over the text `sth:<tree_size>:<root_hash>:<signed_at>`.
    pub algorithm: &'static str,
    /// The signature, in hexadecimal.
    pub signature: String,
    /// The key that made it, 32 bytes in hexadecimal; published at /.well-known/jwks.json.
    pub public_key: String,
    /// The key's name there.
    pub key_id: String,
}

/// Signs a tree head at `now`.
pub fn sign(keys: &SigningKeys, size: u64, root: &Hash, now: UnixMicros) -> SignedHead {
    let signed_at = now.as_seconds();
    let signature = keys.current().sign(&signed_bytes(size, root, signed_at));
    SignedHead::new(size, root, signed_at, &signature, keys.current().public())
}

impl SignedHead {
    /// A head with its signature.
    pub fn new(size: u64, root: &Hash, signed_at: i64, signature: &[u8], key: crypto::PublicKey) -> Self {
        Self {
            tree_size: size,
            root_hash: hex(root),
            signed_at,
            algorithm: SIGNED,
            signature: canonical::hex(signature),
            public_key: hex(key.as_bytes()),
            key_id: key.id(),
        }
    }
}

/// The name of the tenant's log in checkpoints. It never changes.
pub fn origin(tenant: &TenantId, log_name: [u8; 8]) -> String {
    format!("haldir/{tenant}/{}", hex(&log_name))
}

/// The checkpoint of a tree, signed by every key that signs at `now`.
pub fn checkpoint(keys: &SigningKeys, origin: &str, size: u64, root: Hash, now: UnixMicros) -> Note {
    let mut note = Checkpoint { origin: origin.to_owned(), size, root }.to_note();
    for key in keys.signing_at(now) {
        note.sign(origin, key);
    }
    note
}

/// A published key as a verifier of this log's checkpoints.
pub fn verifier(origin: &str, published: &PublishedKey) -> Verifier {
    Verifier::of_log(origin, published.key)
}

/// Makes up for the hashes that an older version did not keep. Each step is a transaction; several processes may be at
/// it at once, and one that stops is continued by the next that opens the store.
pub async fn build(store: &Store) -> Result<()> {
    while let Some(build) = store.read(|tx| Ok(tx.tree_build(None)?))? {
        if build.done % (BUILD_AT_A_TIME * 50) == 0 {
            tracing::info!(tenant = %build.tenant, done = build.done, total = build.total, "building the tree of the log");
        }
        let from = build.clone();
        let (step, hashes) = store.scan(move |tx| next_step(tx, &from)).await?;
        let tenant = build.tenant.clone();
        let work = move |tx: &mut crate::store::Tx| {
            // Another process may have been faster with this step.
            Ok(if tx.tree_build(Some(&build.tenant))?.as_ref() == Some(&build) {
                tx.build_tree(&step, &hashes)
            } else {
                Ok(())
            }?)
        };
        store.write(&tenant, work).await?;
    }
    Ok(())
}

fn next_step(tx: &ReadTx, build: &TreeBuild) -> Result<(TreeBuild, Vec<TileHash>)> {
    let begun = u64::try_from(build.done).ok().and_then(|done| Frontier::from_bytes(done, &build.frontier));
    let mut tree = begun.ok_or_else(altered)?;
    let end = build.total.min(build.done + BUILD_AT_A_TIME);
    let mut hashes = Vec::new();
    let (mut expected, mut bytes) = (build.done + 1, Vec::new());
    tx.each_entry(&build.tenant, expected, &mut |read| {
        // What is no entry, or stands in the wrong place, has no leaf: `verify` names it, and no proof over it holds.
        let found = match &read {
            Ok(entry) if entry.seq > end => return false,
            Ok(entry) if entry.seq >= expected => {
                while expected < entry.seq {
                    chain::push(&mut tree, [0; 32], &mut hashes);
                    expected += 1;
                }
                canonical::write(&build.tenant, entry, &mut bytes);
                crypto::leaf_hash(&bytes)
            }
            Ok(_) => return true,
            Err(_) if expected > end => return false,
            Err(_) => [0; 32],
        };
        chain::push(&mut tree, found, &mut hashes);
        expected += 1;
        expected <= end
    })?;
    while expected <= end {
        chain::push(&mut tree, [0; 32], &mut hashes);
        expected += 1;
    }
    let step = TreeBuild { tenant: build.tenant.clone(), done: end, total: build.total, frontier: tree.to_bytes() };
    Ok((step, hashes))
}
