//! Redacts secrets from the strings, names and numbers of a JSON text. The text is read once; all other bytes stay unchanged.

use memchr::memchr2;

use super::{
    Mark, Redactor, TooMuch,
    needles::Found,
    runs::{After, Carry, Run},
    views::{Span, View},
};

/// Arrays and objects in each other; readers refuse more (`serde_json` at 128).
const MAX_DEPTH: usize = 128;
/// Texts of one response that are searched together: a response has two, unless it has a member twice.
const MAX_SECTIONS: usize = 4;

/// A part of the text to replace.
pub(super) struct Cut {
    at: Span,
    put: Put,
}

enum Put {
    /// The placeholder, within a string.
    Mark(u32),
    /// The placeholder as a string, in place of a number.
    Text(u32),
    /// Nothing: the placeholder is in another part.
    Nothing,
}

/// Names of members that decide which strings are one text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Text,
    Resource,
    Content,
    /// A member of the root whose strings are all one text: structured content, the `message` of progress, the `data` of a log
    /// message, and both of an error.
    Whole,
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
    /// The texts of members of the root.
    sections: Vec<Run>,
    /// Whether the last of them continues.
    goes_on: bool,
}

/// Where secrets are in valid JSON text. The parts of a response (`text`, `resource.text` or `content.text` of the items of an
/// array, or the items themselves) are searched as one text; so are all strings of structured content, and a notification
/// with those before it. The seam between any two of these texts, in either order, and between notifications and a response,
/// is searched too.
pub(super) fn cuts(json: &str, redactor: &Redactor, after: After<'_>) -> Result<Vec<Cut>, TooMuch> {
    let (json, frames, cuts, sections) = (json.as_bytes(), Vec::new(), Vec::new(), Vec::new());
    let mut reader = Reader { json, redactor, at: 0, frames, cuts, sections, goes_on: false };
    reader.read()?;
    reader.search_sections(after)?;
    if reader.cuts.len() > super::MAX_FOUND {
        return Err(TooMuch);
    }
    Ok(apart(reader.cuts))
}

/// In order, without overlaps.
fn apart(mut cuts: Vec<Cut>) -> Vec<Cut> {
    cuts.sort_by_key(|cut| (cut.at.start, std::cmp::Reverse(cut.at.end)));
    cuts.dedup_by(|next, last| {
        let overlaps = next.at.start < last.at.end;
        if overlaps {
            last.at.end = last.at.end.max(next.at.end);
        }
        overlaps
    });
    cuts
}

/// The text with those parts replaced. It is at most [`Mark::MAX_GROWTH`] longer than it was.
pub(super) fn spliced(json: &str, cuts: &[Cut], redactor: &Redactor) -> String {
    let mut mark = Mark::new(redactor);
    let mut text = String::with_capacity(json.len() + 256);
    let mut from = 0;
    for Cut { at, put } in cuts {
        text.push_str(json.get(from..at.start).unwrap_or_default());
        let length = at.end - at.start;
        match put {
            Put::Mark(index) => text.push_str(&mark.in_json(*index, length)),
            Put::Text(index) => text.push_str(&mark.for_number(*index, length)),
            Put::Nothing => {}
        }
        from = at.end;
    }
    text.push_str(json.get(from..).unwrap_or_default());
    text
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), TooMuch> {
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
                    match self.frames.pop().and_then(|frame| frame.run) {
                        Some(run) if self.is_content() => self.sections.push(*run),
                        Some(run) => self.search(&run)?,
                        None => {}
                    }
                    self.at += 1;
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => self.at += 1,
            }
            if self.cuts.len() > super::MAX_FOUND {
                return Err(TooMuch);
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), TooMuch> {
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
        let json = self.json;
        if is_name {
            self.goes_on &= self.frames.len() > 1;
            if let Some(frame) = self.frames.last_mut() {
                frame.key = match &json[start..end] {
                    b"text" => Key::Text,
                    b"resource" => Key::Resource,
                    b"content" => Key::Content,
                    b"structuredContent" | b"message" | b"data" => Key::Whole,
                    _ => Key::Other,
                };
            }
        } else if let [Frame { is_array: false, key: Key::Whole, .. }, ..] = self.frames.as_slice() {
            if !self.goes_on && self.sections.len() < MAX_SECTIONS {
                self.sections.push(Run::default());
            }
            self.goes_on = true;
            if let Some(section) = self.sections.last_mut() {
                section.push(json, inside, escaped);
            }
            return Ok(());
        } else if let Some(array) = self.array() {
            self.frames[array].run.get_or_insert_default().push(json, inside, escaped);
            return Ok(());
        }
        self.alone(inside, escaped)
    }

    /// Whether the array that has just ended is the content of a response.
    fn is_content(&self) -> bool {
        self.sections.len() < MAX_SECTIONS
            && matches!(self.frames.as_slice(), [Frame { is_array: false, key: Key::Content, .. }])
    }

    /// The array that this string's text belongs to.
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

    /// Searches a string that is a text of its own.
    fn alone(&mut self, inside: Span, escaped: bool) -> Result<(), TooMuch> {
        let text = &self.json[inside.start..inside.end];
        let view = escaped.then(|| View::of_json(text));
        let found = self.redactor.found(view.as_ref().map_or(text, |view| &view.bytes))?;
        for Found { at, index } in found {
            let at = view.as_ref().map_or(at, |view| view.in_text(at));
            let at = Span { start: inside.start + at.start, end: inside.start + at.end };
            self.cuts.push(Cut { at: at.letters(self.json), put: Put::Mark(index) });
        }
        Ok(())
    }

    fn search(&mut self, run: &Run) -> Result<(), TooMuch> {
        let found = self.redactor.found(&run.joined)?;
        self.cut(run, &found);
        Ok(())
    }

    /// Cuts each match out of all strings that have a part of it; the placeholder goes into the first.
    fn cut(&mut self, run: &Run, found: &[Found]) {
        let mut found = found.iter().peekable();
        for (nth, piece) in run.pieces.iter().enumerate() {
            let until = run.pieces.get(nth + 1).map_or(run.joined.len(), |next| next.from);
            let text = &self.json[piece.inside.start..piece.inside.end];
            let mut view = None;
            while let Some(Found { at, index }) = found.peek().filter(|found| found.at.start < until) {
                let part = Span {
                    start: at.start.max(piece.from) - piece.from,
                    end: at.end.min(until).max(piece.from) - piece.from,
                };
                if part.start < part.end {
                    let view = view.get_or_insert_with(|| piece.escaped.then(|| View::of_json(text)));
                    let part = view.as_ref().map_or(part, |view| view.in_text(part));
                    let part = Span { start: piece.inside.start + part.start, end: piece.inside.start + part.end };
                    let begins = at.start >= piece.from || nth == 0;
                    let put = if begins { Put::Mark(*index) } else { Put::Nothing };
                    self.cuts.push(Cut { at: part.letters(self.json), put });
                }
                if at.end > until {
                    break;
                }
                found.next();
            }
        }
    }

    fn search_sections(&mut self, after: After<'_>) -> Result<(), TooMuch> {
        let sections = std::mem::take(&mut self.sections);
        let (before, told) = match after {
            After::Nothing => (None, None),
            After::All(carry) => (Some(carry), None),
            After::Told(carry, kind) => (None, Some((carry, kind))),
        };
        if let Some((carry, kind)) = told {
            for section in &sections {
                let other = carry.end_of(kind.other());
                self.across(other, None, section)?;
                let (found, length) = carry.follow(kind, section, self.redactor)?;
                self.cut(&section.after(length), &found);
            }
        } else {
            for section in &sections {
                self.search(section)?;
            }
        }
        for (nth, section) in sections.iter().enumerate() {
            for end in before.into_iter().flat_map(Carry::ends) {
                self.across(end, None, section)?;
            }
            for (_, first) in sections.iter().enumerate().filter(|(other, _)| *other != nth) {
                self.across(first.end(), Some(first), section)?;
            }
        }
        Ok(())
    }

    /// Cuts a value that begins at the end of one text and ends at the beginning of another. The first text is `first` if it belongs
    /// to this response.
    fn across(&mut self, end: &[u8], first: Option<&Run>, second: &Run) -> Result<(), TooMuch> {
        if end.is_empty() || second.joined.is_empty() {
            return Ok(());
        }
        let seam = end.len();
        let found = self.redactor.found(&[end, second.begin()].concat())?;
        let Some(Found { at, index }) = found.into_iter().find(|found| found.at.start < seam && seam < found.at.end)
        else {
            return Ok(());
        };
        if let Some(first) = first {
            let length = first.joined.len();
            self.cut(first, &[Found { at: Span { start: length - (seam - at.start), end: length }, index }]);
        }
        self.cut(second, &[Found { at: Span { start: 0, end: at.end - seam }, index }]);
        Ok(())
    }

    /// An array that contains only unsigned numbers: bytes, as in the JSON of a Buffer.
    fn bytes(&mut self) -> Result<(), TooMuch> {
        let inside = self.json.get(self.at..).unwrap_or_default();
        let is_listed = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_whitespace() || *byte == b',';
        let length = inside.iter().position(|byte| !is_listed(byte)).unwrap_or(inside.len());
        if length == 0 || inside.get(length) != Some(&b']') {
            return Ok(());
        }
        let numbers: Vec<u8> = inside[..length].iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        // A single number is searched by itself.
        let is_several = |found: &Found| numbers[found.at.start..found.at.end].contains(&b',');
        if let Some(Found { index, .. }) = self.redactor.found(&numbers)?.into_iter().find(is_several) {
            self.cuts.push(Cut { at: Span { start: self.at, end: self.at + length }, put: Put::Text(index) });
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
        if let Some(Found { index, .. }) = self.redactor.found_in_number(&self.json[start..self.at])? {
            self.cuts.push(Cut { at: Span { start, end: self.at }, put: Put::Text(index) });
        }
        Ok(())
    }
}
