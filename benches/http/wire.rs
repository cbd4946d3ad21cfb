//! HTTP/1.1 as far as a load generator needs it: a request as bytes, and an
//! answer read by its `content-length`.
//!
//! Every cycle that the generator spends is a cycle that the server under test
//! does not get on the same machine, so nothing here allocates per answer.

use std::{
    cmp::Ordering,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The largest answer that is read; a longer one is an error, not a benchmark.
const LARGEST_ANSWER: usize = 1 << 20;

/// What every request of a measurement has in common.
pub struct Caller<'a> {
    pub address: SocketAddr,
    pub key: Option<&'a str>,
}

impl Caller<'_> {
    /// One request, ready to be written to a socket any number of times.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if let Some(key) = self.key {
            head.push_str("authorization: Bearer ");
            head.push_str(key);
            head.push_str("\r\n");
        }
        head.push_str("accept: application/json, text/event-stream\r\n");
        if !body.is_empty() {
            head.push_str("content-type: application/json\r\n");
            head.push_str("content-length: ");
            head.push_str(&body.len().to_string());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        head.push_str(body);
        head.into_bytes()
    }

    /// One exchange on a connection of its own, for what is set up before the
    /// measurements.
    pub fn call(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let patience = Duration::from_secs(10);
        let mut stream = TcpStream::connect_timeout(&self.address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(&self.request(method, path, body))?;
        let mut inbox = Inbox::default();
        loop {
            let read = stream.read(inbox.space())?;
            if inbox.completes(read)? {
                let answer = inbox.take();
                let text = String::from_utf8_lossy(answer.body).into_owned();
                return Ok((answer.status, text));
            }
        }
    }
}

/// One answer, borrowed from the [`Inbox`] that received it.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// The receive buffer of one connection. With one outstanding request there is
/// never more than one answer in it.
pub struct Inbox {
    bytes: Vec<u8>,
    used: usize,
    head: Option<Head>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { bytes: vec![0; 16 * 1024], used: 0, head: None }
    }
}

impl Inbox {
    /// Where the next read goes.
    pub fn space(&mut self) -> &mut [u8] {
        if self.used == self.bytes.len() {
            self.bytes.resize(self.used * 2, 0);
        }
        &mut self.bytes[self.used..]
    }

    /// Takes note of `read` further bytes, and says whether the answer is
    /// complete now.
    pub fn completes(&mut self, read: usize) -> io::Result<bool> {
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.used += read;
        if self.head.is_none() {
            self.head = Head::parse(&self.bytes[..self.used])?;
        }
        match self.head.map(|head| self.used.cmp(&(head.length + head.body_length))) {
            Some(Ordering::Equal) => Ok(true),
            Some(Ordering::Greater) => Err(invalid("more bytes than the content-length says")),
            Some(Ordering::Less) | None => self.within_limit().map(|()| false),
        }
    }

    /// The complete answer; the next read starts a new one.
    pub fn take(&mut self) -> Answer<'_> {
        let head = self.head.take();
        let used = std::mem::take(&mut self.used);
        Answer {
            status: head.map_or(0, |head| head.status),
            body: &self.bytes[head.map_or(used, |head| head.length)..used],
        }
    }

    fn within_limit(&self) -> io::Result<()> {
        if self.used >= LARGEST_ANSWER {
            return Err(invalid("an answer of more than 1 MiB"));
        }
        Ok(())
    }
}

/// The part of an answer's head that says where the body ends.
#[derive(Clone, Copy)]
struct Head {
    status: u16,
    length: usize,
    body_length: usize,
}

impl Head {
    /// `None` while the head is not complete.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        const FIELD: &[u8] = b"content-length:";
        let mut status = None;
        let mut body_length = None;
        let mut at = 0;
        while let Some(line_length) = bytes[at..].iter().position(|byte| *byte == b'\n') {
            let line = bytes[at..at + line_length].trim_ascii_end();
            at += line_length + 1;
            if line.is_empty() {
                return Ok(Some(Self {
                    status: status.ok_or_else(|| invalid("no status line"))?,
                    length: at,
                    body_length: body_length.ok_or_else(|| invalid("no content-length"))?,
                }));
            }
            if status.is_none() {
                let code = line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
                let code = code.and_then(number).and_then(|code| u16::try_from(code).ok());
                status = Some(code.ok_or_else(|| invalid("not an HTTP/1.1 status line"))?);
            } else if let Some((name, value)) = line.split_at_checked(FIELD.len())
                && name.eq_ignore_ascii_case(FIELD)
            {
                let value = number(value.trim_ascii()).filter(|value| *value <= LARGEST_ANSWER);
                body_length = Some(value.ok_or_else(|| invalid("an unusable content-length"))?);
            }
        }
        Ok(None)
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
