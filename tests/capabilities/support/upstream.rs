//! An MCP server in the test, over streamable HTTP: it offers what the test says, answers as the test says, and keeps
//! what it was asked. It knows only as much of the protocol as a client of tools needs.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Barrier, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::lock;

/// What the server does when a tool is called.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers with this result.
    Result(Value),
    /// Answers with the arguments as text.
    Echo,
    /// Answers after this long.
    Slow(Duration),
    /// Does not answer; it waits until its client hangs up.
    Held,
    /// Answers once the test has come to the barrier too.
    Gated(Arc<Barrier>),
    /// Answers with a JSON-RPC error.
    Error(i64),
    /// Answers with an HTTP status.
    Status(u16),
    /// Answers with an HTTP status, and a JSON-RPC error of this id.
    Refused(u16, Value),
    /// Answers with a result of this id.
    As(Value),
    /// Answers under a content encoding, unless it is asked for none.
    Compressed,
    /// Redirects there.
    Redirect(String),
    /// Answers as an event stream: notifications first.
    Events,
    /// Writes events for ever.
    Endless,
    /// Writes one event that never ends.
    EndlessEvent,
    /// Writes one JSON body that never ends, and does not say how long it is.
    EndlessBody,
    /// Begins an event stream, and hangs up.
    BreakOffEvents,
    /// Asks so many questions, and takes none of the answers.
    Questions(usize),
    /// Says that so many bytes follow, and sends them.
    Huge(usize),
    /// Begins to answer, and hangs up.
    BreakOff,
    /// Hangs up.
    HangUp,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it was written.
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

struct State {
    tools: Vec<Value>,
    behaviour: Behaviour,
    /// Whether lists of tools are refused.
    hides: bool,
    /// What the answer to `initialize` gives as the session, and the status of requests that name another one.
    session: Option<(String, u16)>,
    /// The cursor at the end of each list.
    cursor: Option<Value>,
    /// Whether it knows `server/discover` too, and names no revision with a handshake then.
    serves_both: bool,
    /// Whether nothing but this status is answered, to whatever comes.
    down: Option<u16>,
    asked: Vec<Asked>,
}

/// It listens until the test ends.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A tool that does no harm, by its annotations.
pub fn tool(name: &str) -> Value {
    described(name, &format!("does {name}"))
}

pub fn described(name: &str, description: &str) -> Value {
    json!({
        "name": name, "description": description, "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": true},
    })
}

impl Upstream {
    /// With these tools, which answer with their arguments.
    pub fn new(tools: impl IntoIterator<Item = Value>) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), tools)
    }

    pub fn at(address: SocketAddr, tools: impl IntoIterator<Item = Value>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let state = State {
            tools: tools.into_iter().collect(),
            behaviour: Behaviour::Echo,
            hides: false,
            session: None,
            cursor: None,
            serves_both: false,
            down: None,
            asked: Vec::new(),
        };
        let this = Self { address: listener.local_addr().unwrap(), state: Arc::new(Mutex::new(state)) };
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

    /// From now on it offers these.
    pub fn offer(&self, tools: impl IntoIterator<Item = Value>) {
        lock(&self.state).tools = tools.into_iter().collect();
    }

    /// From now on it lists no tools, and carries them out all the same.
    pub fn hide(&self) {
        lock(&self.state).hides = true;
    }

    /// From now on it gives this session, and answers requests that name another one with this status.
    pub fn serve_session(&self, id: &str, status: u16) {
        lock(&self.state).session = Some((id.to_owned(), status));
    }

    /// From now on its list goes on with this cursor, whatever it is asked for with.
    pub fn never_end(&self, cursor: &Value) {
        lock(&self.state).cursor = Some(cursor.clone());
    }

    /// From now on it serves clients with a handshake, and those of 2026-07-28.
    pub fn serve_both(&self) {
        lock(&self.state).serves_both = true;
    }

    /// From now on calls are answered so.
    pub fn behave(&self, behaviour: Behaviour) {
        lock(&self.state).behaviour = behaviour;
    }

    /// From now on everything is answered with this status; `None` is well again.
    pub fn fail(&self, status: Option<u16>) {
        lock(&self.state).down = status;
    }

    /// The calls of tools so far.
    pub fn calls(&self) -> Vec<Asked> {
        lock(&self.state).asked.iter().filter(|asked| asked.method == "tools/call").cloned().collect()
    }

    /// Everything that came so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }

    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let verb = line.split(' ').next()?.to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, text)| text.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let message: Value = serde_json::from_str(&body).unwrap_or_default();
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let (tools, behaviour, down, hides, session, cursor, serves_both) = {
            let mut state = lock(&self.state);
            state.asked.push(Asked { method: method.clone(), headers: headers.clone(), body });
            let State { tools, behaviour, down, hides, session, cursor, serves_both, .. } = &*state;
            (tools.clone(), behaviour.clone(), *down, *hides, session.clone(), cursor.clone(), *serves_both)
        };
        let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let id = &message["id"];
        if let Some(status) = down {
            return send(stream, status, "text/plain", "");
        }
        if verb != "POST" {
            return send(stream, 405, "text/plain", "");
        }
        if let Some((own, status)) = &session {
            match header("mcp-session-id") {
                Some(named) if named != own => {
                    let error = json!({"code": -32_600, "message": "Bad Request: what is this?"});
                    let body = json!({"jsonrpc": "2.0", "id": "server-error", "error": error}).to_string();
                    return send(stream, *status, "application/json", &body);
                }
                None if method == "initialize" => {
                    let body = json!({"jsonrpc": "2.0", "id": id, "result": welcome(&message["params"])}).to_string();
                    let head = format!("Mcp-Session-Id: {own}\r\nContent-Length: {}", body.len());
                    begin(stream, "application/json", &head)?;
                    return write!(&mut &*stream, "{body}").ok();
                }
                _ => {}
            }
        }
        if id.is_null() {
            return send(stream, 202, "text/plain", "");
        }
        if method.is_empty() && matches!(behaviour, Behaviour::Questions(_)) {
            return until_hang_up(stream);
        }
        let params = &message["params"];
        match method.as_str() {
            "initialize" => result_of(stream, id, &welcome(params)),
            "server/discover" if serves_both => {
                let result = json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"});
                result_of(stream, id, &result)
            }
            "ping" => result_of(stream, id, &json!({})),
            "tools/list" if !hides => {
                let mut result = json!({"tools": tools});
                if let Some(cursor) = cursor {
                    result["nextCursor"] = cursor;
                }
                result_of(stream, id, &result)
            }
            "tools/call" => Self::carry_out(stream, id, params, &behaviour, header("accept-encoding")),
            _ => json_of(stream, &json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "unknown"}})),
        }
    }

    fn carry_out(
        mut stream: &TcpStream,
        id: &Value,
        params: &Value,
        behaviour: &Behaviour,
        coding: Option<&str>,
    ) -> Option<()> {
        let text = |text: String| json!({"content": [{"type": "text", "text": text}]});
        match behaviour {
            Behaviour::Result(result) => result_of(stream, id, result),
            Behaviour::Echo => result_of(stream, id, &text(params["arguments"].to_string())),
            Behaviour::Slow(wait) => {
                thread::sleep(*wait);
                result_of(stream, id, &text("late".to_owned()))
            }
            Behaviour::Held => until_hang_up(stream),
            Behaviour::Gated(gate) => {
                gate.wait();
                result_of(stream, id, &text("carried out".to_owned()))
            }
            Behaviour::Error(code) => {
                json_of(stream, &json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no"}}))
            }
            Behaviour::Status(status) => send(stream, *status, "text/plain", "no"),
            Behaviour::Refused(status, id) => {
                let error = json!({"code": -32_600, "message": "no such thing"});
                let body = json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string();
                send(stream, *status, "application/json", &body)
            }
            Behaviour::As(id) => result_of(stream, id, &text("somebody else's".to_owned())),
            Behaviour::Compressed if coding == Some("identity") => result_of(stream, id, &text("plain".to_owned())),
            Behaviour::Compressed => {
                begin(stream, "application/json", "Content-Encoding: gzip\r\nContent-Length: 3")?;
                stream.write_all(&[0x1f, 0x8b, 0x08]).ok()
            }
            Behaviour::Redirect(to) => {
                write!(stream, "HTTP/1.1 307 X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").ok()
            }
            Behaviour::Events => {
                let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}});
                let answer = json!({"jsonrpc": "2.0", "id": id, "result": text("streamed".to_owned())});
                let body = format!("event: message\ndata: {note}\n\nevent: message\ndata: {answer}\n\n");
                send(stream, 200, "text/event-stream", &body)
            }
            Behaviour::Endless => {
                begin(stream, "text/event-stream", "Transfer-Encoding: chunked")?;
                let event = format!(
                    "data: {}\n\n",
                    json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x".repeat(1_000)}})
                );
                loop {
                    write!(stream, "{:x}\r\n{event}\r\n", event.len()).ok()?;
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Behaviour::EndlessEvent | Behaviour::EndlessBody => {
                let is_event = matches!(behaviour, Behaviour::EndlessEvent);
                let kind = if is_event { "text/event-stream" } else { "application/json" };
                begin(stream, kind, "Transfer-Encoding: chunked")?;
                let piece = format!("data: {}", "x".repeat(65_530));
                loop {
                    write!(stream, "{:x}\r\n{piece}\r\n", piece.len()).ok()?;
                }
            }
            Behaviour::BreakOffEvents => {
                begin(stream, "text/event-stream", "Transfer-Encoding: chunked")?;
                let event = format!(
                    "data: {}\n\n",
                    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}})
                );
                write!(stream, "{:x}\r\n{event}\r\n", event.len()).ok()?;
                stream.shutdown(std::net::Shutdown::Both).ok()?;
                None
            }
            Behaviour::Questions(count) => {
                begin(stream, "text/event-stream", "Transfer-Encoding: chunked")?;
                for id in 0..*count {
                    let asked = json!({"jsonrpc": "2.0", "id": format!("q{id}"), "method": "roots/list"});
                    let event = format!("data: {asked}\n\n");
                    write!(stream, "{:x}\r\n{event}\r\n", event.len()).ok()?;
                }
                until_hang_up(stream)
            }
            Behaviour::Huge(bytes) => {
                begin(stream, "application/json", &format!("Content-Length: {bytes}"))?;
                let piece = vec![b' '; 65_536];
                let mut left = *bytes;
                while left > 0 {
                    let next = left.min(piece.len());
                    stream.write_all(&piece[..next]).ok()?;
                    left -= next;
                }
                Some(())
            }
            Behaviour::HangUp => {
                stream.shutdown(std::net::Shutdown::Both).ok()?;
                None
            }
            Behaviour::BreakOff => {
                begin(stream, "application/json", "Content-Length: 1000")?;
                stream.write_all(b"{\"jsonrpc\":\"2.0\",").ok()?;
                stream.shutdown(std::net::Shutdown::Both).ok()?;
                None
            }
        }
    }
}

fn welcome(params: &Value) -> Value {
    json!({
        "protocolVersion": params["protocolVersion"], "capabilities": {"tools": {"listChanged": true}},
        "serverInfo": {"name": "upstream", "version": "1"},
    })
}

/// Reads until the client hangs up, and hangs up as well.
fn until_hang_up(mut stream: &TcpStream) -> Option<()> {
    let mut more = [0; 1_024];
    while stream.read(&mut more).is_ok_and(|read| read > 0) {}
    None
}

fn begin(mut stream: &TcpStream, kind: &str, more: &str) -> Option<()> {
    write!(stream, "HTTP/1.1 200 X\r\nContent-Type: {kind}\r\n{more}\r\n\r\n").ok()
}

fn result_of(stream: &TcpStream, id: &Value, result: &Value) -> Option<()> {
    json_of(stream, &json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn json_of(stream: &TcpStream, message: &Value) -> Option<()> {
    send(stream, 200, "application/json", &message.to_string())
}

fn send(mut stream: &TcpStream, status: u16, kind: &str, body: &str) -> Option<()> {
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()
}
