//! JSON laid out for people.

use zeroize::Zeroizing;

/// Indents JSON text by two spaces a level. It works on the text, not on parsed values: every number stays as
/// written, and every field in its place.
pub fn indented(json: &str) -> Zeroizing<String> {
    // Reserved in full, since growing would leave a copy of what may be a secret behind.
    let mut out = Zeroizing::new(String::with_capacity(json.len().saturating_mul(4)));
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    while let Some(c) = characters.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = characters.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn numbers_and_text_stay_as_written() {
        let text = r#"{"a":[1.10,9223372036.854775807],"b":{},"c":"x,{\"y\\","d":[]}"#;
        let expected = "{\n  \"a\": [\n    1.10,\n    9223372036.854775807\n  ],\n  \"b\": {},\n  \"c\": \"x,{\\\"y\\\\\",\n  \
                        \"d\": []\n}";
        assert_eq!(*indented(text), expected);
        assert_eq!(*indented(expected), expected);
    }

    fn texts() -> impl Strategy<Value = Vec<Vec<String>>> {
        vec(vec(any::<String>(), 0..6), 0..6)
    }

    proptest::proptest! {
        #[test]
        fn any_document_means_the_same_afterwards(texts in texts()) {
            let json = serde_json::json!({"a": texts, "b": {"c": texts}});
            let read: serde_json::Value = serde_json::from_str(&indented(&json.to_string())).unwrap();
            proptest::prop_assert_eq!(read, json);
        }
    }
}
