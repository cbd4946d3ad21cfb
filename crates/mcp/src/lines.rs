//! Lines of bounded length.

mod id;

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use self::id::IdFinder;

/// What some programs write before their text, as Windows has it. It is no part of JSON, and none of a message
/// (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads lines of at most so many bytes.
pub struct LineReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    max: usize,
    /// Whether a line that is too long is read to its end.
    skips: bool,
    /// Of a line that is too long: what is looked for in it.
    too_long: Option<IdFinder>,
    /// Whether it was told, so that the next one begins.
    told: bool,
}

/// What was read.
pub enum Line<'a> {
    /// A line, without its end.
    Complete(&'a [u8]),
    /// A line that was longer. It was skipped, or is left where it was if its end is not waited for. The id of the message
    /// that it was, as it was written, if it was read to its end and has one.
    TooLong(Option<String>),
    /// Nothing more will come.
    End,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads `input`.
    pub fn new(input: R, max: usize) -> Self {
        Self { input: BufReader::new(input), line: Vec::new(), max, skips: true, too_long: None, told: false }
    }

    /// Reports a line as too long as soon as it is, for readers that stop there: it may have no end.
    #[must_use]
    pub fn without_skipping(self) -> Self {
        Self { skips: false, ..self }
    }

    /// The next line. One that was read in part is kept if this is given up, and goes on the next time.
    pub async fn next(&mut self) -> io::Result<Line<'_>> {
        if std::mem::take(&mut self.told) {
            self.line.clear();
            self.too_long = None;
        }
        loop {
            let available = self.input.fill_buf().await?;
            if available.is_empty() {
                self.told = true;
                let nothing = self.line.is_empty() || self.too_long.is_some();
                return Ok(if nothing { Line::End } else { complete(&self.line) });
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let (part, used) = match end {
                Some(end) => (&available[..end], end + 1),
                None => (available, available.len()),
            };
            if let Some(finder) = &mut self.too_long {
                finder.feed(part);
            } else if self.line.len() + part.len() > self.max {
                let mut finder = IdFinder::default();
                finder.feed(&self.line);
                finder.feed(part);
                self.too_long = Some(finder);
            } else {
                self.line.extend_from_slice(part);
            }
            self.input.consume(used);
            if end.is_some() || (self.too_long.is_some() && !self.skips) {
                self.told = true;
                return Ok(match &self.too_long {
                    Some(finder) => Line::TooLong(finder.id()),
                    None => complete(&self.line),
                });
            }
        }
    }
}

fn complete(line: &[u8]) -> Line<'_> {
    Line::Complete(line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line))
}

/// Whether a line may be a message of JSON-RPC, or a batch of them, as far as a look at its beginning tells. What else stands
/// on a server's standard output is noise: `[info] ready`.
pub fn may_be_message(line: &str) -> bool {
    let mut bytes = line.bytes().filter(|byte| !byte.is_ascii_whitespace());
    match (bytes.next(), bytes.next()) {
        (Some(b'{'), next) => next == Some(b'"'),
        (Some(b'['), next) => next == Some(b'{'),
        _ => false,
    }
}

/// The error for a client whose message has more than this many bytes.
pub fn too_long(most: usize) -> String {
    format!("a message has at most {most} bytes; the operator can raise that with HALDIR_MAX_MESSAGE")
}

/// The id of a message, as it is written, also if nothing else of it can be read.
pub fn id_in(message: &[u8]) -> Option<String> {
    let mut finder = IdFinder::default();
    finder.feed(message);
    finder.id()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_line_is_whole_also_if_its_reading_was_given_up_in_the_middle() {
        let (mut writer, reader) = tokio::io::duplex(1_024);
        let mut lines = LineReader::new(reader, 8);
        writer.write_all(b"ab").await.unwrap();
        assert!(tokio::time::timeout(std::time::Duration::from_millis(10), lines.next()).await.is_err());
        writer.write_all(b"cd\nmore than eight\nnext\n").await.unwrap();
        assert!(matches!(lines.next().await.unwrap(), Line::Complete(b"abcd")));
        assert!(matches!(lines.next().await.unwrap(), Line::TooLong(None)));
        assert!(matches!(lines.next().await.unwrap(), Line::Complete(b"next")));
        writer.write_all(b"{\"a\":[1,2],\"id\":7}\n").await.unwrap();
        assert!(matches!(lines.next().await.unwrap(), Line::TooLong(Some(id)) if id == "7"));
    }

    #[tokio::test]
    async fn a_byte_order_mark_before_a_line_is_no_part_of_it() {
        let mut lines = LineReader::new("\u{feff}{}\n\u{feff}\n{\u{feff}}".as_bytes(), 64);
        assert!(matches!(lines.next().await.unwrap(), Line::Complete(b"{}")));
        assert!(matches!(lines.next().await.unwrap(), Line::Complete(b"")));
        assert!(matches!(lines.next().await.unwrap(), Line::Complete(line) if line == "{\u{feff}}".as_bytes()));
    }

    #[test]
    fn noise_is_told_from_messages_by_its_beginning() {
        for message in ["{\"jsonrpc\":\"2.0\"}", " [ {\"jsonrpc\":\"2.0\"}]", "{ \"id\" : 1", "{\"\u{feff}"] {
            assert!(may_be_message(message), "{message}");
        }
        for noise in ["[info] ready", "listening on 80", "{ name: 'x' }", "{", "[]", "", "\"text\"", "7"] {
            assert!(!may_be_message(noise), "{noise}");
        }
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_too_long_as_soon_as_it_is() {
        let (mut writer, reader) = tokio::io::duplex(1_024);
        let mut lines = LineReader::new(reader, 8).without_skipping();
        writer.write_all(b"more than eight").await.unwrap();
        assert!(matches!(lines.next().await.unwrap(), Line::TooLong(_)));
    }
}
