//! The difference of two texts, word by word.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// A word of a difference.
pub enum Piece {
    /// In both texts.
    Same(String),
    /// In the earlier text only.
    Removed(String),
    /// In the later text only.
    Added(String),
}

/// After so long the difference is a coarser one: texts that differ everywhere take time in the square of their length.
const LONGEST: Duration = Duration::from_millis(20);

/// What was removed from `before` and added in `after`.
pub fn difference(before: &str, after: &str) -> Vec<Piece> {
    let difference = TextDiff::configure().timeout(LONGEST).diff_words(before, after);
    let mut pieces: Vec<Piece> = Vec::new();
    for change in difference.iter_all_changes() {
        let word = change.value();
        match (change.tag(), pieces.last_mut()) {
            (ChangeTag::Equal, Some(Piece::Same(text)))
            | (ChangeTag::Delete, Some(Piece::Removed(text)))
            | (ChangeTag::Insert, Some(Piece::Added(text))) => text.push_str(word),
            (ChangeTag::Equal, _) => pieces.push(Piece::Same(word.to_owned())),
            (ChangeTag::Delete, _) => pieces.push(Piece::Removed(word.to_owned())),
            (ChangeTag::Insert, _) => pieces.push(Piece::Added(word.to_owned())),
        }
    }
    pieces
}

/// Whether more than half of what is in either text is not in both.
pub fn is_mostly_new(pieces: &[Piece]) -> bool {
    let (mut same, mut changed) = (0, 0);
    for piece in pieces {
        match piece {
            Piece::Same(text) => same += 2 * text.len(),
            Piece::Removed(text) | Piece::Added(text) => changed += text.len(),
        }
    }
    changed > same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_that_changed_are_marked() {
        let pieces = difference("sends a mail to you", "sends a copy to you");
        let marked: Vec<_> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Same(text) => format!("={text}"),
                Piece::Removed(text) => format!("-{text}"),
                Piece::Added(text) => format!("+{text}"),
            })
            .collect();
        assert_eq!(marked, ["=sends a ", "-mail", "+copy", "= to you"]);
    }

    #[test]
    fn texts_with_few_words_in_common_are_mostly_new() {
        assert!(!is_mostly_new(&difference("sends a mail to you", "sends a copy to you")));
        assert!(is_mostly_new(&difference("sends a mail to you", "removes every file of them")));
        assert!(!is_mostly_new(&difference("", "")));
    }
}
