//! A request whose answer is read event by event.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use super::Server;

/// An event stream; dropping it disconnects.
pub struct Events(BufReader<TcpStream>);

impl Events {
    pub fn post(server: &Server, key: &str, path: &str, headers: &[(&str, &str)], message: &Value) -> Self {
        Self::open(server, key, "POST", path, headers, &message.to_string())
    }

    /// The stream of what belongs to no request.
    pub fn listen(server: &Server, key: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::open(server, key, "GET", path, headers, "")
    }

    fn open(server: &Server, key: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let headers = headers.iter().fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            server.address,
            body.len()
        )
        .unwrap();
        Self(BufReader::new(stream))
    }

    /// Reads the head of the answer, which must be a success.
    #[track_caller]
    pub fn begun(&mut self) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
        while !line.trim().is_empty() {
            line.clear();
            self.0.read_line(&mut line).unwrap();
        }
    }

    /// The next message; the only one, where the answer is no stream.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream has ended");
            if let Some(stated) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = stated.trim().parse().unwrap();
            }
            if line.trim().is_empty() && length > 0 {
                let mut body = vec![0; length];
                self.0.read_exact(&mut body).unwrap();
                return serde_json::from_slice(&body).unwrap();
            }
            if let Some(message) = line.strip_prefix("data: ").and_then(|data| serde_json::from_str(data).ok()) {
                return message;
            }
        }
    }

    /// Waits until the server ends the stream; what comes before is passed over.
    pub fn ended(&mut self) {
        let mut rest = Vec::new();
        // A connection that is closed is an end as well.
        let _ = self.0.read_to_end(&mut rest);
    }

    /// All messages up to the answer to this id.
    #[track_caller]
    pub fn up_to(&mut self, id: u64) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let message = self.next();
            let is_answer = message["method"].is_null() && message["id"] == id;
            all.push(message);
            if is_answer {
                return all;
            }
        }
    }
}
