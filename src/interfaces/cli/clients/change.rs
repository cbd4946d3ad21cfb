//! The changes of a file, as they are written and as they are shown.

use std::ops::Range;

use serde::Serialize;

/// What is to be written instead of what.
#[derive(Debug)]
pub struct Edit {
    /// Bytes of the old text.
    pub span: Range<usize>,
    /// What stands there then.
    pub text: String,
}

/// A server that stays as it is.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// The server.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

/// All that changes in a file.
#[derive(Debug, Default)]
pub struct Change {
    /// From the beginning to the end; they do not overlap.
    pub edits: Vec<Edit>,
    /// Servers that are wrapped, or no longer are.
    pub wrapped: Vec<String>,
    /// Servers that are not.
    pub skipped: Vec<Skipped>,
}

impl Change {
    /// The change of one text into another, as one edit of all between what they begin and end with.
    pub fn between(old: &str, new: &str) -> Self {
        let start: usize = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
        let (rest, new) = (&old[start..], &new[start..]);
        let end: usize =
            rest.chars().rev().zip(new.chars().rev()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
        let edit = Edit { span: start..old.len() - end, text: new[..new.len() - end].to_owned() };
        let is_same = edit.span.is_empty() && edit.text.is_empty();
        Self { edits: if is_same { Vec::new() } else { vec![edit] }, ..Self::default() }
    }

    /// The new text.
    pub fn apply(&self, text: &str) -> String {
        edited(text, 0..text.len(), &self.edits)
    }

    /// The text with these edits, which stand from its beginning to its end.
    pub fn edited(text: &str, edits: &[Edit]) -> String {
        edited(text, 0..text.len(), edits)
    }

    /// The lines that change: `-` and how they were, `+` and how they will be, with their number in the old text.
    pub fn diff(&self, text: &str) -> Vec<String> {
        let begins = |at: usize| text[..at].rfind('\n').map_or(0, |end| end + 1);
        let ends = |at: usize| text[at..].find('\n').map_or(text.len(), |end| at + end);
        let mut rows = Vec::new();
        let mut place = 0;
        while let Some(first) = self.edits.get(place) {
            let (start, mut end) = (begins(first.span.start), ends(first.span.end));
            let begin = place;
            place += 1;
            while let Some(next) = self.edits.get(place).filter(|next| next.span.start <= end) {
                end = end.max(ends(next.span.end));
                place += 1;
            }
            let new = edited(text, start..end, &self.edits[begin..place]);
            rows.push(format!("@ line {}", text[..start].matches('\n').count() + 1));
            rows.extend(text[start..end].lines().map(|line| format!("-{line}")));
            rows.extend(new.lines().map(|line| format!("+{line}")));
        }
        rows
    }
}

/// A part of the text with the edits that lie in it.
fn edited(text: &str, part: Range<usize>, edits: &[Edit]) -> String {
    let (mut new, mut at) = (String::new(), part.start);
    for edit in edits {
        new.push_str(&text[at..edit.span.start]);
        new.push_str(&edit.text);
        at = edit.span.end;
    }
    new + &text[at..part.end]
}
