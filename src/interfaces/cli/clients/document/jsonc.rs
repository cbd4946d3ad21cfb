//! JSON as editors write it, with comments and commas at the end, and where in the text each value stands.

use super::{MAX_DEPTH, Member, Node, Value};

/// Reads a document.
pub fn parse(text: &str) -> Result<Node, String> {
    let mut reader = Reader { text, at: 0 };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    let node = reader.value(0)?;
    reader.blank()?;
    if reader.at < text.len() { Err(reader.unexpected("nothing more")) } else { Ok(node) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn unexpected(&self, expected: &str) -> String {
        let line = self.text.get(..self.at).unwrap_or(self.text).matches('\n').count() + 1;
        format!("line {line} is not what JSON has there: expected {expected}")
    }

    /// Skips white space and comments.
    fn blank(&mut self) -> Result<(), String> {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if let Some(comment) = trimmed.strip_prefix("/*") {
                let end = comment.find("*/").ok_or_else(|| self.unexpected("the end of a comment"))?;
                self.at += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(self.unexpected("fewer levels"));
        }
        self.blank()?;
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => Value::Object(self.list(b'}', |reader| {
                let start = reader.at;
                let name = reader.string()?;
                let key = start..reader.at;
                reader.blank()?;
                reader.take(b':')?;
                Ok(Member { name, key, value: reader.value(depth + 1)? })
            })?),
            Some(b'[') => {
                let items = self.list(b']', |reader| reader.value(depth + 1))?;
                Value::Array { items, is_block: false }
            }
            Some(b'"') => Value::Text(self.string()?),
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
                let scalar: Result<serde_json::Value, _> = serde_json::from_str(&rest[..end]);
                scalar.map_err(|_| self.unexpected("a value"))?;
                self.at += end;
                Value::Other
            }
        };
        Ok(Node { span: start..self.at, value })
    }

    fn list<T>(&mut self, end: u8, item: impl Fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blank()?;
            if self.peek() == Some(end) {
                self.at += 1;
                return Ok(items);
            }
            items.push(item(self)?);
            self.blank()?;
            if self.peek() != Some(end) {
                self.take(b',')?;
            }
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(&format!("`{}`", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        let mut rest = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<String>();
        let read = rest.next().and_then(Result::ok).ok_or_else(|| self.unexpected("a text in quotes"))?;
        self.at += rest.byte_offset();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn what_editors_write_is_read_and_what_is_no_json_is_not() {
        let text = "\u{feff}// servers\n{ \"a\": [1, /* two */ \"b\\\"{\",], \"c\": {\"d\": null,}, }\n// end";
        let node = parse(text).unwrap();
        let inner = node.get("c").unwrap();
        assert_eq!(&text[inner.span.clone()], "{\"d\": null,}");
        let items = node.get("a").unwrap().items().unwrap();
        assert_eq!((items.len(), items[1].text().unwrap()), (2, "b\"{"));
        for text in ["", "{", "{\"a\" 1}", "{a: 1}", "[1 2]", "{} {}", "/* ", "[tru]", "{\"a\": \"b}"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    fn texts() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
        vec((any::<String>(), vec(any::<String>(), 0..6)), 0..6)
    }

    proptest::proptest! {
        #[test]
        fn every_json_text_is_read(texts in texts()) {
            let json: serde_json::Map<_, _> = texts.into_iter().map(|(name, items)| (name, items.into())).collect();
            let text = serde_json::to_string_pretty(&json).unwrap();
            let node = parse(&text).unwrap();
            for member in node.members() {
                let read = |span: &std::ops::Range<usize>| serde_json::from_str::<serde_json::Value>(&text[span.clone()]).unwrap();
                proptest::prop_assert_eq!(&read(&member.value.span), &json[&member.name]);
                proptest::prop_assert_eq!(read(&member.key), member.name.as_str());
            }
        }
    }
}
