//! Secrets on their way back: every occurrence of a value that left is replaced, in whatever form an answer repeats it.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, value::RawValue};
use zeroize::Zeroizing;

use super::secret::Sent;
use crate::{approvals::asked::canonical_document, watch::canonical::hex};

/// What RFC 3986 leaves as it is.
const UNRESERVED_STAYS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Letters that a form of a value must have at least: what base64 makes of a part of a very short value is anywhere.
const MIN_ENCODED_CHARS: usize = 6;

/// What stands for values until all are found: letters that mean nothing (private use).
const FIRST_PLACE: u32 = 0xF_0000;
/// There are more of these than a few values can hold.
const LAST_PLACE: u32 = 0x10_FFFD;

/// One form of one value.
struct Form {
    text: Zeroizing<String>,
    /// What stands for the value.
    place: char,
    /// Whether upper and lower case are one, as in hexadecimal.
    any_case: bool,
}

/// The answer without the values. One that holds none of them is given back as it was written.
pub fn redact(answer: Box<RawValue>, sent: &[Sent]) -> Box<RawValue> {
    if sent.is_empty() {
        return answer;
    }
    let Some(forms) = all_forms(sent) else { return nothing() };
    let Ok(mut value) = serde_json::from_str::<Value>(answer.get()) else { return nothing() };
    let mut changed = false;
    clean(&mut value, &forms, &mut changed);
    if let Some(parts) = value.get_mut("content").and_then(Value::as_array_mut) {
        across(parts, &forms, &mut changed);
    }
    // A member that stands there twice was read once only: what was not looked at is not given back.
    if !changed && canonical_document(answer.get()).is_ok() {
        return answer;
    }
    let text = Zeroizing::new(value.to_string());
    // What was parsed can be written, and the marks need no escape.
    RawValue::from_string(marked(&text, sent)).unwrap_or_default()
}

/// The text without the values.
pub fn redact_text(text: &str, sent: &[Sent]) -> String {
    let mut changed = false;
    let Some(forms) = all_forms(sent) else { return "[redacted]".to_owned() };
    marked(&replaced(text, &forms, &mut changed), sent)
}

/// What stands for each value: letters that occur in none of them.
fn places(sent: &[Sent]) -> Vec<char> {
    let is_free = |place: &char| sent.iter().all(|sent| !sent.value.expose().contains(*place));
    (FIRST_PLACE..=LAST_PLACE).filter_map(char::from_u32).filter(is_free).take(sent.len()).collect()
}

/// The text with a mark for people in every place.
fn marked(text: &str, sent: &[Sent]) -> String {
    let mut text = text.to_owned();
    for (place, sent) in places(sent).into_iter().zip(sent) {
        text = text.replace(place, &format!("[redacted: {}]", sent.name));
    }
    text
}

/// What is answered where values cannot be told apart.
fn nothing() -> Box<RawValue> {
    let text = serde_json::json!({"content": [{"type": "text", "text": "[redacted]"}], "isError": true});
    serde_json::value::to_raw_value(&text).unwrap_or_default()
}

/// Every form of every value; `None` if there are not places enough.
fn all_forms(sent: &[Sent]) -> Option<Vec<Form>> {
    let places = places(sent);
    if places.len() < sent.len() {
        return None;
    }
    let mut all: Vec<Form> = places.into_iter().zip(sent).flat_map(|(place, sent)| forms(sent, place)).collect();
    // The longest first, so that no part of a longer form is left behind.
    all.sort_by_key(|form| std::cmp::Reverse(form.text.len()));
    Some(all)
}

fn forms(sent: &Sent, place: char) -> Vec<Form> {
    let value = sent.value.expose();
    let mut forms: Vec<Form> = Vec::new();
    let mut add = |text: String, any_case: bool, least: usize| {
        if text.chars().count() >= least && forms.iter().all(|form| *form.text != text) {
            forms.push(Form { text: Zeroizing::new(text), place, any_case });
        }
    };
    add(value.to_owned(), false, 1);
    // JSON within a string, once and twice.
    let mut quoted = value.to_owned();
    for _ in 0..2 {
        let text = Value::from(quoted.as_str()).to_string();
        text[1..text.len() - 1].clone_into(&mut quoted);
        add(quoted.clone(), false, 1);
        add(quoted.replace('/', "\\/"), false, 1);
    }
    add(utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(), true, 1);
    add(value.replace(' ', "+"), false, 1);
    let component = utf8_percent_encode(value, UNRESERVED_STAYS).to_string();
    add(component.replace("%20", "+"), true, 1);
    add(component, true, 1);
    add(hex(value.as_bytes()), true, MIN_ENCODED_CHARS);
    add(value.chars().rev().collect(), false, MIN_ENCODED_CHARS);
    for shift in 0..3 {
        // What base64 makes of it at any place in a longer text: the letters that depend on nothing around it.
        let mut bytes = Zeroizing::new(vec![0; shift]);
        bytes.extend_from_slice(value.as_bytes());
        let whole = bytes.len() / 3 * 4;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&*bytes);
            let from = [0, 2, 3][shift];
            if from < whole.min(encoded.len()) {
                add(encoded[from..whole.min(encoded.len())].to_owned(), false, MIN_ENCODED_CHARS);
            }
            if shift == 0 {
                add(encoded, false, MIN_ENCODED_CHARS);
            }
        }
    }
    forms
}

fn clean(value: &mut Value, forms: &[Form], changed: &mut bool) {
    match value {
        Value::String(text) => {
            let mut hit = false;
            let clean = replaced(text, forms, &mut hit);
            if hit {
                (*text, *changed) = (clean, true);
            }
        }
        Value::Number(number) => {
            let text = number.to_string();
            if let Some(form) = forms.iter().find(|form| text.contains(form.text.as_str())) {
                (*value, *changed) = (Value::from(form.place.to_string()), true);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clean(item, forms, changed)),
        Value::Object(members) => {
            for (name, mut member) in std::mem::take(members) {
                clean(&mut member, forms, changed);
                members.insert(replaced(&name, forms, changed), member);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn replaced(text: &str, forms: &[Form], changed: &mut bool) -> String {
    let mut text = text.to_owned();
    for form in forms {
        if form.any_case {
            while let Some(at) = text.to_ascii_lowercase().find(&form.text.to_ascii_lowercase()) {
                text.replace_range(at..at + form.text.len(), form.place.encode_utf8(&mut [0; 4]));
                *changed = true;
            }
        } else if text.contains(form.text.as_str()) {
            text = text.replace(form.text.as_str(), form.place.encode_utf8(&mut [0; 4]));
            *changed = true;
        }
    }
    text
}

/// A value that is split over the texts of several parts: what of it lies in each is cut out.
fn across(parts: &mut [Value], forms: &[Form], changed: &mut bool) {
    let texts = |parts: &[Value]| -> Vec<(usize, String)> {
        let text = |(index, part): (usize, &Value)| Some((index, part.get("text")?.as_str()?.to_owned()));
        parts.iter().enumerate().filter_map(text).collect()
    };
    for form in forms {
        loop {
            let pieces = texts(parts);
            let whole: String = pieces.iter().map(|(_, text)| text.as_str()).collect();
            let Some(at) = whole.find(form.text.as_str()) else { break };
            let (begin, end) = (at, at + form.text.len());
            let mut from = 0;
            for (nth, (index, text)) in pieces.iter().enumerate() {
                let until = from + text.len();
                let (cut_from, cut_until) = (begin.clamp(from, until) - from, end.clamp(from, until) - from);
                if cut_from < cut_until {
                    let first = begin >= from && (nth == 0 || begin < until);
                    let mark = if first { form.place.to_string() } else { String::new() };
                    let clean = format!("{}{mark}{}", &text[..cut_from], &text[cut_until..]);
                    parts[*index]["text"] = Value::from(clean);
                    *changed = true;
                }
                from = until;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::SecretName, vault::sealing::Plaintext};

    fn sent(value: &str) -> Vec<Sent> {
        let value: Plaintext = serde_json::from_value(Value::from(value)).unwrap();
        vec![Sent { name: SecretName::parse("key").unwrap(), value }]
    }

    fn redacted(answer: &Value, value: &str) -> String {
        redact(serde_json::value::to_raw_value(answer).unwrap(), &sent(value)).get().to_owned()
    }

    const VALUE: &str = "s3cr\"et/pass word+\u{e9}";

    #[test]
    fn every_form_of_a_value_is_replaced() {
        let inner = serde_json::json!({"v": VALUE}).to_string();
        let padded = format!("user:{VALUE}");
        for text in [
            VALUE.to_owned(),
            format!("it is {VALUE}, twice {VALUE}"),
            inner.clone(),
            serde_json::json!({"inner": inner}).to_string(),
            inner.replace('/', "\\/"),
            utf8_percent_encode(VALUE, NON_ALPHANUMERIC).to_string().to_lowercase(),
            STANDARD_NO_PAD.encode(VALUE),
            URL_SAFE_NO_PAD.encode(VALUE),
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(&padded)),
            STANDARD_NO_PAD.encode(format!("ab{VALUE}z")),
            hex(VALUE.as_bytes()).to_uppercase(),
        ] {
            let found = redacted(&serde_json::json!({"content": [{"type": "text", "text": text}]}), VALUE);
            assert!(found.contains("[redacted: key]"), "{text} became {found}");
            assert!(!found.contains("s3cr") && !found.contains("pass"), "{found}");
        }
        assert!(redacted(&serde_json::json!({VALUE: 1, "n": [VALUE]}), VALUE).matches("redacted").count() == 2);
        assert!(redacted(&serde_json::json!({"n": 123_456}), "123456").contains("redacted"));
    }

    #[test]
    fn a_value_that_is_split_over_parts_is_cut_out_of_all() {
        let parts = |pieces: &[&str]| {
            let parts: Vec<_> = pieces.iter().map(|text| serde_json::json!({"type": "text", "text": text})).collect();
            redacted(&serde_json::json!({"content": parts}), "topsecretvalue")
        };
        let found = parts(&["a topse", "cret", "value b", "x"]);
        assert_eq!(found.matches("redacted").count(), 1, "{found}");
        assert!(!found.contains("topse") && !found.contains("cret\"") && !found.contains("value"), "{found}");
        assert!(found.contains("\" b\"") && found.contains("a [redacted"), "{found}");
    }

    #[test]
    fn a_value_that_stands_in_its_own_mark_is_replaced_once() {
        for value in ["r", "key", "redacted", "\u{f0000}"] {
            let found = redacted(&serde_json::json!({"content": [{"type": "text", "text": value}]}), value);
            assert!(found.contains("[redacted: key]"), "{found}");
        }
    }

    #[test]
    fn a_member_that_hides_another_hides_no_value() {
        let raw = RawValue::from_string(r#"{"a":"topsecret","a":"x"}"#.to_owned()).unwrap();
        assert!(!redact(raw, &sent("topsecret")).get().contains("topsecret"));
    }

    #[test]
    fn an_answer_without_them_stays_as_it_was_written() {
        let answer = r#"{"b":1.10, "a":[]}"#;
        let raw = RawValue::from_string(answer.to_owned()).unwrap();
        assert_eq!(redact(raw, &sent("xyz")).get(), answer);
    }
}
