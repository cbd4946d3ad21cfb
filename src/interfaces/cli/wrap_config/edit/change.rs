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
pub struct Left {
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
    pub left: Vec<Left>,
}

impl Change {
    /// The new text.
    pub fn apply(&self, text: &str) -> String {
        let mut new = String::with_capacity(text.len() + 256 * self.edits.len());
        let mut at = 0;
        for edit in &self.edits {
            new.push_str(&text[at..edit.span.start]);
            new.push_str(&edit.text);
            at = edit.span.end;
        }
        new.push_str(&text[at..]);
        new
    }

    /// The lines that change: `-` and how they were, `+` and how they will be, with their number in the old text.
    pub fn diff(&self, text: &str) -> Vec<String> {
        let begins = |at: usize| text[..at].rfind('\n').map_or(0, |end| end + 1);
        let ends = |at: usize| text[at..].find('\n').map_or(text.len(), |end| at + end);
        let mut rows = Vec::new();
        let mut edits = self.edits.iter().peekable();
        while let Some(first) = edits.next() {
            let (start, mut end) = (begins(first.span.start), ends(first.span.end));
            let mut group = vec![first];
            while let Some(next) = edits.next_if(|next| next.span.start <= end) {
                end = end.max(ends(next.span.end));
                group.push(next);
            }
            let mut new = String::new();
            let mut at = start;
            for edit in group {
                new.push_str(&text[at..edit.span.start]);
                new.push_str(&edit.text);
                at = edit.span.end;
            }
            new.push_str(&text[at..end]);
            rows.push(format!("@ line {}", text[..start].matches('\n').count() + 1));
            rows.extend(text[start..end].lines().map(|line| format!("-{line}")));
            rows.extend(new.lines().map(|line| format!("+{line}")));
        }
        rows
    }
}
