//! An event stream (WHATWG HTML, section 9.2), event by event, each with its bytes as they came.

use bytes::{Bytes, BytesMut};

use crate::message::one_line;

/// Cuts a stream into events.
#[derive(Default)]
pub struct EventReader {
    buffer: BytesMut,
    /// Where the line begins that is being looked at.
    line: usize,
    /// How far that line was looked at.
    seen: usize,
}

impl EventReader {
    /// More of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes of an event that has not ended yet.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next event, with the empty line that ends it.
    pub fn next_event(&mut self) -> Option<Bytes> {
        loop {
            let rest = &self.buffer[self.seen..];
            let Some(found) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.seen = self.buffer.len();
                return None;
            };
            let at = self.seen + found;
            let end = match (self.buffer[at], self.buffer.get(at + 1)) {
                (b'\r', Some(b'\n')) => at + 2,
                (b'\r', None) => {
                    // The other half of the line's end may be on its way.
                    self.seen = at;
                    return None;
                }
                _ => at + 1,
            };
            let is_empty = at == self.line;
            (self.line, self.seen) = (end, end);
            if is_empty {
                (self.line, self.seen) = (0, 0);
                return Some(self.buffer.split_to(end).freeze());
            }
        }
    }
}

/// The data of an event, if it has any.
pub fn data(event: &str) -> Option<String> {
    let lines = event.split(['\n', '\r']).filter_map(|line| field(line, "data"));
    let lines: Vec<_> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Whether a client could go on from this event on another stream.
pub fn has_id(event: &[u8]) -> bool {
    event.split(|byte| matches!(byte, b'\n' | b'\r')).any(|line| line.starts_with(b"id:"))
}

/// What an event says.
pub struct Event {
    /// From where a client can go on.
    pub id: Option<String>,
    /// How long it is to wait before it does, in milliseconds.
    pub retry: Option<u64>,
    /// The kind that it names.
    pub kind: Option<String>,
    /// Its data, if it has any.
    pub data: Option<String>,
}

/// The longest id of an event.
const MAX_ID_CHARS: usize = 1_024;

impl Event {
    /// Reads an event.
    pub fn read(event: &str) -> Self {
        let last = |name: &str| event.split(['\n', '\r']).filter_map(|line| field(line, name)).next_back();
        let is_id = |id: &&str| id.len() <= MAX_ID_CHARS && !id.contains('\0');
        let kind = last("event").filter(|kind| !kind.is_empty());
        Self {
            id: last("id").filter(is_id).map(str::to_owned),
            retry: last("retry").and_then(|text| text.parse().ok()),
            kind: kind.map(str::to_owned),
            data: data(event),
        }
    }

    /// Whether it carries a message: MCP names that kind `message`, or not at all.
    pub fn is_message(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "message")
    }
}

/// The event that carries a message.
pub fn message(text: &str) -> Bytes {
    Bytes::from(format!("event: message\ndata: {}\n\n", one_line(text)))
}

/// An event with these fields; `None` if there are none.
pub fn written(id: Option<&str>, retry: Option<u64>, named: bool, data: Option<&str>) -> Option<String> {
    if id.is_none() && retry.is_none() && data.is_none() {
        return None;
    }
    let mut text = String::with_capacity(data.map_or(0, str::len) + 64);
    if let Some(id) = id {
        text.extend(["id: ", id, "\n"]);
    }
    if let Some(retry) = retry {
        text.extend(["retry: ", &retry.to_string(), "\n"]);
    }
    if let Some(data) = data {
        if named {
            text.push_str("event: message\n");
        }
        text.push_str("data: ");
        text.push_str(&one_line(data));
        text.push('\n');
    }
    text.push('\n');
    Some(text)
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(':')?;
    Some(value.strip_prefix(' ').unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_where_its_events_end_however_it_arrives() {
        let stream =
            "id: 0\nretry: 3\ndata:\n\nevent: message\r\ndata: {\"a\":1}\r\n\r\n: still there\n\ndata: a\rdata:b\r\r";
        let expected = [
            "id: 0\nretry: 3\ndata:\n\n",
            "event: message\r\ndata: {\"a\":1}\r\n\r\n",
            ": still there\n\n",
            "data: a\rdata:b\r\r",
        ];
        for size in [1, 2, 3, 7, stream.len()] {
            let mut reader = EventReader::default();
            let mut events = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                reader.push(chunk);
                events.extend(std::iter::from_fn(|| reader.next_event()));
            }
            // The last line's end could have another half, so it is there once the stream goes on.
            reader.push(b"x");
            events.extend(std::iter::from_fn(|| reader.next_event()));
            assert_eq!(events, expected, "in pieces of {size}");
        }
        assert_eq!(data(expected[1]).unwrap(), "{\"a\":1}");
        assert_eq!(data(expected[3]).unwrap(), "a\nb");
        assert_eq!((data(expected[0]).unwrap().as_str(), data(expected[2])), ("", None));
        let event = Event::read("id: 7\r\nretry: 3\r\n: secret\r\nother: x\r\ndata: x\r\n\r\n");
        let again = written(event.id.as_deref(), event.retry, event.kind.is_some(), Some("y\rid: 8")).unwrap();
        assert_eq!(again, "id: 7\nretry: 3\ndata: y id: 8\n\n");
        assert!(
            !Event::read("event: other\ndata: x\n\n").is_message() && Event::read("event: message\n\n").is_message()
        );
    }
}
