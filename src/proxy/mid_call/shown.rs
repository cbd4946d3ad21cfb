//! Text of an upstream that a person reads: each line names the upstream, and invisible characters are made visible.

use serde_json::value::{RawValue, to_raw_value};

use crate::{model::visible::visible, protocol::json::Members};

/// Lines of a message that are told from each other.
const MAX_LINES: usize = 64;
/// How deep the schema of a form may be.
const MAX_DEPTH: usize = 16;
/// Texts of a schema that are only read.
const READ: [&str; 2] = ["title", "description"];
/// Those of them that are lists.
const READ_LIST: &str = "enumNames";

/// The parameters of a form, or of an address to visit, as they are shown; `None` if they cannot be.
pub(super) fn form(upstream: &str, params: &RawValue) -> Option<Box<RawValue>> {
    let mut members = Members::of(params)?;
    let message = members.text("message").unwrap_or_default();
    members.set("message", to_raw_value(&named(upstream, &message)).ok()?);
    if let Some(schema) = members.get("requestedSchema") {
        let schema = seen(schema, 0)?;
        members.set("requestedSchema", schema);
    }
    // An address has no such characters.
    if members.text("url").is_some_and(|url| visible(&url) != url) {
        return None;
    }
    members.written()
}

/// Every line names the upstream.
fn named(upstream: &str, text: &str) -> String {
    let lines = text.splitn(MAX_LINES, '\n');
    let lines = lines.map(|line| format!("[{upstream}] {}", visible(line.strip_suffix('\r').unwrap_or(line))));
    lines.collect::<Vec<_>>().join("\n")
}

/// A part of a schema, with what is only read made visible; `None` if there is something to be seen that cannot be made so,
/// since it would not be the same any more.
fn seen(part: &RawValue, depth: usize) -> Option<Box<RawValue>> {
    if depth > MAX_DEPTH {
        return None;
    }
    match part.get().as_bytes().first()? {
        b'{' => {
            let members = Members::of(part)?;
            let mut shown = Members::default();
            for (name, value) in members.iter() {
                if visible(name) != name {
                    return None;
                }
                let value = match serde_json::from_str::<String>(value.get()) {
                    Ok(text) if READ.contains(&name) => to_raw_value(&visible(&text)).ok()?,
                    _ if name == READ_LIST => {
                        let names: Vec<String> = serde_json::from_str(value.get()).ok()?;
                        to_raw_value(&names.iter().map(|name| visible(name)).collect::<Vec<_>>()).ok()?
                    }
                    _ => seen(value, depth + 1)?,
                };
                shown.set(name, value);
            }
            shown.written()
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(part.get()).ok()?;
            let items: Option<Vec<_>> = items.into_iter().map(|item| seen(item, depth + 1)).collect();
            to_raw_value(&items?).ok()
        }
        b'"' => {
            let text: String = serde_json::from_str(part.get()).ok()?;
            (visible(&text) == text).then(|| part.to_owned())
        }
        _ => Some(part.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown(params: &Value) -> Option<Value> {
        let shown = form("up", &to_raw_value(params).unwrap())?;
        Some(serde_json::from_str(shown.get()).unwrap())
    }

    #[test]
    fn a_person_sees_who_asks_whatever_the_upstream_writes() {
        let told = shown(&json!({"message": "\r\u{1b}[2KPay?\n\u{202e}haldir asks\r\nyou", "requestedSchema": {
            "type": "object", "properties": {
                "z": {"type": "number", "title": "a\rb", "description": "\u{1b}[2K", "maximum": 1},
                "a": {"enum": ["x"], "enumNames": ["\u{200b}"]},
                "title": {"oneOf": [{"const": "y", "title": "\u{202e}y"}]}}}}))
        .unwrap();
        assert_eq!(told["message"], "[up] \\u{d}\\u{1b}[2KPay?\n[up] \\u{202e}haldir asks\n[up] you", "{told}");
        let properties = &told["requestedSchema"]["properties"];
        assert_eq!(properties["z"]["title"], "a\\u{d}b");
        assert_eq!(properties["z"]["description"], "\\u{1b}[2K");
        assert_eq!(properties["a"]["enumNames"], json!(["\\u{200b}"]));
        assert_eq!(properties["title"]["oneOf"][0]["title"], "\\u{202e}y");
        // In the order in which the upstream wrote them.
        assert_eq!(properties.as_object().unwrap().keys().collect::<Vec<_>>(), ["z", "a", "title"]);
    }

    #[test]
    fn what_would_not_be_the_same_if_it_were_seen_is_not_asked() {
        let schema = |properties: Value| shown(&json!({"message": "m", "requestedSchema": {"properties": properties}}));
        assert!(schema(json!({"a": {"enum": ["x\u{202e}"]}})).is_none());
        assert!(schema(json!({"a\r": {}})).is_none());
        assert!(schema(json!({"a": {"enum": ["x"], "maxLength": 3}})).is_some());
        assert!(shown(&json!({"mode": "url", "message": "m", "url": "https://a.example/\u{202e}"})).is_none());
        assert!(shown(&json!(["message"])).is_none());
        let deep = format!("{}{}", r#"{"a":"#.repeat(5_000), "1".to_owned() + &"}".repeat(5_000));
        let params = RawValue::from_string(format!(r#"{{"message":"m","requestedSchema":{deep}}}"#));
        assert!(params.is_err() || form("up", &params.unwrap()).is_none());
        // Of two messages the last is the one that counts.
        let twice = RawValue::from_string(r#"{"message":"a","message":"b"}"#.to_owned()).unwrap();
        assert_eq!(form("up", &twice).unwrap().get(), r#"{"message":"[up] b"}"#);
    }
}
