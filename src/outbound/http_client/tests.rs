//! Reused connections to servers that end them, send more than one response, or none.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::*;
use crate::outbound::Outbound;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server that answers so many requests on each connection, and ends it then without a word. It tells of each
/// connection, and of each request on it.
async fn server(each: usize) -> (Url, mpsc::UnboundedReceiver<&'static str>) {
    server_with(each, ANSWER).await
}

async fn server_with(each: usize, answer: &'static [u8]) -> (Url, mpsc::UnboundedReceiver<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/mcp", listener.local_addr().unwrap().port()).parse().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tell.send("connected");
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut piece = [0; 1_024];
                for _ in 0..each {
                    let Ok(1..) = stream.read(&mut piece).await else { break };
                    let _ = tell.send("asked");
                    let _ = stream.write_all(answer).await;
                }
                drop(stream);
                let _ = tell.send("ended");
            });
        }
    });
    (url, told)
}

const SOON: Duration = Duration::from_secs(60);

fn carrier(outbound: &Outbound) -> HttpClient {
    HttpClient::new(outbound, SOON).unwrap()
}

fn local() -> HttpClient {
    carrier(&Outbound::new(["127.0.0.1"]))
}

fn request() -> Request {
    (Method::POST, HeaderMap::new(), Bytes::from_static(b"{}"))
}

async fn ask(carrier: &HttpClient, url: &Url) -> UpstreamResponse {
    carrier.send(url, request(), SOON).await.unwrap()
}

async fn whole(mut answer: UpstreamResponse) -> String {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    // The connection's task returns it to the pool.
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    String::from_utf8(body).unwrap()
}

/// All that a server tells, up to the end of a connection.
async fn told_of_the_end(told: &mut mpsc::UnboundedReceiver<&'static str>) -> Vec<&'static str> {
    let mut all = Vec::new();
    while all.last() != Some(&"ended") {
        all.push(tokio::time::timeout(Duration::from_secs(60), told.recv()).await.unwrap().unwrap());
    }
    all
}

fn told(told: &mut mpsc::UnboundedReceiver<&'static str>) -> Vec<&'static str> {
    std::iter::from_fn(|| told.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let (url, mut said) = server(9).await;
    let carrier = local();
    assert_eq!(whole(ask(&carrier, &url).await).await, "ok");
    assert_eq!(whole(ask(&carrier, &url).await).await, "ok");
    assert_eq!(whole(ask(&carrier, &url).await).await, "ok");
    assert_eq!(told(&mut said), ["connected", "asked", "asked", "asked"]);
}

#[tokio::test]
async fn a_request_that_a_connection_did_not_take_any_more_is_sent_over_another_one() {
    let (url, mut said) = server(1).await;
    let carrier = local();
    assert_eq!(whole(ask(&carrier, &url).await).await, "ok");
    assert_eq!(told_of_the_end(&mut said).await, ["connected", "asked", "ended"]);
    assert_eq!(whole(ask(&carrier, &url).await).await, "ok");
    assert_eq!(told(&mut said)[..2], ["connected", "asked"]);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_to_its_end_is_broken_off() {
    let (url, mut said) = server_with(9, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await;
    let carrier = local();
    drop(ask(&carrier, &url).await);
    assert_eq!(told_of_the_end(&mut said).await, ["connected", "asked", "ended"]);
}

#[tokio::test]
async fn what_a_server_says_beyond_its_answer_is_nobodys_answer() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more",
    ] {
        let (url, mut said) = server_with(9, answer).await;
        let carrier = local();
        for _ in 0..3 {
            assert_eq!(whole(ask(&carrier, &url).await).await, "ok");
        }
        let connected = told(&mut said).iter().filter(|said| **said == "connected").count();
        assert_eq!(connected, 3, "a connection was used again");
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_than_allowed_is_not_connected_to() {
    let (url, mut said) = server(9).await;
    let url: Url = url.to_string().replace("127.0.0.1", "localhost").parse().unwrap();
    let refused = carrier(&Outbound::default()).send(&url, request(), SOON).await.err();
    assert!(matches!(refused, Some(SendError::Unreachable(_))), "{refused:?}");
    assert!(told(&mut said).is_empty());
}

#[tokio::test]
async fn what_does_not_answer_in_time_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let carrier = local();
    let late = carrier.send(&url, request(), Duration::from_millis(50)).await;
    assert_eq!(late.err(), Some(SendError::TimedOut));
}
