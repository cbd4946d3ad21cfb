//! The bare relay: hyper passes a call on to another server once a row of it is
//! durable, and leaves a second row behind when the answer is there. It looks at
//! nothing: no key, no session, no tool, no rule.
//!
//! It is something to compare with, and no bound: it spends what a plain use of
//! these parts spends, which one that is laid out otherwise may well undercut.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc::Sender},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::oneshot};

use crate::{Result, bare_http};

type Connection = SendRequest<Full<Bytes>>;

/// Where calls go, and their log.
struct Relay {
    upstream: SocketAddr,
    host: HeaderValue,
    writer: Sender<oneshot::Sender<()>>,
    idle: Mutex<Vec<Connection>>,
}

/// The hidden subcommand `bare-relay DB UPSTREAM`.
pub fn http(database: &Path, upstream: SocketAddr) -> Result<()> {
    let host = HeaderValue::try_from(upstream.to_string())?;
    let relay = Relay { upstream, host, writer: bare_http::writer(database)?, idle: Mutex::default() };
    let relay = Arc::new(relay);
    bare_http::serve(move |request| {
        let relay = Arc::clone(&relay);
        async move { Ok::<_, Infallible>(relay.pass_on(request).await.unwrap_or_else(|problem| failed(&problem))) }
    })
}

impl Relay {
    async fn pass_on(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        head.headers.insert(HOST, self.host.clone());
        head.uri = "/mcp".parse()?;
        let (committed, commit) = oneshot::channel();
        self.writer.send(committed)?;
        commit.await?;
        let mut connection = self.connection().await?;
        let answer = connection.send_request(Request::from_parts(head, Full::new(body))).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        // Nobody waits for this one.
        self.writer.send(oneshot::channel().0)?;
        Ok(Response::from_parts(head, Full::new(body)))
    }

    async fn connection(&self) -> Result<Connection> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(kept) = kept.filter(Connection::is_ready) {
            return Ok(kept);
        }
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the server.
        tokio::spawn(driver);
        Ok(connection)
    }
}

fn failed(problem: &crate::Error) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(problem.to_string())));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
