//! Secrets in what comes back from an upstream: every occurrence of a value that it can have received is cut out, in
//! whatever form a program repeats it.
//!
//! A text is read once for all values together, and once more for each of `LEVELS` layers of escapes in it: the time
//! grows with the length of the text and with nothing else. What comes out is bounded as well. A large text is read on a
//! thread of the blocking pool ([`aside`]), so that no thread that serves connections waits for it.
//!
//! - `encodings`: the table of encodings of whole values, each with its source.
//! - `escapes`: the table of escapes of single characters.
//! - `needles`: the automaton that finds all forms of all values.
//! - `views`: texts with their escapes decoded.
//! - `document`: strings, names and numbers of a JSON text.
//! - `runs`: texts that are split over parts of an answer, and over messages.
//! - `known`: which values an upstream can have received.

mod aside;
mod document;
mod encodings;
mod escapes;
mod known;
mod needles;
mod runs;
#[cfg(test)]
mod tests;
mod views;

use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error;

pub use self::{
    aside::aside,
    known::{Audience, Known, KnownSecrets, Learnt, Sent},
    runs::{Carry, Told},
};
use self::{
    needles::{Found, Needles},
    runs::After,
    views::View,
};

/// Layers of escapes that are decoded one after the other: JSON in a string of JSON in a string, percent-encoded, is three.
const LEVELS: usize = 3;
/// Values that are cut out of one answer; one that has more is not passed on at all.
const MAX_FOUND: usize = 262_144;
/// The longest text, in bytes.
const MAX_TEXT_BYTES: usize = u32::MAX as usize;
/// Characters of a secret's name in a mark.
const MAX_MARK_NAME: usize = 64;

/// A value that is to be cut out, and its name, which stands in its place.
#[derive(Clone)]
pub struct Secret {
    /// The secret's name.
    pub name: String,
    /// Its value.
    pub value: Zeroizing<String>,
}

/// A text holds more values than `MAX_FOUND`, or nests too deep: it is not passed on.
#[derive(Debug)]
pub struct TooMuch;

/// Values that are looked for together.
pub struct Part {
    needles: Needles,
    /// What stands in the place of each.
    marks: Vec<String>,
    /// Whether a value may stand in a number.
    numeric: bool,
}

impl Part {
    /// For these values; their marks may bear their names, or not. It takes some milliseconds for hundreds of them, so it is kept.
    pub fn new(secrets: &[Secret], named: bool) -> error::Result<Self> {
        let is_numeric = |secret: &Secret| {
            secret.value.bytes().all(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
        };
        let mark = |secret: &Secret| match &secret.name {
            name if named && is_plain(name) => format!("[redacted: {name}]"),
            _ => NOTHING.to_owned(),
        };
        Ok(Self {
            needles: Needles::new(secrets)?,
            marks: secrets.iter().map(mark).collect(),
            numeric: secrets.iter().any(is_numeric),
        })
    }
}

/// Whether a name may stand in a text for a model: not if it could be a sentence or an address.
fn is_plain(name: &str) -> bool {
    (1..=MAX_MARK_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Cuts some values out of texts.
#[derive(Clone)]
pub struct Redactor {
    parts: Vec<Arc<Part>>,
}

impl Redactor {
    /// For these values, by their names.
    pub fn new(secrets: &[Secret]) -> error::Result<Self> {
        Ok(Self::of(vec![Arc::new(Part::new(secrets, true)?)]))
    }

    /// For the values of all of these. Of one that several have, the first gives the mark.
    pub fn of(parts: Vec<Arc<Part>>) -> Self {
        Self { parts }
    }

    /// What stands in the place of a value.
    fn mark(&self, whose: u32) -> &str {
        let mut whose = whose as usize;
        for part in &self.parts {
            match part.marks.get(whose) {
                Some(mark) => return mark,
                None => whose -= part.marks.len(),
            }
        }
        NOTHING
    }

    /// The JSON text without the values. One that holds none of them is given back as it was written.
    pub fn json(&self, answer: Box<RawValue>) -> Box<RawValue> {
        self.json_after(answer, After::Nothing)
    }

    /// As [`Self::json`], for the answer to a request while which something was told: a value may begin in that.
    pub fn answer(&self, answer: Box<RawValue>, before: &Carry) -> Box<RawValue> {
        self.json_after(answer, After::All(before))
    }

    /// As [`Self::json`], for the parameters of a notification that follows others: a value may be split over them.
    pub fn told(&self, params: Box<RawValue>, kind: Told, before: &mut Carry) -> Box<RawValue> {
        self.json_after(params, After::Told(before, kind))
    }

    fn json_after(&self, answer: Box<RawValue>, after: After<'_>) -> Box<RawValue> {
        match document::cuts(answer.get(), self, after) {
            Ok(cuts) if cuts.is_empty() => answer,
            Ok(cuts) => {
                let text = document::spliced(answer.get(), &cuts, self);
                RawValue::from_string(text).unwrap_or_else(|_| nothing())
            }
            Err(TooMuch) => nothing(),
        }
    }

    /// The text without the values.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Ok(found) = self.found(text.as_bytes()) else { return Cow::Borrowed(NOTHING) };
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut mark = Mark::new(self);
        let mut clean = String::with_capacity(text.len() + 2 * MAX_MARK_NAME);
        let mut from = 0;
        for Found { at, whose } in found {
            let at = at.letters(text.as_bytes());
            clean.push_str(text.get(from..at.start).unwrap_or_default());
            clean.push_str(&mark.plain(whose, at.end - at.start));
            from = at.end;
        }
        clean.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// Whether one of the values stands in the text.
    pub fn finds(&self, text: &str) -> bool {
        !matches!(self.found(text.as_bytes()), Ok(found) if found.is_empty())
    }

    /// Where the values stand in a text, in order, none over another.
    fn found(&self, text: &[u8]) -> Result<Vec<Found>, TooMuch> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(TooMuch);
        }
        let mut views: Vec<View> = View::without_line_ends(text).into_iter().collect();
        let mut all = Vec::new();
        for level in 0..=LEVELS {
            let last = views.last().map_or(text, |view| &view.bytes);
            if level > 0 {
                let Some(view) = View::of(last) else { break };
                views.push(view);
            }
            let first = all.len();
            let mut values = 0;
            for part in &self.parts {
                let of_part = all.len();
                part.needles.search(views.last().map_or(text, |view| &view.bytes), &mut all, MAX_FOUND);
                for found in &mut all[of_part..] {
                    found.whose += values;
                }
                values += u32::try_from(part.marks.len()).unwrap_or(u32::MAX);
            }
            for found in &mut all[first..] {
                found.at = views.iter().rev().fold(found.at, |at, view| view.in_text(at));
            }
            if all.len() > MAX_FOUND {
                return Err(TooMuch);
            }
        }
        Ok(merged(all, views.len() > 1 || self.parts.len() > 1))
    }

    fn found_in_number(&self, text: &[u8]) -> Result<Option<Found>, TooMuch> {
        if !self.parts.iter().any(|part| part.numeric) {
            return Ok(None);
        }
        Ok(self.found(text)?.into_iter().next())
    }

    /// The end of a text that is the beginning of a value, half of it at least.
    fn begun(&self, text: &[u8]) -> Option<Found> {
        let mut values = 0;
        let mut begun = Vec::new();
        for part in &self.parts {
            begun.extend(part.needles.begun(text).map(|found| Found { whose: found.whose + values, ..found }));
            values += u32::try_from(part.marks.len()).unwrap_or(u32::MAX);
        }
        begun.into_iter().min_by_key(|found| found.at.start)
    }
}

/// What overlaps is one, and so is what follows at once and is of the same name.
fn merged(mut all: Vec<Found>, sort: bool) -> Vec<Found> {
    if sort {
        all.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    }
    all.dedup_by(|next, last| {
        let overlaps = next.at.start < last.at.end || next.at.start == last.at.end && next.whose == last.whose;
        if overlaps {
            last.at.end = last.at.end.max(next.at.end);
        }
        overlaps
    });
    all
}

/// What stands in the place of an answer that is not passed on.
const NOTHING: &str = "[redacted]";

/// The result of a call whose answer is not passed on.
fn nothing() -> Box<RawValue> {
    let text = serde_json::json!({"content": [{"type": "text", "text": NOTHING}], "isError": true});
    serde_json::value::to_raw_value(&text).unwrap_or_default()
}

/// Writes marks, within bounds.
struct Mark<'r> {
    redactor: &'r Redactor,
    /// Bytes by which marks may still be longer than what they stand for.
    room: usize,
}

impl<'r> Mark<'r> {
    /// Bytes by which marks may make a text longer. From then on a star stands for each value.
    const MAX_GROWTH: usize = 65_536;

    fn new(redactor: &'r Redactor) -> Self {
        Self { redactor, room: Self::MAX_GROWTH }
    }

    /// The mark, or something that is no longer than what it stands for.
    fn bounded(&mut self, mark: String, length: usize, short: &'static str) -> Cow<'static, str> {
        let growth = mark.len().saturating_sub(length);
        match self.room.checked_sub(growth) {
            Some(room) => {
                self.room = room;
                Cow::Owned(mark)
            }
            None => Cow::Borrowed(short),
        }
    }

    fn named(&self, whose: u32) -> String {
        self.redactor.mark(whose).to_owned()
    }

    fn plain(&mut self, whose: u32, length: usize) -> Cow<'static, str> {
        let mark = self.named(whose);
        self.bounded(mark, length, "*")
    }

    fn in_json(&mut self, whose: u32, length: usize) -> Cow<'static, str> {
        let quoted = serde_json::Value::from(self.named(whose)).to_string();
        self.bounded(quoted[1..quoted.len() - 1].to_owned(), length, "*")
    }

    fn for_number(&mut self, whose: u32, length: usize) -> Cow<'static, str> {
        let quoted = serde_json::Value::from(self.named(whose)).to_string();
        self.bounded(quoted, length, "0")
    }
}
