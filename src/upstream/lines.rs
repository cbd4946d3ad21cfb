//! Lines of bounded length.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Reads lines of at most so many bytes.
pub struct LineReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    max: usize,
}

/// What was read.
pub enum Line<'a> {
    /// A line, without its end.
    Complete(&'a [u8]),
    /// A line that was longer; it was skipped.
    TooLong,
    /// Nothing more will come.
    End,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads `input`.
    pub fn new(input: R, max: usize) -> Self {
        Self { input: BufReader::new(input), line: Vec::new(), max }
    }

    /// The next line.
    pub async fn next(&mut self) -> io::Result<Line<'_>> {
        self.line.clear();
        let mut too_long = false;
        loop {
            let available = self.input.fill_buf().await?;
            if available.is_empty() {
                return Ok(if self.line.is_empty() || too_long { Line::End } else { Line::Complete(&self.line) });
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let (part, used) = match end {
                Some(end) => (&available[..end], end + 1),
                None => (available, available.len()),
            };
            too_long |= self.line.len() + part.len() > self.max;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            self.input.consume(used);
            if end.is_some() {
                return Ok(if too_long { Line::TooLong } else { Line::Complete(&self.line) });
            }
        }
    }
}
