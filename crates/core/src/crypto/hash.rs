//! BLAKE3 (<https://github.com/BLAKE3-team/BLAKE3-specs>), HMAC-SHA256 for signatures that others verify, and constant-time comparison.

use hmac::{Hmac, KeyInit, Mac};
use subtle::ConstantTimeEq;

use super::Key;

/// The BLAKE3 digest of `parts`, one after the other. Callers see to it that the parts cannot be shifted
/// against each other: one part, or parts of fixed length in front.
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    if let [whole] = parts {
        return *blake3::hash(whole).as_bytes();
    }
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The BLAKE3 keyed hash of `parts`, each preceded by its length.
pub fn mac(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// HMAC-SHA256 (RFC 2104, FIPS 180-4) of `parts`, one after the other: what others can verify.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // A key may have any length, so this cannot fail.
    let Ok(mut hmac) = Hmac::<sha2::Sha256>::new_from_slice(key) else { unreachable!("HMAC takes keys of any length") };
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

/// Whether two digests or secrets are the same, in time that does not depend on where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// SHA-256 (FIPS 180-4) of bytes as they come.
#[derive(Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Goes on with these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    /// The digest of all of them.
    pub fn finish(self) -> [u8; 32] {
        sha2::Digest::finalize(self.0).into()
    }
}
