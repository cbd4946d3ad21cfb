//! Texts that are one to their reader, although they come in several strings or several messages.

use zeroize::Zeroizing;

use super::{
    Redactor, TooMuch,
    needles::Found,
    views::{Span, View},
};

/// What is kept of a text for another one that may go on with it, in bytes: a value may begin there.
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

    /// The same behind so many bytes of another text.
    pub(super) fn after(&self, length: usize) -> Self {
        let pieces = self.pieces.iter().map(|piece| Piece { from: piece.from + length, ..*piece });
        Self { joined: vec![0; length + self.joined.len()], pieces: pieces.collect() }
    }

    /// What a value may begin in that goes on elsewhere.
    pub(super) fn end(&self) -> &[u8] {
        &self.joined[self.joined.len().saturating_sub(TAIL_BYTES)..]
    }

    /// What a value may end in that began elsewhere.
    pub(super) fn begin(&self) -> &[u8] {
        &self.joined[..self.joined.len().min(TAIL_BYTES)]
    }
}

/// What an upstream tells while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// How far it is.
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

/// The end of what an upstream has told so far, in progress and in log messages.
#[derive(Clone, Default)]
pub struct Carry([Zeroizing<Vec<u8>>; 2]);

impl Carry {
    pub(super) fn end_of(&self, kind: Told) -> &[u8] {
        &self.0[kind as usize]
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|end| end.as_slice())
    }

    /// What stands in a text that is told after what was told before, and by how many bytes of that it is preceded.
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
        // The next message may bring the rest.
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

/// What came before a JSON text.
pub(super) enum After<'c> {
    /// Nothing that it could go on with.
    Nothing,
    /// It is an answer, and this was told before it.
    All(&'c Carry),
    /// It is told itself.
    Told(&'c mut Carry, Told),
}
