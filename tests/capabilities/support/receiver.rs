//! A receiver of webhooks in the test: it answers what the test says, and keeps what it was sent.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::lock;

/// A delivery that does not come fails the test.
const GIVE_UP: Duration = Duration::from_secs(120);

/// What was sent.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Delivery {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// How to answer: status, further header lines, and how long that takes.
#[derive(Clone, Debug)]
pub struct Reply(pub u16, pub String, pub Duration);

/// No answer: it waits until its client hangs up.
const SILENCE: Duration = Duration::MAX;

impl Reply {
    pub fn status(status: u16) -> Self {
        Self(status, String::new(), Duration::ZERO)
    }

    /// None at all.
    pub fn none() -> Self {
        Self(0, String::new(), SILENCE)
    }
}

#[derive(Default)]
struct State {
    /// Answers to come; then `usual`.
    next: VecDeque<Reply>,
    usual: Option<Reply>,
    got: Vec<Delivery>,
}

/// It listens until the test ends.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Receiver {
    pub fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    /// At this address, which has no listener yet.
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let this = Self { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let receiver = this.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let receiver = receiver.clone();
                thread::spawn(move || while receiver.answer(&stream).is_some() {});
            }
        });
        this
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers these next, one each.
    pub fn then(&self, replies: impl IntoIterator<Item = Reply>) -> &Self {
        lock(&self.shared.0).next.extend(replies);
        self
    }

    /// Answers this whenever nothing else was said.
    pub fn always(&self, reply: Reply) -> &Self {
        lock(&self.shared.0).usual = Some(reply);
        self
    }

    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let delivery = Delivery { path, headers, body: String::from_utf8(body).ok()? };
        let Reply(status, more, wait) = {
            let mut state = lock(&self.shared.0);
            state.got.push(delivery);
            let usual = state.usual.clone();
            state.next.pop_front().or(usual).unwrap_or_else(|| Reply::status(200))
        };
        self.shared.1.notify_all();
        let mut stream = stream;
        if wait == SILENCE {
            while stream.read(&mut [0; 1_024]).is_ok_and(|read| read > 0) {}
            return None;
        }
        thread::sleep(wait);
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 4\r\n{more}\r\nwell").ok()
    }

    /// Everything so far.
    pub fn got(&self) -> Vec<Delivery> {
        lock(&self.shared.0).got.clone()
    }

    /// Waits until something holds for what came, and answers that.
    #[track_caller]
    pub fn wait_until(&self, what: &str, holds: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let end = Instant::now() + GIVE_UP;
        let mut state = lock(&self.shared.0);
        while !holds(&state.got) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} did not come; {} came, the last: {:?}", state.got.len(), state.got.last());
            state = self.shared.1.wait_timeout(state, left).unwrap().0;
        }
        state.got.clone()
    }

    /// Waits for so many deliveries.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Delivery> {
        self.wait_until(&format!("delivery {count}"), |got| got.len() >= count)
    }
}
