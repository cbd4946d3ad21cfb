//! An HTTP/1.1 client on a plain socket: it sends what a test says, be it no HTTP at all.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{lock, text};

/// A server that does not answer at all fails the test instead of hanging it.
const GIVE_UP: Duration = Duration::from_secs(120);
/// Connections that lay idle are not trusted: the server may be about to close them.
const IDLE: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The bytes of a binary body.
    #[track_caller]
    pub fn bytes(&self) -> Vec<u8> {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/octet-stream")), "{self:?}");
        self.text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {} {:?}", self.status, self.text))
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "refused with {}: {}", self.status, self.text);
        self.json()
    }

    /// The body of a refusal with this status and code, in the shape that every refusal has.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let mut body = self.json();
        // Where JSON-RPC is spoken it is in an error of that.
        if body["jsonrpc"] == "2.0" {
            assert!(!text(&body["error"], "message").is_empty(), "{body}");
            body = body["error"]["data"].take();
        }
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{body}");
        assert!(!text(&body, "error").is_empty() && !text(&body, "request_id").is_empty(), "{body}");
        body
    }

    /// A refusal that names this field.
    #[track_caller]
    pub fn refused_field(&self, status: u16, code: &str, field: &str) {
        let body = self.refused(status, code);
        assert_eq!(body["field"], field, "{body}");
    }
}

/// A client with or without a key. Calls of one client follow one another.
pub struct Client {
    address: SocketAddr,
    pub key: Option<String>,
    connection: Mutex<Option<(BufReader<TcpStream>, Instant)>>,
}

impl Client {
    pub fn new(address: SocketAddr, key: Option<String>) -> Self {
        Self { address, key, connection: Mutex::new(None) }
    }

    /// The same client on another connection.
    pub fn again(&self) -> Self {
        Self::new(self.address, self.key.clone())
    }

    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap()
    }

    /// Sends a request; an error is a connection that broke.
    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", self.address, body.len());
        if let Some(key) = &self.key {
            let _ = write!(head, "Authorization: Bearer {key}\r\n");
        }
        if !body.is_empty() && headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("content-type")) {
            head.push_str("Content-Type: application/json\r\n");
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head.push_str(body);
        let mut kept = lock(&self.connection);
        let mut stream = match kept.take() {
            Some((stream, used)) if used.elapsed() < IDLE => stream,
            _ => BufReader::new(connect(self.address)?),
        };
        stream.get_mut().write_all(head.as_bytes())?;
        let answer = read_answer(&mut stream)?;
        if answer.header("connection") != Some("close") {
            *kept = Some((stream, Instant::now()));
        }
        Ok(answer)
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "")
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], &body.to_string())
    }

    /// A body as it is written, JSON or not.
    #[track_caller]
    pub fn post_text(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[], body)
    }

    /// A plain `tools/call`, with its arguments as they are written.
    #[track_caller]
    pub fn tool_text(&self, name: &str, arguments: &str) -> Answer {
        let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, json!(name));
        self.post_text("/mcp", &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#))
    }

    /// The result of a plain `tools/call`.
    #[track_caller]
    pub fn tool(&self, name: &str, arguments: &Value) -> Value {
        self.tool_text(name, &arguments.to_string()).ok()["result"].clone()
    }

    /// A session, by its id.
    #[track_caller]
    pub fn session(&self, fields: &Value) -> String {
        let mut body = json!({"agent_id": "tester"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        text(&self.post("/v1/sessions", &body).ok(), "session_id")
    }

    /// A client with a new key, with these fields.
    #[track_caller]
    pub fn mint(&self, fields: &Value) -> Self {
        let made = self.post("/v1/keys", fields).ok();
        Self::new(self.address, Some(text(&made, "key")))
    }

    #[track_caller]
    pub fn pay(&self, session: &str, amount: &str) -> Answer {
        self.post_text("/v1/payments/authorize", &format!(r#"{{"session_id":"{session}","amount":{amount}}}"#))
    }

    #[track_caller]
    pub fn log(&self, session: &str, action: &str) -> Answer {
        self.post("/v1/audit", &json!({"session_id": session, "action": action, "tool": "t"}))
    }

    /// The head of the log: it moves with every entry.
    #[track_caller]
    pub fn tree_head(&self) -> Value {
        let mut head = self.get("/v1/audit/tree-head").ok();
        // It is signed anew each second.
        head["signed_at"].take();
        head["signature"].take();
        head
    }

    #[track_caller]
    pub fn log_size(&self) -> i64 {
        super::integer(&self.tree_head(), "tree_size")
    }

    /// The whole log is verified; answers how many entries it has.
    #[track_caller]
    pub fn verified(&self) -> i64 {
        let report = self.get("/v1/audit/verify").ok();
        assert_eq!(report["verified"], true, "{report}");
        super::integer(&report, "entries_checked")
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(GIVE_UP))?;
    stream.set_write_timeout(Some(GIVE_UP))?;
    Ok(stream)
}

/// Sends these bytes on a connection of their own, and reads one answer.
pub fn raw_exchange(address: SocketAddr, bytes: &[u8]) -> io::Result<Answer> {
    let mut stream = connect(address)?;
    stream.write_all(bytes)?;
    read_answer(&mut BufReader::new(stream))
}

/// Reads one answer.
pub fn read_answer(stream: &mut impl BufRead) -> io::Result<Answer> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::UnexpectedEof, what.to_owned());
    let status = line(stream)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| broken("no status"))?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, text: String::new() };
    let mut body = Vec::new();
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let length = usize::from_str_radix(&line(stream)?, 16).map_err(|_| broken("no chunk length"))?;
            let mut chunk = vec![0; length + 2];
            stream.read_exact(&mut chunk)?;
            body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                break;
            }
        }
    } else {
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        stream.take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(broken("the body broke off"));
        }
    }
    let is_binary = answer.header("content-type") == Some("application/octet-stream");
    answer.text = match String::from_utf8(body) {
        Ok(text) if !is_binary => text,
        Ok(text) => text.bytes().map(char::from).collect(),
        // One character for each byte.
        Err(error) if is_binary => error.into_bytes().into_iter().map(char::from).collect(),
        Err(_) => return Err(broken("the body is no UTF-8")),
    };
    Ok(answer)
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
    }
    Ok(line.trim_end().to_owned())
}
