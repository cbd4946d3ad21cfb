//! Text that a caller wrote: its bounds, and the wire type that enforces them while a request is parsed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// Why `text` is not acceptable, or nothing. Lengths count characters, as JSON Schema's `maxLength` does.
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

/// What [`problem`] lets through, as JSON Schema says it. Spelled out: not every reader of schemas knows `\p{Cc}`.
pub const LINE_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// The same with line breaks and tabs.
pub const MULTILINE_PATTERN: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";

/// Text of `MIN` to `MAX` characters without control characters other than line breaks and tabs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives the text away.
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
