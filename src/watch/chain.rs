//! The end of a log: how it is authenticated, and how one more entry moves it.

use crate::{
    call::TenantKeys,
    crypto::{self, Frontier},
    error::{Error, Result},
    model::{Entry, EntryKind, EntryView, TenantId, UnixMicros},
    store::{
        Head, ReadTx, Tx,
        tree::{TILE_HEIGHT, TileHash},
    },
    watch::canonical,
};

/// A keyed hash over everything else in the head. Without it an insider could cut off the tail and set the head back, and
/// the next append would make that true.
fn seal(keys: &TenantKeys, tenant: &TenantId, head: &Head) -> [u8; 32] {
    crypto::mac(
        &keys.log,
        &[
            tenant.as_str().as_bytes(),
            &head.seq.to_be_bytes(),
            &head.at.0.to_be_bytes(),
            &head.entry_hash,
            &head.tree,
            &head.actions.to_be_bytes(),
            &head.cost.nanos().to_be_bytes(),
            &head.flagged.to_be_bytes(),
        ],
    )
}

/// The leaf that an entry is in the tree of its log.
pub fn leaf_hash(tenant: &TenantId, entry: &EntryView<'_>) -> crypto::Hash {
    let mut canonical = Vec::with_capacity(512);
    canonical::write(tenant, entry, &mut canonical);
    crypto::leaf_hash(&canonical)
}

/// Writes the head of an empty log, when its tenant is made.
pub fn begin(tx: &mut Tx, keys: &TenantKeys, tenant: &TenantId, now: UnixMicros) -> Result<()> {
    let mut head = Head { at: now, entry_hash: canonical::GENESIS, ..Head::default() };
    head.mac = seal(keys, tenant, &head);
    Ok(tx.begin_log(tenant, &head)?)
}

/// Whether haldir made this head: it is sealed by the tenant's key.
pub fn is_authentic(keys: &TenantKeys, tenant: &TenantId, head: &Head) -> bool {
    crypto::same(&head.mac, &seal(keys, tenant, head))
}

/// The head, if it is as haldir left it. An altered head is never built upon: that would make it true.
pub fn authentic_head(tx: &ReadTx, keys: &TenantKeys, tenant: &TenantId) -> Result<Head> {
    let head = tx.head(tenant)?.ok_or_else(|| altered("is missing"))?;
    if is_authentic(keys, tenant, &head) { Ok(head) } else { Err(altered("was altered")) }
}

fn altered(how: &str) -> Error {
    Error::internal(format!(
        "the head of the audit log {how} outside haldir: no entry is appended until it is put back"
    ))
}

/// The tree that ends at this head.
pub fn frontier(head: &Head) -> Result<Frontier> {
    u64::try_from(head.seq)
        .ok()
        .and_then(|size| Frontier::from_bytes(size, &head.tree))
        .ok_or_else(|| altered("was altered"))
}

/// Chains `entry`, whose other fields are complete, behind `head`, which becomes the new one. Answers the leaf
/// that it is in the log's tree.
pub fn extend(keys: &TenantKeys, tenant: &TenantId, head: &mut Head, entry: &mut Entry) -> Result<crypto::Hash> {
    entry.prev_hash = head.entry_hash;
    let canonical = canonical::bytes(tenant, entry);
    entry.entry_hash = canonical::entry_hash(&canonical);
    let mut tree = frontier(head)?;
    let leaf = crypto::leaf_hash(&canonical);
    tree.push(leaf);
    head.seq = entry.seq;
    head.at = entry.at;
    head.entry_hash = entry.entry_hash;
    head.tree = tree.to_bytes();
    if entry.kind == EntryKind::Action {
        head.actions += 1;
        head.cost = head.cost.saturating_add(entry.cost);
    }
    head.flagged += i64::from(entry.flagged);
    head.mac = seal(keys, tenant, head);
    Ok(leaf)
}

/// Appends a leaf to the tree, and to `hashes` what the tiles gain by it.
pub fn push(tree: &mut Frontier, leaf: crypto::Hash, hashes: &mut Vec<TileHash>) {
    let index = tree.size();
    tree.push_with(leaf, |height, root| hashes.extend(tile_hash(height, index >> height, root)));
}

/// A complete subtree as the hash of a tile, if its height is one that tiles have.
pub fn tile_hash(height: u32, index: u64, root: &crypto::Hash) -> Option<TileHash> {
    height.is_multiple_of(TILE_HEIGHT).then(|| TileHash {
        level: height / TILE_HEIGHT,
        index: index.cast_signed(),
        hash: *root,
    })
}
