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

/// Bytes of the time at the start of a [`token_at`].
pub const TIME_BYTES: usize = 4;

/// As [`token`], but the first four bytes are the milliseconds of the time `micros`, modulo 2^32. What is made at about
/// the same time so lies side by side in an index: where every id is random, each new row writes a page of its own.
pub fn token_at<const N: usize>(prefix: &str, micros: i64) -> Result<String, getrandom::Error> {
    const { assert!(N > TIME_BYTES) };
    let mut bytes = [0; N];
    let (time, random) = bytes.split_at_mut(TIME_BYTES);
    time.copy_from_slice(&(micros / 1_000).to_be_bytes()[8 - TIME_BYTES..]);
    fill(random)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_at_one_time_begins_alike_and_is_random_behind_that() {
        let bytes = |micros| URL_SAFE_NO_PAD.decode(&token_at::<24>("t_", micros).unwrap()[2..]).unwrap();
        let [one, same, next] = [5_000_999, 5_000_000, 5_001_000].map(bytes);
        assert_eq!((one.len(), &one[..TIME_BYTES]), (24, &5_000_u32.to_be_bytes()[..]));
        assert_eq!(one[..TIME_BYTES], same[..TIME_BYTES]);
        assert_ne!(one[TIME_BYTES..], same[TIME_BYTES..]);
        assert_eq!(next[..TIME_BYTES], 5_001_u32.to_be_bytes());
        // It begins again after 49 days, and is there for times that no clock shows.
        for micros in [-1, i64::MIN, i64::MAX, 1_796_000_000_000_000] {
            assert_eq!(bytes(micros).len(), 24);
        }
    }
}
