//! Redacts secrets from what an upstream sends: every occurrence of a value that it can have received, in every form that a
//! program writes it in.
//!
//! A text is searched once for all values together, and once more for each of `LEVELS` layers of escapes in it: the time
//! depends only on the length of the text. The length of the result is bounded too. A large text is searched on a thread of
//! the blocking pool ([`aside`]), so that no worker waits for it.
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
/// The most values that are redacted from one response; one with more is withheld.
const MAX_FOUND: usize = 262_144;
/// The longest text, in bytes.
const MAX_TEXT_BYTES: usize = u32::MAX as usize;
/// The longest name of a secret in a placeholder, in characters.
const MAX_MARK_NAME: usize = 64;

/// A value to redact, and the name that replaces it.
#[derive(Clone)]
pub struct Secret {
    /// The secret's name.
    pub name: String,
    /// Its value.
    pub value: Zeroizing<String>,
}

/// The text has more values than `MAX_FOUND`, or nests too deep: it is withheld.
#[derive(Debug)]
pub struct TooMuch;

/// Values with one automaton.
pub struct Part {
    needles: Needles,
    /// The placeholder of each value.
    marks: Vec<String>,
    /// Whether a value can occur in a number.
    numeric: bool,
}

impl Part {
    /// Builds the automaton of these values; `named` puts their names into the placeholders. It takes milliseconds for hundreds of
    /// values, so callers reuse it.
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

/// Whether a name may appear in a text for a model: not if it could be a sentence or an address.
fn is_plain(name: &str) -> bool {
    (1..=MAX_MARK_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Redacts some values from texts.
#[derive(Clone)]
pub struct Redactor {
    parts: Vec<Arc<Part>>,
}

impl Redactor {
    /// Of these values, with their names as placeholders.
    pub fn new(secrets: &[Secret]) -> error::Result<Self> {
        Ok(Self::of(vec![Arc::new(Part::new(secrets, true)?)]))
    }

    /// Of the values of all parts. If several parts have a value, the first gives the placeholder.
    pub fn of(parts: Vec<Arc<Part>>) -> Self {
        Self { parts }
    }

    /// The placeholder of a value.
    fn mark(&self, index: u32) -> &str {
        let mut index = index as usize;
        for part in &self.parts {
            match part.marks.get(index) {
                Some(mark) => return mark,
                None => index -= part.marks.len(),
            }
        }
        NOTHING
    }

    /// Redacts JSON text. Text without values is returned unchanged.
    pub fn json(&self, answer: Box<RawValue>) -> Box<RawValue> {
        self.json_after(answer, After::Nothing)
    }

    /// As [`Self::json`], for a response that follows notifications: a value may begin in those.
    pub fn answer(&self, answer: Box<RawValue>, before: &Carry) -> Box<RawValue> {
        self.json_after(answer, After::All(before))
    }

    /// As [`Self::json`], for a notification that follows others: a value may be split over them.
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

    /// Redacts plain text.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Ok(found) = self.found(text.as_bytes()) else { return Cow::Borrowed(NOTHING) };
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut mark = Mark::new(self);
        let mut clean = String::with_capacity(text.len() + 2 * MAX_MARK_NAME);
        let mut from = 0;
        for Found { at, index } in found {
            let at = at.letters(text.as_bytes());
            clean.push_str(text.get(from..at.start).unwrap_or_default());
            clean.push_str(&mark.plain(index, at.end - at.start));
            from = at.end;
        }
        clean.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// Whether the text has one of the values.
    pub fn finds(&self, text: &str) -> bool {
        !matches!(self.found(text.as_bytes()), Ok(found) if found.is_empty())
    }

    /// Where the values are in a text, in order, without overlaps.
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
                    found.index += values;
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

    /// The end of a text that is the beginning of a value, at least half of it.
    fn begun(&self, text: &[u8]) -> Option<Found> {
        let mut values = 0;
        let mut begun = Vec::new();
        for part in &self.parts {
            begun.extend(part.needles.begun(text).map(|found| Found { index: found.index + values, ..found }));
            values += u32::try_from(part.marks.len()).unwrap_or(u32::MAX);
        }
        begun.into_iter().min_by_key(|found| found.at.start)
    }
}

/// Joins matches that overlap, and adjacent ones of the same value.
fn merged(mut all: Vec<Found>, sort: bool) -> Vec<Found> {
    if sort {
        all.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    }
    all.dedup_by(|next, last| {
        let overlaps = next.at.start < last.at.end || next.at.start == last.at.end && next.index == last.index;
        if overlaps {
            last.at.end = last.at.end.max(next.at.end);
        }
        overlaps
    });
    all
}

/// Replaces a response that is withheld.
const NOTHING: &str = "[redacted]";

/// The result of a call whose response is withheld.
fn nothing() -> Box<RawValue> {
    let text = serde_json::json!({"content": [{"type": "text", "text": NOTHING}], "isError": true});
    serde_json::value::to_raw_value(&text).unwrap_or_default()
}

/// Writes placeholders within a bound.
struct Mark<'r> {
    redactor: &'r Redactor,
    /// Bytes by which placeholders may still make the text longer.
    room: usize,
}

impl<'r> Mark<'r> {
    /// Bytes by which placeholders may make a text longer. After that each value becomes a star.
    const MAX_GROWTH: usize = 65_536;

    fn new(redactor: &'r Redactor) -> Self {
        Self { redactor, room: Self::MAX_GROWTH }
    }

    /// The placeholder, or a replacement that is no longer than the value.
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

    fn named(&self, index: u32) -> String {
        self.redactor.mark(index).to_owned()
    }

    fn plain(&mut self, index: u32, length: usize) -> Cow<'static, str> {
        let mark = self.named(index);
        self.bounded(mark, length, "*")
    }

    fn in_json(&mut self, index: u32, length: usize) -> Cow<'static, str> {
        let quoted = serde_json::Value::from(self.named(index)).to_string();
        self.bounded(quoted[1..quoted.len() - 1].to_owned(), length, "*")
    }

    fn for_number(&mut self, index: u32, length: usize) -> Cow<'static, str> {
        let quoted = serde_json::Value::from(self.named(index)).to_string();
        self.bounded(quoted, length, "0")
    }
}
