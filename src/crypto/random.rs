//! Randomness from the operating system.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Fills `bytes` with random ones.
pub fn fill(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}

/// `prefix` and `N` random bytes as base64url (RFC 4648 section 5).
pub fn token<const N: usize>(prefix: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    let mut token = String::with_capacity(prefix.len() + N.div_ceil(3) * 4);
    token.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut token);
    Ok(token)
}
