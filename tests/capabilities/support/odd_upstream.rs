//! An upstream over HTTP that answers what the test says, byte for byte.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use super::lock;

/// Answers a request, by its verb and its message; one without a body is `{"after": …}`, the event to go on after.
type Say = Arc<dyn Fn(&str, &Value) -> Option<Vec<u8>> + Send + Sync>;

/// It listens until the test ends.
#[derive(Clone)]
pub struct OddUpstream {
    address: SocketAddr,
    say: Arc<Mutex<Say>>,
}

/// A whole answer.
pub fn said(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        answer.extend([name, ": ", value, "\r\n"]);
    }
    answer.push_str("\r\n");
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// An event stream, which ends.
pub fn said_events(events: &str) -> Vec<u8> {
    said(200, &[("Content-Type", "text/event-stream")], events.as_bytes())
}

/// A JSON body.
pub fn said_json(body: &str) -> Vec<u8> {
    said(200, &[("Content-Type", "application/json")], body.as_bytes())
}

impl OddUpstream {
    /// It shakes hands, and has the tool `echo`, which answers nothing.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let say: Say = Arc::new(|_, _| None);
        let this = Self { address: listener.local_addr().unwrap(), say: Arc::new(Mutex::new(say)) };
        let server = this.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || while server.answer(&stream).is_some() {});
            }
        });
        this
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// From now on it says this, where there is something; an answer without bytes hangs up.
    pub fn say(&self, say: impl Fn(&str, &Value) -> Option<Vec<u8>> + Send + Sync + 'static) {
        *lock(&self.say) = Arc::new(say);
    }

    fn answer(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let verb = line.split(' ').next()?.to_owned();
        let (mut length, mut after) = (0, Value::Null);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            } else if name.eq_ignore_ascii_case("last-event-id") {
                after = value.trim().into();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let message: Value = serde_json::from_slice(&body).unwrap_or_else(|_| json!({"after": after}));
        let say = Arc::clone(&lock(&self.say));
        let answer = say(&verb, &message).unwrap_or_else(|| usual(&verb, &message));
        stream.write_all(&answer).ok().filter(|()| !answer.is_empty())
    }
}

fn usual(verb: &str, message: &Value) -> Vec<u8> {
    let id = &message["id"];
    if verb != "POST" {
        return said(405, &[], b"");
    }
    if id.is_null() {
        return said(202, &[], b"");
    }
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
            "serverInfo": {"name": "odd", "version": "1"},
        }),
        Some("tools/list") => json!({"tools": [super::upstream::tool("echo")]}),
        Some("tools/call") => json!({"content": []}),
        _ => {
            return said_json(
                &json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}}).to_string(),
            );
        }
    };
    said_json(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string())
}
