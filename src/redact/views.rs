//! A text with its escapes decoded, and the position of each byte in the original.

use memchr::{memchr, memchr2_iter, memchr3};

use super::escapes::{AMPERSAND, BACKSLASH, Decoded, PERCENT, decoded, json_escape};

/// A part of a text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// The same part, extended to whole characters of UTF-8.
    pub(super) fn letters(self, text: &[u8]) -> Self {
        let is_inner = |at: usize| text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
        let Self { mut start, mut end } = self;
        while is_inner(start) {
            start -= 1;
        }
        while is_inner(end) {
            end += 1;
        }
        Self { start, end }
    }
}

/// A decoded text.
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    escapes: Vec<Place>,
}

/// The position of an escape. Texts are smaller than 4 GiB: [`super::MAX_TEXT_BYTES`].
struct Place {
    /// In the decoded text.
    decoded: u32,
    /// In the text.
    text: u32,
    /// Its decoded length.
    length: u8,
    /// Its original length.
    taken: u8,
}

/// The least mean length of a line for line ends to be ignored: encoders break lines at 64 or 76.
const MIN_LINE_BYTES: usize = 8;

impl Place {
    fn new(decoded: usize, text: usize, length: usize, taken: u8) -> Self {
        Self {
            decoded: u32::try_from(decoded).unwrap_or(u32::MAX),
            text: u32::try_from(text).unwrap_or(u32::MAX),
            length: u8::try_from(length).unwrap_or(u8::MAX),
            taken,
        }
    }
}

impl View {
    /// The text without its line ends; `None` if it has none, or if its lines are too short.
    pub(super) fn without_line_ends(text: &[u8]) -> Option<Self> {
        let mut view = Self { bytes: Vec::new(), escapes: Vec::new() };
        let mut plain = 0;
        for at in memchr2_iter(b'\n', b'\r', text) {
            if view.escapes.is_empty() {
                view.bytes.reserve_exact(text.len());
            }
            view.bytes.extend_from_slice(&text[plain..at]);
            view.escapes.push(Place::new(view.bytes.len(), at, 0, 1));
            plain = at + 1;
            if view.escapes.len() > text.len() / MIN_LINE_BYTES + MIN_LINE_BYTES {
                return None;
            }
        }
        view.bytes.extend_from_slice(&text[plain..]);
        (!view.escapes.is_empty()).then_some(view)
    }

    /// The text with all kinds of escapes decoded, without line ends; `None` if it has none.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let view = Self::read(text, |from| memchr3(PERCENT, BACKSLASH, AMPERSAND, from), decoded);
        (!view.escapes.is_empty()).then_some(view)
    }

    /// The value of a JSON string.
    pub(super) fn of_json(inside: &[u8]) -> Self {
        Self::read(inside, |from| memchr(BACKSLASH, from), json_escape)
    }

    fn read(text: &[u8], next: fn(&[u8]) -> Option<usize>, read: fn(&[u8]) -> Option<Decoded>) -> Self {
        let mut view = Self { bytes: Vec::new(), escapes: Vec::new() };
        let (mut at, mut plain) = (0, 0);
        while let Some(found) = next(&text[at..]) {
            at += found;
            let Some(found) = read(&text[at..]) else {
                at += 1;
                continue;
            };
            if view.escapes.is_empty() {
                // Decoded text is never longer.
                view.bytes.reserve_exact(text.len());
            }
            view.bytes.extend_from_slice(&text[plain..at]);
            let bytes = found.bytes();
            let bytes = if matches!(bytes, b"\n" | b"\r") { &[] } else { bytes };
            view.escapes.push(Place::new(view.bytes.len(), at, bytes.len(), found.taken));
            view.bytes.extend_from_slice(bytes);
            at += usize::from(found.taken);
            plain = at;
        }
        view.bytes.extend_from_slice(&text[plain..]);
        view
    }

    /// The part of the original text that this part was decoded from, with whole escapes.
    pub(super) fn in_text(&self, part: Span) -> Span {
        Span { start: self.place(part.start, false), end: self.place(part.end.saturating_sub(1), true) }
    }

    /// Where the byte at `at` begins or ends in the original.
    fn place(&self, at: usize, end: bool) -> usize {
        let before = self.escapes.partition_point(|escape| escape.decoded as usize <= at);
        let Some(escape) = before.checked_sub(1).and_then(|last| self.escapes.get(last)) else {
            return at + usize::from(end);
        };
        let (text, taken) = (escape.text as usize, usize::from(escape.taken));
        let into = at - escape.decoded as usize;
        match into.checked_sub(usize::from(escape.length)) {
            Some(after) => text + taken + after + usize::from(end),
            None if end => text + taken,
            None => text,
        }
    }
}
