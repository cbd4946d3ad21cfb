//! Calls over one connection from several threads, each with a runtime of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{
    outbound::Outbound,
    protocol::revision::NEWEST_WITH_HANDSHAKE,
    upstream::{
        connection::{Beginning, Connection},
        transport::Source,
    },
};

const SOON: Duration = Duration::from_secs(60);
const HANDSHAKE: Beginning = Beginning::Handshake(NEWEST_WITH_HANDSHAKE);

/// A server that says which methods it gets. It answers requests except `never`, and takes its time for notifications.
fn server() -> (Url, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}/mcp", listener.local_addr().unwrap().port()).parse().unwrap();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, tell) = (stream.unwrap(), tell.clone());
            thread::spawn(move || serve(stream, &tell));
        }
    });
    (url, told)
}

fn serve(mut stream: TcpStream, tell: &Sender<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut length, mut line) = (0, String::new());
        while !line.ends_with("\r\n\r\n") {
            let begin = line.len();
            let Ok(1..) = reader.read_line(&mut line) else { return };
            if let Some(value) = line[begin..].to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        let method = message["method"].as_str().unwrap_or("no message").to_owned();
        let is_request = !message["id"].is_null();
        if length > 0 && !is_request {
            thread::sleep(Duration::from_millis(200));
        }
        let _ = tell.send(method.clone());
        let result = json!({"protocolVersion": NEWEST_WITH_HANDSHAKE, "supportedVersions": [FIRST_WITHOUT_HANDSHAKE]});
        let (status, answer) = match &*method {
            "never" => continue,
            "no message" => (405, String::new()),
            _ if is_request => (200, json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string()),
            _ => (202, String::new()),
        };
        let head = format!("HTTP/1.1 {status} -\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\n\r\n", answer.len());
        if stream.write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A connection that was opened on this runtime, and has served a request there.
fn opened(opener: &Runtime, url: Url, beginning: Beginning) -> Connection {
    let client = HttpClient::new(&Outbound::new(["127.0.0.1"]), SOON).unwrap();
    let (headers, call_timeout, answer_bytes) = (HeaderMap::new(), SOON, 4_096);
    let upstream = HttpUpstream { client, url, headers, call_timeout, answer_bytes, gate: None };
    opener.block_on(async {
        let source = Source::Http(Box::new(upstream));
        let connection = Connection::begin(&source, 4_096, (beginning, SOON), Arc::default()).await.unwrap();
        connection.request("ping", "{}", None).await.unwrap();
        connection
    })
}

/// Waits until the server has got this method, and answers what it got before.
async fn until(told: &Receiver<String>, method: &str) -> Vec<String> {
    let mut all = Vec::new();
    let reached = async {
        while all.last().is_none_or(|last| last != method) {
            match told.try_recv() {
                Ok(one) => all.push(one),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    assert!(timeout(SOON, reached).await.is_ok(), "{method} did not come");
    all
}

#[test]
fn a_call_needs_its_callers_thread_only_and_does_not_overtake_the_handshake() {
    let shaken = ["initialize", "notifications/initialized", "no message", "ping", "tools/call"];
    for (beginning, expected) in
        [(Beginning::Discovery, &["server/discover", "ping", "tools/call"][..]), (HANDSHAKE, &shaken)]
    {
        let (url, told) = server();
        let opener = runtime();
        // From here on, nothing runs on the runtime of the thread that opened the connection.
        let connection = opened(&opener, url, beginning);
        let call =
            move || runtime().block_on(async { timeout(SOON, connection.request("tools/call", "{}", None)).await });
        assert!(thread::spawn(call).join().unwrap().unwrap().is_ok());
        assert_eq!(runtime().block_on(until(&told, "tools/call")), expected);
    }
}

#[test]
fn a_call_is_cancelled_at_the_upstream_when_its_callers_runtime_ends() {
    let (url, told) = server();
    let opener = runtime();
    let connection = opened(&opener, url, HANDSHAKE);
    let call = connection.clone();
    let begun = move || {
        let caller = runtime();
        caller.spawn(async move { call.request("never", "{}", None).await });
        caller.block_on(until(&told, "never"));
        told
    };
    let told = thread::spawn(begun).join().unwrap();
    opener.block_on(async {
        until(&told, "notifications/cancelled").await;
        assert!(connection.request("ping", "{}", None).await.is_ok());
    });
}
