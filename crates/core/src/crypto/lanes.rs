//! SHA-256 and BLAKE3 of sixteen short messages at a time, each in a lane of vectors of 512 bits.
//!
//! Each word of a state is a vector, with this word of every message. That pays where the processor has vectors that hold sixteen
//! words (AVX-512); elsewhere nothing here answers. Whoever uses this decides nothing by it alone, as in
//! [`super::several`]: what does not come out as expected is computed again the plain way.

// All of a vector's work has to be compiled with the instructions that it needs: what is not inlined is not.
#![allow(clippy::inline_always)]

use fearless_simd::{Level, Simd, mask32x16, prelude::*, u8x64, u32x16};

use super::{merkle::INITIAL, several::Last};

/// Messages at a time.
pub const LANES: usize = 16;
/// Both functions take blocks of sixteen words.
const BLOCK_BYTES: usize = 64;
/// From so many on, last blocks are hashed faster together than one by one.
const FEWEST_LAST: usize = 5;

type Block = [u8; BLOCK_BYTES];
/// A block of each message, or what becomes of it: each vector is one word of all.
type Words<S> = [u32x16<S>; 16];
/// What has been hashed of each message.
type State<S> = [u32x16<S>; 8];

/// SHA-256 of the byte `first` and a message behind it, of each. `None` where the processor has no such vectors, or the
/// lengths differ so much that most lanes would stand idle.
pub fn sha256(first: u8, messages: &[&[u8]; LANES]) -> Option<[[u8; 32]; LANES]> {
    let vectors = Level::new().as_avx512()?;
    let (mut all, mut most) = (0, 0);
    for message in messages {
        let blocks = sha256_blocks(message);
        (all, most) = (all + blocks, most.max(blocks));
    }
    if most * LANES * 4 > all * 5 {
        return None;
    }
    Some(vectors.vectorize(
        #[inline(always)]
        || sha256_in(vectors, first, messages, most),
    ))
}

/// The BLAKE3 digest of each message whose last block is given, at most [`LANES`] of them. `None` where the processor has no such
/// vectors, or so few are given that one by one is faster.
pub fn blake3_last(lasts: &[Last]) -> Option<[[u8; 32]; LANES]> {
    if !(FEWEST_LAST..=LANES).contains(&lasts.len()) {
        return None;
    }
    let vectors = Level::new().as_avx512()?;
    Some(vectors.vectorize(
        #[inline(always)]
        || blake3_last_in(vectors, lasts),
    ))
}

/// Blocks of a message with the byte in front of it, the bit behind it and its length (FIPS 180-4, section 5.1.1).
fn sha256_blocks(message: &[u8]) -> usize {
    (message.len() + 10).div_ceil(BLOCK_BYTES)
}

#[inline(always)]
fn sha256_in<S: Simd>(vectors: S, first: u8, messages: &[&[u8]; LANES], most: usize) -> [[u8; 32]; LANES] {
    // What is laid out anew: the first block, and the end.
    let mut begins = [[0; BLOCK_BYTES]; LANES];
    let mut ends = [[[0; BLOCK_BYTES]; 2]; LANES];
    let mut counts = [0; LANES];
    for (lane, message) in messages.iter().enumerate() {
        let end = ends[lane].as_flattened_mut();
        let behind = if let Some((head, behind)) = message.split_at_checked(BLOCK_BYTES - 1) {
            begins[lane][0] = first;
            begins[lane][1..].copy_from_slice(head);
            let rest = behind.as_chunks::<BLOCK_BYTES>().1;
            end[..rest.len()].copy_from_slice(rest);
            rest.len()
        } else {
            end[0] = first;
            end[1..=message.len()].copy_from_slice(message);
            1 + message.len()
        };
        end[behind] = 0x80;
        let close = if behind < BLOCK_BYTES - 8 { BLOCK_BYTES } else { 2 * BLOCK_BYTES };
        end[close - 8..close].copy_from_slice(&((message.len() as u64 + 1) * 8).to_be_bytes());
        counts[lane] = u32::try_from(sha256_blocks(message)).unwrap_or(0);
    }
    let counts: u32x16<S> = counts.simd_into(vectors);
    let mut state = initial(vectors);
    for (number, done) in (0..most).zip(0..) {
        let mut words = load(vectors, |lane| {
            let whole = (messages[lane].len() + 1) / BLOCK_BYTES;
            if number >= whole {
                return &ends[lane][(number - whole).min(1)];
            }
            let begin = (number * BLOCK_BYTES).wrapping_sub(1);
            messages[lane].get(begin..).and_then(<[u8]>::first_chunk).unwrap_or(&begins[lane])
        });
        swap(&mut words);
        let next = sha256_block(vectors, state, words);
        let goes_on: mask32x16<S> = counts.simd_gt(u32x16::splat(vectors, done));
        for (word, next) in state.iter_mut().zip(next) {
            *word = goes_on.select(next, *word);
        }
    }
    swap(&mut state);
    store(vectors, state)
}

/// The words of a block of each message, the lowest byte first.
#[inline(always)]
fn load<'b, S: Simd>(vectors: S, block: impl Fn(usize) -> &'b Block) -> Words<S> {
    let mut rows = [u32x16::splat(vectors, 0); 16];
    for (lane, row) in rows.iter_mut().enumerate() {
        *row = u32x16::from_bytes(u8x64::from_slice(vectors, block(lane)));
    }
    transpose(rows)
}

/// The words with their bytes the other way round.
#[inline(always)]
fn swap<S: Simd>(words: &mut [u32x16<S>]) {
    for word in words {
        *word = (rotate_right::<S, 8>(*word) & 0xff00_ff00) | (rotate_right::<S, 24>(*word) & 0x00ff_00ff);
    }
}

/// The digest of each message.
#[inline(always)]
fn store<S: Simd>(vectors: S, state: State<S>) -> [[u8; 32]; LANES] {
    let mut words = [u32x16::splat(vectors, 0); 16];
    words[..8].copy_from_slice(&state);
    let mut digests = [[0; 32]; LANES];
    for (digest, words) in digests.iter_mut().zip(transpose(words)) {
        digest.copy_from_slice(&words.to_bytes().as_slice()[..32]);
    }
    digests
}

/// Makes columns of rows.
#[inline(always)]
fn transpose<S: Simd>(mut rows: Words<S>) -> Words<S> {
    // Each time, what was half a table away comes to stand side by side; after four times, all does.
    for _ in 0..4 {
        let (above, below) = rows.split_at(8);
        let mut zipped = rows;
        for (pair, (above, below)) in zipped.as_chunks_mut().0.iter_mut().zip(above.iter().zip(below)) {
            *pair = [above.zip_low(*below), above.zip_high(*below)];
        }
        rows = zipped;
    }
    rows
}

#[inline(always)]
fn rotate_right<S: Simd, const BITS: u32>(word: u32x16<S>) -> u32x16<S> {
    (word >> BITS) | (word << (32 - BITS))
}

/// Where SHA-256 begins, and what BLAKE3 mixes in.
#[inline(always)]
fn initial<S: Simd>(vectors: S) -> State<S> {
    let mut state = [u32x16::splat(vectors, 0); 8];
    for (word, initial) in state.iter_mut().zip(INITIAL) {
        *word = u32x16::splat(vectors, initial);
    }
    state
}

/// The constants of the rounds (FIPS 180-4, section 4.2.2).
const SHA256_ROUNDS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// One block more of each message (FIPS 180-4, section 6.2.2). The words of later rounds are made in place of those that
/// are no longer needed.
#[inline(always)]
fn sha256_block<S: Simd>(vectors: S, state: State<S>, mut words: Words<S>) -> State<S> {
    let mut next = state;
    macro_rules! round {
        ($time:expr, $place:literal) => {{
            let [a, b, c, d, e, f, g, h] = next;
            let sum_1 = rotate_right::<S, 6>(e) ^ rotate_right::<S, 11>(e) ^ rotate_right::<S, 25>(e);
            let choice = (e & f) ^ (!e & g);
            let one = h + sum_1 + choice + (words[$place] + u32x16::splat(vectors, SHA256_ROUNDS[$time * 16 + $place]));
            let sum_0 = rotate_right::<S, 2>(a) ^ rotate_right::<S, 13>(a) ^ rotate_right::<S, 22>(a);
            let majority = (a & b) ^ (a & c) ^ (b & c);
            next = [one + (sum_0 + majority), a, b, c, d + one, e, f, g];
        }};
    }
    macro_rules! make {
        ($place:literal) => {{
            let (x, y) = (words[($place + 1) % 16], words[($place + 14) % 16]);
            let small_0 = rotate_right::<S, 7>(x) ^ rotate_right::<S, 18>(x) ^ (x >> 3);
            let small_1 = rotate_right::<S, 17>(y) ^ rotate_right::<S, 19>(y) ^ (y >> 10);
            words[$place] = words[$place] + small_0 + words[($place + 9) % 16] + small_1;
        }};
    }
    macro_rules! rounds {
        ($($place:literal)*) => {
            for time in 0..3 {
                $(round!(time, $place); make!($place);)*
            }
            $(round!(3, $place);)*
        };
    }
    rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    for (next, word) in next.iter_mut().zip(state) {
        *next += word;
    }
    next
}

#[inline(always)]
fn blake3_last_in<S: Simd>(vectors: S, lasts: &[Last]) -> [[u8; 32]; LANES] {
    let words = load(vectors, |lane| lasts.get(lane).map_or(&[0; BLOCK_BYTES], |last| &last.block));
    let mut rows = [u32x16::splat(vectors, 0); 16];
    for (row, last) in rows.iter_mut().zip(lasts) {
        let mut words = [0; 16];
        words[..8].copy_from_slice(&last.head);
        // The number of the chunk, which takes two words, is 0.
        (words[14], words[15]) = (last.length.into(), last.flags.into());
        *row = words.simd_into(vectors);
    }
    let mut state = transpose(rows);
    state[8..12].copy_from_slice(&initial(vectors)[..4]);
    macro_rules! mix {
        ($a:literal $b:literal $c:literal $d:literal, $x:expr, $y:expr) => {
            state[$a] = state[$a] + state[$b] + words[$x];
            state[$d] = rotate_right::<S, 16>(state[$d] ^ state[$a]);
            state[$c] += state[$d];
            state[$b] = rotate_right::<S, 12>(state[$b] ^ state[$c]);
            state[$a] = state[$a] + state[$b] + words[$y];
            state[$d] = rotate_right::<S, 8>(state[$d] ^ state[$a]);
            state[$c] += state[$d];
            state[$b] = rotate_right::<S, 7>(state[$b] ^ state[$c]);
        };
    }
    macro_rules! rounds {
        ($($round:literal)*) => {$({
            const ORDER: [usize; 16] = BLAKE3_ORDERS[$round];
            mix!(0 4 8 12, ORDER[0], ORDER[1]);
            mix!(1 5 9 13, ORDER[2], ORDER[3]);
            mix!(2 6 10 14, ORDER[4], ORDER[5]);
            mix!(3 7 11 15, ORDER[6], ORDER[7]);
            mix!(0 5 10 15, ORDER[8], ORDER[9]);
            mix!(1 6 11 12, ORDER[10], ORDER[11]);
            mix!(2 7 8 13, ORDER[12], ORDER[13]);
            mix!(3 4 9 14, ORDER[14], ORDER[15]);
        })*};
    }
    rounds!(0 1 2 3 4 5 6);
    let mut digests = initial(vectors);
    for (digest, (above, below)) in digests.iter_mut().zip(state[..8].iter().zip(&state[8..])) {
        *digest = *above ^ *below;
    }
    store(vectors, digests)
}

/// Which word of the block each step of each round takes (section 2.2 of the BLAKE3 paper).
const BLAKE3_ORDERS: [[usize; 16]; 7] = {
    let moved = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut orders = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]; 7];
    let mut round = 1;
    while round < 7 {
        let mut place = 0;
        while place < 16 {
            orders[round][place] = orders[round - 1][moved[place]];
            place += 1;
        }
        round += 1;
    }
    orders
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    fn by_itself(first: u8, message: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update([first]).chain_update(message).finalize().into()
    }

    /// Of these bytes over and over again.
    fn message(bytes: &[u8], length: usize) -> Vec<u8> {
        bytes.iter().copied().cycle().take(length).collect()
    }

    proptest! {
        #[test]
        fn each_sha_256_is_the_one_of_the_message_by_itself(
            first: u8, length in 0..3_000_usize, more in proptest::array::uniform16(0..40_usize),
            bytes: [[u8; 7]; LANES]
        ) {
            let messages: Vec<Vec<u8>> = bytes.iter().zip(more).map(|(bytes, more)| message(bytes, length + more)).collect();
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            for (digest, message) in sha256(first, messages[..].try_into().unwrap()).iter().flatten().zip(&messages) {
                prop_assert_eq!(*digest, by_itself(first, message));
            }
        }
    }

    #[test]
    fn every_length_is_hashed_together_where_the_processor_can() {
        for length in 0..=600 {
            let messages: Vec<Vec<u8>> =
                (1..).take(LANES).map(|byte| message(&[byte, 0, 255 - byte], length)).collect();
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let together = sha256(1, messages[..].try_into().unwrap());
            assert_eq!(together.is_some(), Level::new().as_avx512().is_some());
            for (digest, message) in together.iter().flatten().zip(&messages) {
                assert_eq!(*digest, by_itself(1, message), "{length} bytes");
            }
        }
    }

    #[test]
    fn messages_of_very_different_lengths_are_not_hashed_together() {
        let long = message(&[7], 5_000);
        let mut messages = [&long[..10]; LANES];
        messages[3] = &long;
        assert!(sha256(0, &messages).is_none());
    }
}
