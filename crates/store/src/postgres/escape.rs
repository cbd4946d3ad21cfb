//! A text of Postgres cannot hold U+0000, and one of SQLite can: it is stored as two characters instead.

use std::borrow::Cow;

/// A code point that stands for no character in any text (Unicode 16, section 23.7), and begins what is escaped.
const MARK: char = '\u{10fffe}';
/// Behind [`MARK`]: U+0000, and [`MARK`] itself.
const ZERO: char = '0';

/// The text as it is stored.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => escaped.extend([MARK, ZERO]),
            MARK => escaped.extend([MARK, MARK]),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// The text that was stored, where it is another one.
pub(super) fn unescaped(stored: &str) -> Option<String> {
    if !stored.contains(MARK) {
        return None;
    }
    let mut text = String::with_capacity(stored.len());
    let mut rest = stored.chars();
    while let Some(c) = rest.next() {
        match c {
            MARK if rest.next() == Some(ZERO) => text.push('\0'),
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_read_back(text in "[a-c0\\x00\u{10fffe}]{0,12}") {
            let stored = escaped(&text);
            prop_assert!(!stored.contains('\0'));
            prop_assert_eq!(unescaped(&stored).unwrap_or_else(|| stored.to_string()), text);
        }
    }
}
