//! Text from a caller: its limits, and the type that enforces them while a request is parsed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// Why `text` is invalid; `None` if it is valid. Lengths count characters, like JSON Schema's `maxLength`.
///
/// Control characters are refused (NUL ends a string in some client, the others garble a terminal); line
/// breaks and tabs are allowed where `multiline` is.
pub fn problem(text: &str, min: usize, max: usize, multiline: bool) -> Option<String> {
    let length = text.chars().count();
    if length < min {
        return Some(format!("must have at least {min} character{}", if min == 1 { "" } else { "s" }));
    }
    if length > max {
        return Some(format!("must have at most {max} characters, this has {length}"));
    }
    text.chars()
        .find(|c| c.is_control() && !(multiline && matches!(c, '\n' | '\r' | '\t')))
        .map(|c| format!("must not contain the control character U+{:04X}", u32::from(c)))
}

/// The pattern of [`problem`] for JSON Schema. Characters are spelled out, since not every validator knows `\p{Cc}`.
pub const LINE_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// The same with line breaks and tabs.
pub const MULTILINE_PATTERN: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";

/// A member name folded as by case-insensitive JSON parsers, such as Go's `encoding/json`: names that any of them treats as equal
/// are equal here (Unicode, section 5.18; the long s and the Kelvin sign included).
pub fn folded(name: &str) -> String {
    if name.is_ascii() { name.to_ascii_lowercase() } else { name.to_uppercase().to_lowercase() }
}

/// JSON with every lone surrogate replaced by U+FFFD, as browsers do. Programs that cut a character in two write lone surrogates.
/// Parsers disagree on them, so that policies could judge other text than the tool receives.
pub fn without_halves(json: &[u8]) -> Cow<'_, [u8]> {
    const REPLACEMENT: &[u8; 4] = b"fffd";
    let mut whole: Cow<'_, [u8]> = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(found) = json[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        match (half(json, at), half(json, at + 6)) {
            (Some(true), Some(false)) => at += 12,
            (Some(_), _) => {
                whole.to_mut()[at + 2..at + 6].copy_from_slice(REPLACEMENT);
                at += 6;
            }
            // An escaped backslash begins no escape.
            (None, _) => at += 2,
        }
        if at >= json.len() {
            break;
        }
    }
    whole
}

/// Whether the escape that begins here is the first half of a pair, or the second; `None` if it is neither.
fn half(json: &[u8], at: usize) -> Option<bool> {
    let escape = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let unit = u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()?;
    match unit {
        0xd800..=0xdbff => Some(true),
        0xdc00..=0xdfff => Some(false),
        _ => None,
    }
}

/// Text of `MIN` to `MAX` characters without control characters other than line breaks and tabs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the owned text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match problem(&text, MIN, MAX, true) {
            Some(problem) => Err(D::Error::custom(problem)),
            None => Ok(Self(text)),
        }
    }
}

impl<const MIN: usize, const MAX: usize> JsonSchema for Text<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({"type": "string", "maxLength": MAX, "pattern": MULTILINE_PATTERN});
        if MIN > 0 {
            schema.insert("minLength".into(), MIN.into());
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_characters_are_replaced_and_nothing_else() {
        for (written, read) in [
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""a\uDE00b""#, "a\u{fffd}b"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
            (r#""\\ud83d""#, r"\ud83d"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""\u00e9\n\ud83d\ude00""#, "\u{e9}\n\u{1f600}"),
        ] {
            let whole = without_halves(written.as_bytes());
            assert_eq!(serde_json::from_slice::<String>(&whole).unwrap(), read, "{written}");
        }
        for same in [r#""\ud8"#, r#""\u+83d""#, r#"{"a":"\ud83d\ude00"}"#, "\\", ""] {
            assert!(matches!(without_halves(same.as_bytes()), Cow::Borrowed(_)), "{same}");
        }
    }
}
