//! Text in a form in which a reader sees every character for what it is.

use std::fmt::Write;

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Text in which every character is seen for what it is: what commands a terminal, orders text anew, takes no place, or
/// looks like a plain space without being one stands there by its number.
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

/// What no reader sees, or sees for something else: controls, formats (bidirectional ones too), what may be left out where it is
/// not known (fillers, variation selectors, tags), separators but the plain space, and what has no meaning for everybody.
fn is_unseen(c: char) -> bool {
    use GeneralCategory as Kind;
    // Braille's pattern without dots is a symbol to Unicode, and an empty place to people.
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
