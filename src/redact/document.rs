//! A JSON text and the secrets in its strings, names and numbers. The text is read once and cut where they stand; the rest
//! of it stays as it was written.

use memchr::memchr2;

use super::{
    Mark, Redactor, TooMuch,
    needles::Found,
    runs::{After, Carry, Run},
    views::{Span, View},
};

/// Arrays and objects in each other; readers refuse more (`serde_json` at 128).
const MAX_DEPTH: usize = 128;
/// Texts of one answer that are looked at with each other: an answer has two, unless it has a member twice.
const MAX_SECTIONS: usize = 4;

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

/// Names of members that matter to which strings are one text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Text,
    Resource,
    Content,
    /// At the root, all of whose texts are one: structured content, what is told in progress (`message`) and in a log message
    /// (`data`), and both of an error.
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
    /// The texts of members of the root, each of which is one.
    sections: Vec<Run>,
    /// Whether the last of them goes on.
    goes_on: bool,
}

/// Where secrets stand in a JSON text that is known to be one. Texts of the parts of an answer, be they `text`,
/// `resource.text` or `content.text` of the items of an array or the items themselves, are looked at as one text; so are
/// all texts in structured content, and what is told in a message with what was told before. Where one of these ends and
/// another begins, in whichever order, and where what was told ends and an answer begins, it is looked at both together.
pub(super) fn cuts(json: &str, redactor: &Redactor, after: After<'_>) -> Result<Vec<Cut>, TooMuch> {
    let (json, frames, cuts, sections) = (json.as_bytes(), Vec::new(), Vec::new(), Vec::new());
    let mut reader = Reader { json, redactor, at: 0, frames, cuts, sections, goes_on: false };
    reader.read()?;
    reader.look_at_sections(after)?;
    if reader.cuts.len() > super::MAX_FOUND {
        return Err(TooMuch);
    }
    Ok(apart(reader.cuts))
}

/// In order, none over another.
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
                        Some(run) => self.look_at(&run)?,
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

    /// Whether the array that has just ended is the content of an answer.
    fn is_content(&self) -> bool {
        self.sections.len() < MAX_SECTIONS
            && matches!(self.frames.as_slice(), [Frame { is_array: false, key: Key::Content, .. }])
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

    fn look_at_sections(&mut self, after: After<'_>) -> Result<(), TooMuch> {
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
                self.look_at(section)?;
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

    /// Cuts out what begins at the end of one text, which is `first` if it is one of this answer, and ends at the beginning
    /// of another.
    fn across(&mut self, end: &[u8], first: Option<&Run>, second: &Run) -> Result<(), TooMuch> {
        if end.is_empty() || second.joined.is_empty() {
            return Ok(());
        }
        let seam = end.len();
        let found = self.redactor.found(&[end, second.begin()].concat())?;
        let Some(Found { at, whose }) = found.into_iter().find(|found| found.at.start < seam && seam < found.at.end)
        else {
            return Ok(());
        };
        if let Some(first) = first {
            let length = first.joined.len();
            self.cut(first, &[Found { at: Span { start: length - (seam - at.start), end: length }, whose }]);
        }
        self.cut(second, &[Found { at: Span { start: 0, end: at.end - seam }, whose }]);
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
