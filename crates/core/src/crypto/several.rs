//! BLAKE3 of several short messages at a time, each in a lane of the processor's vectors.
//!
//! The crate does this for the chunks of one long message; a message of a log fills half a chunk, so its lanes stay empty. What
//! is used here is the crate's own vector code, by the door that it has for its benchmarks and that no version of
//! it promises to keep: the manifest names the exact version, and a test compares every digest with the crate's own. That code
//! takes whole blocks only; the last block of each message is hashed in [`lanes`], or by itself where that does nothing. Whoever
//! uses this decides nothing by it alone: a digest that does not come out as expected is computed again the plain way.

use blake3::{BLOCK_LEN, CHUNK_LEN, IncrementCounter, platform::Platform};

use super::lanes::{self, LANES};

/// Messages at a time.
pub const SEVERAL: usize = 32;

/// Section 2.2 of the BLAKE3 paper: the key of a hash without one, which is where SHA-256 begins too.
const KEY: [u32; 8] = super::merkle::INITIAL;
/// Section 2.2: flags of the blocks.
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const ROOT: u8 = 8;

/// The BLAKE3 digest of each message, at most [`SEVERAL`] of them; those behind are not looked at.
pub fn digests(messages: &[&[u8]]) -> [[u8; 32]; SEVERAL] {
    let mut digests = [[0; 32]; SEVERAL];
    let messages = &messages[..messages.len().min(SEVERAL)];
    let mut is_done = [false; SEVERAL];
    for (first, message) in messages.iter().enumerate() {
        if is_done[first] {
            continue;
        }
        // All of as many blocks go together. The last block has a length and flags of its own, so it is left out.
        let blocks = full_blocks(message);
        let (mut places, mut count) = ([0; SEVERAL], 0);
        for (place, other) in messages.iter().enumerate().skip(first) {
            if !is_done[place] && full_blocks(other) == blocks {
                is_done[place] = true;
                places[count] = place;
                count += 1;
            }
        }
        let places = &places[..count];
        let mut heads = [0; 32 * SEVERAL];
        if count > 1 && all_but_last(messages, places, blocks, &mut heads) {
            for (places, heads) in places.chunks(LANES).zip(heads.as_chunks().0.chunks(LANES)) {
                let last =
                    |(place, head): (&usize, &_)| Last::of(&messages[*place][blocks * BLOCK_LEN..], head, blocks);
                let lasts: Vec<Last> = places.iter().zip(heads).map(last).collect();
                let together = lanes::blake3_last(&lasts);
                for (lane, (place, last)) in places.iter().zip(lasts).enumerate() {
                    digests[*place] = together.map_or_else(|| last.digest(), |together| together[lane]);
                }
            }
        } else {
            for place in places {
                digests[*place] = *blake3::hash(messages[*place]).as_bytes();
            }
        }
    }
    digests
}

/// Blocks in front of the last, which may be full too.
fn full_blocks(message: &[u8]) -> usize {
    message.len().saturating_sub(1) / BLOCK_LEN
}

/// Hashes so many blocks of each of these messages; `false` where there are none, or more than a chunk has.
fn all_but_last(messages: &[&[u8]], places: &[usize], blocks: usize, heads: &mut [u8]) -> bool {
    if blocks == 0 {
        let key = KEY.map(u32::to_le_bytes);
        heads.as_chunks_mut().0.fill(key.as_flattened().try_into().unwrap_or([0; 32]));
        return true;
    }
    macro_rules! by_blocks {
        ($($blocks:literal)*) => {
            match blocks {
                $($blocks => hash_heads::<{ $blocks * BLOCK_LEN }>(messages, places, heads),)*
                _ => false,
            }
        };
    }
    const { assert!(CHUNK_LEN / BLOCK_LEN == 16) };
    by_blocks!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
}

fn hash_heads<const BYTES: usize>(messages: &[&[u8]], places: &[usize], heads: &mut [u8]) -> bool {
    let mut inputs = [&[0; BYTES]; SEVERAL];
    for (input, place) in inputs.iter_mut().zip(places) {
        let Some(head) = messages[*place].first_chunk() else { return false };
        *input = head;
    }
    let inputs = &inputs[..places.len()];
    let heads = &mut heads[..32 * places.len()];
    Platform::detect().hash_many(inputs, &KEY, 0, IncrementCounter::No, 0, CHUNK_START, 0, heads);
    true
}

/// The last block of a message.
pub(super) struct Last {
    /// What the blocks in front of it come to.
    pub head: [u32; 8],
    /// With zeros behind its bytes.
    pub block: [u8; BLOCK_LEN],
    pub length: u8,
    pub flags: u8,
}

impl Last {
    fn of(rest: &[u8], head: &[u8; 32], blocks: usize) -> Self {
        let mut value = [0; 8];
        for (word, bytes) in value.iter_mut().zip(head.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut block = [0; BLOCK_LEN];
        block[..rest.len()].copy_from_slice(rest);
        let flags = if blocks == 0 { CHUNK_START | CHUNK_END | ROOT } else { CHUNK_END | ROOT };
        Self { head: value, block, length: u8::try_from(rest.len()).unwrap_or(0), flags }
    }

    /// The message's digest.
    fn digest(mut self) -> [u8; 32] {
        Platform::detect().compress_in_place(&mut self.head, &self.block, self.length, 0, self.flags);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.head) {
            *bytes = word.to_le_bytes();
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_digest_is_the_one_of_the_message_by_itself(
            messages in proptest::collection::vec((any::<u8>(), prop_oneof![0..1_200_usize, 440..520_usize]), 0..=SEVERAL)
        ) {
            let bytes = |(first, length): &(u8, usize)| -> Vec<u8> {
                (0..=250).cycle().map(|place: u8| first.wrapping_add(place)).take(*length).collect()
            };
            let messages: Vec<Vec<u8>> = messages.iter().map(bytes).collect();
            let parts: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            for (digest, message) in digests(&parts).iter().zip(&messages) {
                let alone: [u8; 32] = blake3::hash(message).into();
                prop_assert_eq!(*digest, alone);
            }
        }
    }

    #[test]
    fn every_length_and_every_byte_counts() {
        for length in 0..=CHUNK_LEN + 1 {
            let mut messages = vec![vec![7; length]; SEVERAL];
            for (place, message) in messages.iter_mut().enumerate() {
                if let Some(byte) = message.get_mut(place * length / SEVERAL) {
                    *byte ^= 1;
                }
            }
            let parts: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            for (digest, message) in digests(&parts).iter().zip(&messages) {
                assert_eq!(digest, blake3::hash(message).as_bytes(), "{length} bytes");
            }
        }
    }
}
