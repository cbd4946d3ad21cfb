//! Text in which a reader can see every character.

use std::fmt::Write;

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Escapes the characters that control a terminal, reorder text, are invisible, or look like a plain space, as `\u{…}`.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Characters that a reader does not see or mistakes: controls, formats (bidirectional ones too), those that renderers omit where
/// not supported (fillers, variation selectors, tags), separators except the plain space, unassigned and private-use characters.
fn is_unseen(c: char) -> bool {
    use GeneralCategory as Kind;
    // The Braille pattern without dots is a symbol in Unicode, but looks empty.
    const BLANK: char = '\u{2800}';
    if c == ' ' || c.is_ascii_graphic() {
        return false;
    }
    let kind = CodePointMapData::<GeneralCategory>::new().get(c);
    let is_nothing = matches!(
        kind,
        Kind::Control
            | Kind::Format
            | Kind::LineSeparator
            | Kind::ParagraphSeparator
            | Kind::PrivateUse
            | Kind::SpaceSeparator
            | Kind::Surrogate
            | Kind::Unassigned
    );
    is_nothing || c == BLANK || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}
