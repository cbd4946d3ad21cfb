//! Compiled policy sets, by the digest of their text: an entry cannot be out of date, whichever process changes the policies.
//! Nothing is allocated before the first.

use std::sync::Arc;

use parking_lot::Mutex;

use super::compile::{Compiled, compile};
use crate::{crypto, error::Result};

/// Cached sets, of all tenants together.
const MAX_KEPT: usize = 64;

/// In order of use, the most recent last.
static KEPT: Mutex<Vec<([u8; 32], Arc<Compiled>)>> = Mutex::new(Vec::new());

/// The policy set of this text.
pub fn compiled(text: &str) -> Result<Arc<Compiled>> {
    let digest = crypto::digest(&[text.as_bytes()]);
    if let Some(found) = look_up(&digest) {
        return Ok(found);
    }
    // Without the lock: it takes milliseconds.
    let (compiled, _) = compile(text)?;
    let compiled = Arc::new(compiled);
    let mut kept = KEPT.lock();
    if kept.len() >= MAX_KEPT {
        kept.remove(0);
    }
    kept.push((digest, Arc::clone(&compiled)));
    Ok(compiled)
}

fn look_up(digest: &[u8; 32]) -> Option<Arc<Compiled>> {
    let mut kept = KEPT.lock();
    let place = kept.iter().position(|(known, _)| known == digest)?;
    kept[place..].rotate_left(1);
    kept.last().map(|(_, compiled)| Arc::clone(compiled))
}
