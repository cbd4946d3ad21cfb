//! All forms of all values at once: one automaton that reads a text byte by byte (Aho and Corasick, 1975).

use aho_corasick::{
    Anchored, MatchKind,
    automaton::{Automaton, StateID},
    nfa::contiguous::NFA,
};
use zeroize::Zeroizing;

use super::{
    Secret,
    encodings::{self, Spelled},
    views::Span,
};
use crate::{
    crypto,
    error::{Error, Result},
};

/// Bytes of a form in the automaton. The rest of a longer form is compared where these are found.
const MAX_NEEDLE_BYTES: usize = 256;

/// Where a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: Span,
    /// The index of the secret.
    pub(super) index: u32,
}

/// The forms of some values.
pub(super) struct Needles {
    automaton: NFA,
    start: StateID,
    /// A random permutation of all bytes. The automaton copies its patterns into memory that is not zeroized; without this
    /// table, which is, they reveal nothing.
    disguise: Zeroizing<[u8; 256]>,
    forms: Vec<Needle>,
    begins: Option<Begins>,
}

struct Needle {
    index: u32,
    /// The part in the automaton.
    begin: Zeroizing<Vec<u8>>,
    /// The rest of a long form.
    rest: Zeroizing<Vec<u8>>,
    /// Whether the letters before and after it hold bits of the value.
    edges: (bool, bool),
}

impl Needles {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self> {
        let disguise = disguise()?;
        let mut forms = Vec::new();
        for (index, secret) in (0..).zip(secrets) {
            for Spelled { bytes: mut begin, edges } in encodings::forms(&secret.value) {
                let rest = Zeroizing::new(begin.get(MAX_NEEDLE_BYTES..).unwrap_or_default().to_vec());
                begin.truncate(MAX_NEEDLE_BYTES);
                forms.push(Needle { index, begin, rest, edges });
            }
        }
        let disguised = |needle: &Needle| -> Vec<u8> {
            needle.begin.iter().map(|byte| disguise[usize::from(*byte)]).collect::<Vec<_>>()
        };
        let mut builder = NFA::builder();
        let builder = builder.match_kind(MatchKind::Standard).prefilter(false);
        let automaton = builder.build(forms.iter().map(disguised)).map_err(Error::internal)?;
        let start = automaton.start_state(Anchored::No).map_err(Error::internal)?;
        let begins = Begins::of(&forms);
        Ok(Self { automaton, start, disguise, forms, begins })
    }

    /// All values in a text without line ends, in order; overlapping matches are joined.
    pub(super) fn search(&self, text: &[u8], found: &mut Vec<Found>, most: usize) {
        let first = found.len();
        let (mut state, mut at) = (self.start, 0);
        loop {
            if state == self.start
                && let Some(begins) = &self.begins
            {
                at = begins.next(text, at);
            }
            let Some(byte) = text.get(at) else { return };
            at += 1;
            state = self.automaton.next_state(Anchored::No, state, self.disguise[usize::from(*byte)]);
            if !self.automaton.is_special(state) || !self.automaton.is_match(state) {
                continue;
            }
            // The first is the longest that ends here.
            let needle = &self.forms[self.automaton.match_pattern(state, 0).as_usize()];
            let mut now = Found { at: Span { start: at - needle.begin.len(), end: at }, index: needle.index };
            let more = text[at..].iter().zip(needle.rest.iter()).take_while(|(byte, wanted)| byte == wanted).count();
            if more > 0 {
                // Not searched again, or a text could make this quadratic.
                at += more;
                (state, now.at.end) = (self.start, at);
            }
            let is_letter = |at: usize| text.get(at).is_some_and(|byte| encodings::is_letter(*byte));
            if needle.edges.0 && now.at.start > 0 && is_letter(now.at.start - 1) {
                now.at.start -= 1;
            }
            if needle.edges.1 && more == needle.rest.len() && is_letter(now.at.end) {
                now.at.end += 1;
            }
            while let Some(last) = found[first..].last().copied().filter(|last| last.at.end > now.at.start) {
                // The longer match gives the placeholder.
                let is_longer = last.at.end - last.at.start >= now.at.end - now.at.start;
                now.index = if is_longer { last.index } else { now.index };
                now.at = Span { start: now.at.start.min(last.at.start), end: now.at.end.max(last.at.end) };
                found.pop();
            }
            if found.len() > most {
                return;
            }
            found.push(now);
        }
    }

    /// The end of the text that is at least the first half of a value, but not the whole.
    pub(super) fn begun(&self, text: &[u8]) -> Option<Found> {
        let last = text.last()?;
        let begun = |needle: &Needle| {
            let whole = needle.begin.len();
            let half = whole.div_ceil(2).max(encodings::MIN_ENCODED_BYTES.min(whole));
            let length = (half..whole)
                .rev()
                .find(|length| needle.begin[*length - 1] == *last && text.ends_with(&needle.begin[..*length]))?;
            Some((length, needle.index))
        };
        let (length, index) = self.forms.iter().filter_map(begun).max()?;
        Some(Found { at: Span { start: text.len() - length, end: text.len() }, index })
    }
}

/// Finds where forms may begin, a few bytes at a step: the algorithm of Wu and Manber ("A fast algorithm for multi-pattern
/// searching", 1994) with blocks of three bytes.
struct Begins {
    /// Bytes of a form that are used.
    look: usize,
    /// The least distance from a position where `look` bytes end with this block to one where a form may begin.
    steps: Box<[u8]>,
    /// Whether a form has this pair of first block and last block within `look` bytes.
    both: Box<[bool]>,
}

/// Different values of [`block`].
const BLOCKS: usize = 1 << 15;
const BLOCK: usize = 3;
/// The least and the greatest `look`.
const LOOK: (usize, usize) = (6, 12);

fn block(a: u8, b: u8, c: u8) -> usize {
    // The golden ratio, as a multiplier (Knuth, The Art of Computer Programming, 6.4).
    u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9E37_79B1) as usize >> (32 - BLOCKS.ilog2())
}

fn both(first: usize, last: usize) -> usize {
    (first.wrapping_mul(0x9E37) ^ last) % BLOCKS
}

impl Begins {
    /// `None` if a form is too short.
    fn of(forms: &[Needle]) -> Option<Self> {
        let look = forms.iter().map(|form| form.begin.len()).min()?.min(LOOK.1);
        if look < LOOK.0 {
            return None;
        }
        let furthest = u8::try_from(look - BLOCK + 1).ok()?;
        let mut begins = Self { look, steps: vec![furthest; BLOCKS].into(), both: vec![false; BLOCKS].into() };
        for form in forms {
            let begin = &form.begin[..look];
            for (last, window) in (0..furthest).rev().zip(begin.windows(BLOCK)) {
                let step = &mut begins.steps[block(window[0], window[1], window[2])];
                *step = last.min(*step);
            }
            let first = block(begin[0], begin[1], begin[2]);
            begins.both[both(first, block(begin[look - 3], begin[look - 2], begin[look - 1]))] = true;
        }
        Some(begins)
    }

    /// The first position from `at` on where a form may begin; the end of the text if there is none.
    fn next(&self, text: &[u8], mut at: usize) -> usize {
        let end = self.look - BLOCK;
        while let Some(&[a, b, c]) = text.get(at + end..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
            let last = block(a, b, c);
            let step = self.steps[last];
            if step == 0 && self.both[both(block(text[at], text[at + 1], text[at + 2]), last)] {
                return at;
            }
            at += usize::from(step.max(1));
        }
        text.len()
    }
}

/// A random order of all bytes.
fn disguise() -> Result<Zeroizing<[u8; 256]>> {
    let mut order = Zeroizing::new([0; 256]);
    for (place, byte) in order.iter_mut().zip(0..=u8::MAX) {
        *place = byte;
    }
    let mut random = Zeroizing::new([0; 256 * 4]);
    crypto::fill(&mut *random).map_err(Error::internal)?;
    for (last, chunk) in (1..256).rev().zip(random.chunks_exact(4)) {
        let number = chunk.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        order.swap(last, number % (last + 1));
    }
    Ok(order)
}
