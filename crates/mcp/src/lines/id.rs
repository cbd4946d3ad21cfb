//! The id of a request that is too long to be kept, so that its refusal reaches its sender.

use serde_json::value::RawValue;

/// Bytes of an id, as it is written.
const MAX_ID_BYTES: usize = 256;

/// Looks for the member `id` of an object, byte by byte, wherever it stands: some clients write it last.
#[derive(Default)]
pub(super) struct IdFinder {
    /// Objects and arrays that are open.
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    /// Whether a text would be a name of the outermost object.
    expects_name: bool,
    name: Vec<u8>,
    stage: Stage,
    id: Vec<u8>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Looking,
    /// The value is being read.
    Reading,
    Done,
}

impl IdFinder {
    /// The next bytes of the line.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.stage == Stage::Done {
                return;
            }
            self.take(*byte);
        }
    }

    /// What was found, if it is a text or a number: JSON text.
    pub(super) fn id(&self) -> Option<String> {
        let text = std::str::from_utf8(&self.id).ok().filter(|_| self.stage == Stage::Done)?;
        let is_scalar = text.starts_with(['"', '-']) || text.starts_with(|c: char| c.is_ascii_digit());
        let id: &RawValue = serde_json::from_str(text).ok().filter(|_| is_scalar)?;
        Some(id.get().to_owned())
    }

    fn take(&mut self, byte: u8) {
        if self.in_text {
            self.keep(byte);
            match (self.is_escaped, byte) {
                (true, _) => self.is_escaped = false,
                (false, b'\\') => self.is_escaped = true,
                (false, b'"') => self.in_text = false,
                (false, _) => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_text = true;
                if self.depth == 1 && self.expects_name {
                    self.name.clear();
                }
                self.keep(byte);
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.expects_name = self.depth == 1 && byte == b'{';
                if self.stage == Stage::Reading {
                    self.give_up();
                }
            }
            b'}' | b']' => {
                self.end_value();
                self.depth = self.depth.saturating_sub(1);
            }
            b',' if self.depth == 1 => {
                self.end_value();
                self.expects_name = true;
            }
            b':' if self.depth == 1 && self.expects_name => {
                self.expects_name = false;
                if self.name == b"\"id\"" {
                    self.stage = Stage::Reading;
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            byte => self.keep(byte),
        }
    }

    /// A byte of a name, or of the value.
    fn keep(&mut self, byte: u8) {
        let kept = match self.stage {
            Stage::Reading => &mut self.id,
            Stage::Looking if self.depth == 1 && self.expects_name => &mut self.name,
            Stage::Looking | Stage::Done => return,
        };
        if kept.len() < MAX_ID_BYTES {
            kept.push(byte);
        } else if self.stage == Stage::Reading {
            self.give_up();
        }
    }

    fn end_value(&mut self) {
        if self.stage == Stage::Reading && self.depth == 1 {
            self.stage = Stage::Done;
        }
    }

    fn give_up(&mut self) {
        self.id.clear();
        self.stage = Stage::Done;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<String> {
        let (mut whole, mut pieces) = (IdFinder::default(), IdFinder::default());
        whole.feed(line.as_bytes());
        line.as_bytes().chunks(3).for_each(|piece| pieces.feed(piece));
        assert_eq!(whole.id(), pieces.id(), "{line}");
        whole.id()
    }

    #[test]
    fn an_id_is_found_wherever_it_stands_and_nothing_else_is_taken_for_it() {
        for (line, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"a","params":{"id":8}}"#, Some("7")),
            (r#"{"method":"a","params":{"id":8,"x":["id",{"id":"}"}]}, "id" : "a\"b,c" }"#, Some(r#""a\"b,c""#)),
            (r#" {"params":"\"id\":9","id":-1.5e3}"#, Some("-1.5e3")),
            (r#"{"x":"id","id":null}"#, None),
            (r#"{"id":{"a":1}}"#, None),
            (r#"{"id":[7]}"#, None),
            (r#"{"id":true}"#, None),
            (r#"[{"id":7}]"#, None),
            (r#"{"id":7"#, None),
            (r#"{"ids":7,"ID":8}"#, None),
        ] {
            assert_eq!(found(line).as_deref(), id, "{line}");
        }
        assert_eq!(found(&format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_ID_BYTES))), None);
        assert_eq!(found(&format!(r#"{{"{}":1,"id":3}}"#, "x".repeat(10 * MAX_ID_BYTES))).as_deref(), Some("3"));
    }
}
