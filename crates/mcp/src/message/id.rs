//! The id of a request, in one form for all spellings of it.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

use super::quoted;

/// Larger integers are one and the same to readers whose only numbers are 64-bit floats.
const MAX_ID: f64 = 9_007_199_254_740_991.0;

/// The id that is written here, in the form of [`Message::id`](super::Message::id).
pub fn id_of(raw: &RawValue) -> Option<String> {
    plain(raw).ok().flatten().map(|id| id.get().to_owned())
}

/// Reads an id: a text, an integer, or null.
pub(super) fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, RawValue>>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    let text = raw.get();
    let plain = match text.as_bytes()[0] {
        b'"' => quoted(&serde_json::from_str::<String>(text).map_err(D::Error::custom)?),
        b'n' => return Ok(None),
        b'-' | b'0'..=b'9' => {
            let number: f64 = serde_json::from_str(text).map_err(D::Error::custom)?;
            // Without a fraction it is an integer, however it is written.
            if number.fract() != 0.0 || number.abs() > MAX_ID {
                return Err(D::Error::custom("an id is a text or an integer below 2^53"));
            }
            #[allow(clippy::cast_possible_truncation)]
            let integer = number as i64;
            integer.to_string()
        }
        _ => return Err(D::Error::custom("an id is a text or an integer")),
    };
    if plain == text {
        return Ok(Some(Cow::Borrowed(raw)));
    }
    RawValue::from_string(plain).map(|plain| Some(Cow::Owned(plain))).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use crate::message::Message;

    #[test]
    fn an_id_has_one_form() {
        let id = |id: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            Message::read(&text).ok().map(|message| message.request_id().unwrap_or("none").to_owned())
        };
        for (written, read) in [
            ("7", "7"),
            ("-7.0", "-7"),
            ("70e-1", "7"),
            ("-0", "0"),
            ("9007199254740991", "9007199254740991"),
            ("null", "none"),
            (r#""a""#, r#""a""#),
            (r#""\u0061\/\u00e9""#, "\"a/\u{e9}\""),
            (r#""1.0""#, r#""1.0""#),
        ] {
            assert_eq!(id(written).as_deref(), Some(read), "{written}");
        }
        for written in ["1.5", "9007199254740992", "1e300", "1e999", r#""\ud800""#, "true", "[1]", "{}"] {
            assert_eq!(id(written), None, "{written}");
        }
    }
}
