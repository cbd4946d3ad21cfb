//! HTTP/1.1 as far as a load generator needs it: a request as bytes, and an
//! answer read by its `content-length` or up to its last chunk.
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

/// The end of an answer in chunks.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What every request of a measurement has in common.
pub struct Caller<'a> {
    pub address: SocketAddr,
    pub key: Option<&'a str>,
    /// The MCP session that the request is part of.
    pub session: Option<&'a str>,
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
        if let Some(session) = self.session {
            head.push_str("mcp-protocol-version: 2025-06-18\r\nmcp-session-id: ");
            head.push_str(session);
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
        let (status, _, body) = self.exchange(method, path, body)?;
        Ok((status, body))
    }

    /// The same for a handshake, whose answer may begin a session.
    pub fn begin(&self, path: &str, body: &str) -> io::Result<(u16, Option<String>, String)> {
        self.exchange("POST", path, body)
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, Option<String>, String)> {
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
                return Ok((answer.status, answer.session(), text));
            }
        }
    }
}

/// One answer, borrowed from the [`Inbox`] that received it.
pub struct Answer<'a> {
    pub status: u16,
    /// As it came: one in chunks still has their lengths in it.
    pub body: &'a [u8],
    head: &'a [u8],
}

impl Answer<'_> {
    fn session(&self) -> Option<String> {
        let mut lines = self.head.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        let value = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("mcp-session-id").then_some(value)
        })?;
        Some(value.trim().to_owned())
    }
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
        let length = self.head.map(|head| match head.body {
            Body::Of(length) => head.length + length,
            Body::Chunked if self.bytes[head.length..self.used].ends_with(LAST_CHUNK) => self.used,
            Body::Chunked => usize::MAX,
        });
        match length.map(|length| self.used.cmp(&length)) {
            Some(Ordering::Equal) => Ok(true),
            Some(Ordering::Greater) => Err(invalid("more bytes than the content-length says")),
            Some(Ordering::Less) | None => self.within_limit().map(|()| false),
        }
    }

    /// The complete answer; the next read starts a new one.
    pub fn take(&mut self) -> Answer<'_> {
        let head = self.head.take();
        let used = std::mem::take(&mut self.used);
        let (head_bytes, body) = self.bytes[..used].split_at(head.map_or(used, |head| head.length));
        Answer { status: head.map_or(0, |head| head.status), body, head: head_bytes }
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
    body: Body,
}

#[derive(Clone, Copy)]
enum Body {
    /// So many bytes.
    Of(usize),
    /// Until [`LAST_CHUNK`], which no answer here has in its midst.
    Chunked,
}

impl Head {
    /// `None` while the head is not complete.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        const LENGTH: &[u8] = b"content-length:";
        const ENCODING: &[u8] = b"transfer-encoding:";
        let mut status = None;
        let mut body = None;
        let mut at = 0;
        while let Some(line_length) = bytes[at..].iter().position(|byte| *byte == b'\n') {
            let line = bytes[at..at + line_length].trim_ascii_end();
            at += line_length + 1;
            if line.is_empty() {
                return Ok(Some(Self {
                    status: status.ok_or_else(|| invalid("no status line"))?,
                    length: at,
                    body: body.ok_or_else(|| invalid("neither content-length nor chunks"))?,
                }));
            }
            if status.is_none() {
                let code = line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
                let code = code.and_then(number).and_then(|code| u16::try_from(code).ok());
                status = Some(code.ok_or_else(|| invalid("not an HTTP/1.1 status line"))?);
            } else if let Some((name, value)) = line.split_at_checked(LENGTH.len())
                && name.eq_ignore_ascii_case(LENGTH)
            {
                let value = number(value.trim_ascii()).filter(|value| *value <= LARGEST_ANSWER);
                body = Some(Body::Of(value.ok_or_else(|| invalid("an unusable content-length"))?));
            } else if let Some((name, value)) = line.split_at_checked(ENCODING.len())
                && name.eq_ignore_ascii_case(ENCODING)
                && value.trim_ascii().eq_ignore_ascii_case(b"chunked")
            {
                body = Some(Body::Chunked);
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
