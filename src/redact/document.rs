//! A JSON text and the secrets in its strings, names and numbers. The text is read once and cut where they stand; the rest
//! of it stays as it was written.

use memchr::memchr2;

use super::{
    Mark, Redactor, TooMuch,
    needles::Found,
    views::{Span, View},
};

/// Arrays and objects in each other; readers refuse more (`serde_json` at 128).
const MAX_DEPTH: usize = 128;
/// What is kept of a message for the next one of its kind, in bytes: a value may begin there.
const TAIL_BYTES: usize = 2_048;

/// A part of the text that is not passed on.
pub(super) struct Cut {
    at: Span,
    put: Put,
}

enum Put {
    /// The mark, within a string.
    Mark(u32),
    /// The mark as a string, in the place of a number.
    Text(u32),
    /// Nothing: the mark stands in another part.
    Nothing,
}

/// The end of what an upstream has told so far in messages of one kind.
#[derive(Default)]
pub struct Carry(Vec<u8>);

/// Strings that are read as one text.
#[derive(Default)]
struct Run {
    joined: Vec<u8>,
    pieces: Vec<Piece>,
}

struct Piece {
    /// Where it begins in the joined text.
    from: usize,
    /// The inside of the string, in the JSON text.
    inside: Span,
    escaped: bool,
}

/// Names of members that matter to which strings are one text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Text,
    Resource,
    Content,
    /// What is told in progress (`message`), and in a log message (`data`).
    Told,
    Other,
}

struct Frame {
    is_array: bool,
    key: Key,
    run: Option<Box<Run>>,
}

struct Reader<'a> {
    json: &'a [u8],
    redactor: &'a Redactor,
    at: usize,
    frames: Vec<Frame>,
    cuts: Vec<Cut>,
}

/// Where secrets stand in a JSON text that is known to be one. Texts of the parts of an answer, be they `text`,
/// `resource.text` or `content.text` of the items of an array or the items themselves, are looked at as one text; so is
/// what is told in a message with what was told before.
pub(super) fn cuts(json: &str, redactor: &Redactor, carry: Option<&mut Carry>) -> Result<Vec<Cut>, TooMuch> {
    let mut reader = Reader { json: json.as_bytes(), redactor, at: 0, frames: Vec::new(), cuts: Vec::new() };
    reader.read(carry)?;
    reader.cuts.sort_by_key(|cut| cut.at.start);
    Ok(reader.cuts)
}

/// The text without those parts. It is at most [`Mark::MAX_GROWTH`] longer than it was.
pub(super) fn spliced(json: &str, cuts: &[Cut], redactor: &Redactor) -> String {
    let mut mark = Mark::new(redactor);
    let mut text = String::with_capacity(json.len() + 256);
    let mut from = 0;
    for Cut { at, put } in cuts {
        text.push_str(json.get(from..at.start).unwrap_or_default());
        let length = at.end - at.start;
        match put {
            Put::Mark(whose) => text.push_str(&mark.in_json(*whose, length)),
            Put::Text(whose) => text.push_str(&mark.for_number(*whose, length)),
            Put::Nothing => {}
        }
        from = at.end;
    }
    text.push_str(json.get(from..).unwrap_or_default());
    text
}

impl Reader<'_> {
    fn read(&mut self, mut carry: Option<&mut Carry>) -> Result<(), TooMuch> {
        while let Some(byte) = self.json.get(self.at).copied() {
            match byte {
                b'{' | b'[' => {
                    if self.frames.len() >= MAX_DEPTH {
                        return Err(TooMuch);
                    }
                    self.frames.push(Frame { is_array: byte == b'[', key: Key::Other, run: None });
                    self.at += 1;
                    if byte == b'[' {
                        self.bytes()?;
                    }
                }
                b'}' | b']' => {
                    if let Some(run) = self.frames.pop().and_then(|frame| frame.run) {
                        self.look_at(&run)?;
                    }
                    self.at += 1;
                }
                b'"' => self.string(&mut carry)?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => self.at += 1,
            }
            if self.cuts.len() > super::MAX_FOUND {
                return Err(TooMuch);
            }
        }
        Ok(())
    }

    fn string(&mut self, carry: &mut Option<&mut Carry>) -> Result<(), TooMuch> {
        let start = self.at + 1;
        let (mut end, mut escaped) = (start, false);
        loop {
            end += memchr2(b'"', b'\\', self.json.get(end..).unwrap_or_default()).ok_or(TooMuch)?;
            if self.json[end] == b'"' {
                break;
            }
            escaped = true;
            end += 2;
        }
        self.at = end + 1;
        let inside = Span { start, end };
        let is_name = self.json[self.at..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
            && self.frames.last().is_some_and(|frame| !frame.is_array);
        if is_name {
            if let Some(frame) = self.frames.last_mut() {
                frame.key = match &self.json[start..end] {
                    b"text" => Key::Text,
                    b"resource" => Key::Resource,
                    b"content" => Key::Content,
                    b"message" | b"data" => Key::Told,
                    _ => Key::Other,
                };
            }
        } else if let Some(carry) = carry.as_deref_mut().filter(|_| self.is_told()) {
            return self.told(carry, inside, escaped);
        } else if let Some(array) = self.array() {
            if start < end {
                let json = self.json;
                let run = self.frames[array].run.get_or_insert_default();
                run.pieces.push(Piece { from: run.joined.len(), inside, escaped });
                extend(&mut run.joined, &json[start..end], escaped);
            }
            return Ok(());
        }
        self.alone(inside, escaped)
    }

    /// The array with whose texts this string is read.
    fn array(&self) -> Option<usize> {
        let frame =
            |back: usize| Some((self.frames.len().checked_sub(back)?, self.frames.get(self.frames.len() - back)?));
        let (at, top) = frame(1)?;
        if top.is_array {
            return Some(at);
        }
        if top.key != Key::Text {
            return None;
        }
        let (at, below) = frame(2)?;
        if below.is_array {
            return Some(at);
        }
        let (at, array) = frame(3)?;
        (array.is_array && matches!(below.key, Key::Resource | Key::Content)).then_some(at)
    }

    fn is_told(&self) -> bool {
        matches!(self.frames.as_slice(), [Frame { is_array: false, key: Key::Told, .. }])
    }

    /// A string that is a text for itself.
    fn alone(&mut self, inside: Span, escaped: bool) -> Result<(), TooMuch> {
        let text = &self.json[inside.start..inside.end];
        let view = escaped.then(|| View::of_json(text));
        let found = self.redactor.found(view.as_ref().map_or(text, |view| &view.bytes))?;
        for Found { at, whose } in found {
            let at = view.as_ref().map_or(at, |view| view.in_text(at));
            let at = Span { start: inside.start + at.start, end: inside.start + at.end };
            self.cuts.push(Cut { at: at.letters(self.json), put: Put::Mark(whose) });
        }
        Ok(())
    }

    fn look_at(&mut self, run: &Run) -> Result<(), TooMuch> {
        let found = self.redactor.found(&run.joined)?;
        self.cut(run, &found);
        Ok(())
    }

    /// Cuts what was found out of each string that has a part of it; the mark stands in the first.
    fn cut(&mut self, run: &Run, found: &[Found]) {
        let mut found = found.iter().peekable();
        for (nth, piece) in run.pieces.iter().enumerate() {
            let until = run.pieces.get(nth + 1).map_or(run.joined.len(), |next| next.from);
            let text = &self.json[piece.inside.start..piece.inside.end];
            let mut view = None;
            while let Some(Found { at, whose }) = found.peek().filter(|found| found.at.start < until) {
                let part = Span {
                    start: at.start.max(piece.from) - piece.from,
                    end: at.end.min(until).max(piece.from) - piece.from,
                };
                if part.start < part.end {
                    let view = view.get_or_insert_with(|| piece.escaped.then(|| View::of_json(text)));
                    let part = view.as_ref().map_or(part, |view| view.in_text(part));
                    let part = Span { start: piece.inside.start + part.start, end: piece.inside.start + part.end };
                    let begins = at.start >= piece.from || nth == 0;
                    let put = if begins { Put::Mark(*whose) } else { Put::Nothing };
                    self.cuts.push(Cut { at: part.letters(self.json), put });
                }
                if at.end > until {
                    break;
                }
                found.next();
            }
        }
    }

    /// What is told in a message, after what was told before.
    fn told(&mut self, carry: &mut Carry, inside: Span, escaped: bool) -> Result<(), TooMuch> {
        let mut run = Run { joined: std::mem::take(&mut carry.0), pieces: Vec::new() };
        run.pieces.push(Piece { from: run.joined.len(), inside, escaped });
        extend(&mut run.joined, &self.json[inside.start..inside.end], escaped);
        let mut found = self.redactor.found(&run.joined)?;
        // The next message may bring the rest.
        if let Some(begun) = self.redactor.begun(&run.joined)
            && found.last().is_none_or(|last| last.at.end <= begun.at.start)
        {
            found.push(begun);
        }
        self.cut(&run, &found);
        let from = run.joined.len().saturating_sub(TAIL_BYTES);
        carry.0 = run.joined.split_off(from);
        Ok(())
    }

    /// The inside of an array of nothing but numbers without signs: bytes, as JSON of a Buffer has them.
    fn bytes(&mut self) -> Result<(), TooMuch> {
        let inside = self.json.get(self.at..).unwrap_or_default();
        let is_listed = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_whitespace() || *byte == b',';
        let length = inside.iter().position(|byte| !is_listed(byte)).unwrap_or(inside.len());
        if length == 0 || inside.get(length) != Some(&b']') {
            return Ok(());
        }
        let numbers: Vec<u8> = inside[..length].iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        // A single number is looked at by itself.
        let is_several = |found: &Found| numbers[found.at.start..found.at.end].contains(&b',');
        if let Some(Found { whose, .. }) = self.redactor.found(&numbers)?.into_iter().find(is_several) {
            self.cuts.push(Cut { at: Span { start: self.at, end: self.at + length }, put: Put::Text(whose) });
            self.at += length;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), TooMuch> {
        let start = self.at;
        while self.json.get(self.at).is_some_and(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
        {
            self.at += 1;
        }
        if let Some(Found { whose, .. }) = self.redactor.found_in_number(&self.json[start..self.at])? {
            self.cuts.push(Cut { at: Span { start, end: self.at }, put: Put::Text(whose) });
        }
        Ok(())
    }
}

fn extend(joined: &mut Vec<u8>, inside: &[u8], escaped: bool) {
    if escaped {
        joined.extend_from_slice(&View::of_json(inside).bytes);
    } else {
        joined.extend_from_slice(inside);
    }
}
