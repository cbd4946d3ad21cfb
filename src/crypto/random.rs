//! Randomness from the operating system.

use std::cell::RefCell;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::{Zeroize, Zeroizing};

/// Fills `bytes` with random ones.
pub fn fill(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}

/// Random bytes that are drawn ahead of use.
const AHEAD: usize = 512;

thread_local! {
    static DRAWN: RefCell<(Zeroizing<[u8; AHEAD]>, usize)> = RefCell::new((Zeroizing::new([0; AHEAD]), AHEAD));
}

/// Fills `bytes` with random ones that need not be drawn at this moment: the salts and ids of audit
/// entries. One system call serves many of them. Keys and tokens are drawn when they are made, by [`fill`].
pub fn nonce<const N: usize>(bytes: &mut [u8; N]) -> Result<(), getrandom::Error> {
    const { assert!(N <= AHEAD) };
    DRAWN.with_borrow_mut(|(drawn, used)| {
        if AHEAD - *used < N {
            fill(&mut drawn[..])?;
            *used = 0;
        }
        let fresh = &mut drawn[*used..*used + N];
        bytes.copy_from_slice(fresh);
        fresh.zeroize();
        *used += N;
        Ok(())
    })
}

/// `prefix` and `N` random bytes as base64url (RFC 4648 section 5).
pub fn token<const N: usize>(prefix: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(encoded(prefix, bytes))
}

/// As [`token`], of what names something and opens nothing: see [`nonce`].
pub fn name<const N: usize>(prefix: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    nonce(&mut bytes)?;
    Ok(encoded(prefix, bytes))
}

fn encoded<const N: usize>(prefix: &str, bytes: [u8; N]) -> String {
    let mut text = String::with_capacity(prefix.len() + N.div_ceil(3) * 4);
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    text
}
