//! Texts that come in several strings or several messages, but that a reader sees as one.

use zeroize::Zeroizing;

use super::{
    Redactor, TooMuch,
    needles::Found,
    views::{Span, View},
};

/// Bytes at the end of a text that are kept for the next one: a value may begin there.
const TAIL_BYTES: usize = 2_048;

/// Strings that are read as one text.
#[derive(Default)]
pub(super) struct Run {
    pub(super) joined: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
}

/// One of the strings.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    /// Where it begins in the joined text.
    pub(super) from: usize,
    /// The inside of the string, in the JSON text.
    pub(super) inside: Span,
    pub(super) escaped: bool,
}

impl Run {
    pub(super) fn push(&mut self, json: &[u8], inside: Span, escaped: bool) {
        let text = &json[inside.start..inside.end];
        if text.is_empty() {
            return;
        }
        self.pieces.push(Piece { from: self.joined.len(), inside, escaped });
        if escaped {
            self.joined.extend_from_slice(&View::of_json(text).bytes);
        } else {
            self.joined.extend_from_slice(text);
        }
    }

    /// The same after `length` bytes of another text.
    pub(super) fn after(&self, length: usize) -> Self {
        let pieces = self.pieces.iter().map(|piece| Piece { from: piece.from + length, ..*piece });
        Self { joined: vec![0; length + self.joined.len()], pieces: pieces.collect() }
    }

    /// The end, in which a value that continues elsewhere may begin.
    pub(super) fn end(&self) -> &[u8] {
        &self.joined[self.joined.len().saturating_sub(TAIL_BYTES)..]
    }

    /// The beginning, in which a value that began elsewhere may end.
    pub(super) fn begin(&self) -> &[u8] {
        &self.joined[..self.joined.len().min(TAIL_BYTES)]
    }
}

/// The kind of a notification during a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A progress notification.
    Progress,
    /// A log message.
    Log,
}

impl Told {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Progress => Self::Log,
            Self::Log => Self::Progress,
        }
    }
}

/// The end of an upstream's notifications so far, by kind.
#[derive(Clone, Default)]
pub struct Carry([Zeroizing<Vec<u8>>; 2]);

impl Carry {
    pub(super) fn end_of(&self, kind: Told) -> &[u8] {
        &self.0[kind as usize]
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|end| end.as_slice())
    }

    /// The values in a text that follows earlier ones of its kind, and the number of bytes of those in front of it.
    pub(super) fn follow(
        &mut self,
        kind: Told,
        run: &Run,
        redactor: &Redactor,
    ) -> Result<(Vec<Found>, usize), TooMuch> {
        let before = &mut self.0[kind as usize];
        let length = before.len();
        before.extend_from_slice(&run.joined);
        let mut found = redactor.found(before)?;
        // The next message may have the rest.
        if let Some(begun) = redactor.begun(before)
            && found.last().is_none_or(|last| last.at.end <= begun.at.start)
        {
            found.push(begun);
        }
        let from = before.len().saturating_sub(TAIL_BYTES);
        *before = Zeroizing::new(before[from..].to_vec());
        Ok((found, length))
    }
}

/// The notifications before a JSON text.
pub(super) enum After<'c> {
    /// None.
    Nothing,
    /// The text is a response after these.
    All(&'c Carry),
    /// The text is a notification itself.
    Told(&'c mut Carry, Told),
}
