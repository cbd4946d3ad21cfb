//! The bare HTTP servers: hyper with nothing on top, answering a constant, and
//! the same with a durable append before the answer.
//!
//! They are the limits that the real server is compared with. Whatever it does
//! better than these, it does by not doing the work.

use std::{
    convert::Infallible,
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rusqlite::{Connection, params};
use tokio::{net::TcpListener, sync::oneshot};

use crate::{Result, process};

/// Bytes in every body of the bare servers; proof of the right answer.
pub const PROOF: &str = r#""bare":true"#;

/// Serves connections until our standard input ends.
pub fn serve<Handler, Answer, B>(handler: Handler) -> Result<()>
where
    Handler: Fn(Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = std::result::Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("listening on http://{}", listener.local_addr()?);
        process::exit_with_input();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let handler = handler.clone();
            tokio::spawn(async move {
                // A connection ends in an error when the load generator hangs
                // up, which is how every measurement ends.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(handler)).await;
            });
        }
    })
}

/// The hidden subcommand `bare-hyper SIZE`: a constant body of that many bytes.
pub fn constant(size: usize) -> Result<()> {
    let body = Bytes::from(padded(size));
    serve(move |_| {
        let answer = answer(StatusCode::OK, body.clone());
        async { Ok(answer) }
    })
}

/// The hidden subcommand `bare-append DB SIZE`: every POST is one committed row.
pub fn append(database: &Path, size: usize) -> Result<()> {
    append_by(writer(database)?, size)
}

/// Answers every POST once the writer has committed its row.
pub fn append_by(writer: mpsc::Sender<oneshot::Sender<()>>, size: usize) -> Result<()> {
    let body = Bytes::from(padded(size));
    let writer = Arc::new(writer);
    serve(move |request| {
        let writer = Arc::clone(&writer);
        let body = body.clone();
        async move { Ok(append_one(request, &writer, body).await) }
    })
}

async fn append_one(
    request: Request<Incoming>,
    writer: &mpsc::Sender<oneshot::Sender<()>>,
    body: Bytes,
) -> Response<Full<Bytes>> {
    if request.method() != Method::POST || request.into_body().collect().await.is_err() {
        return answer(StatusCode::BAD_REQUEST, Bytes::new());
    }
    let (committed, commit) = oneshot::channel();
    if writer.send(committed).is_err() || commit.await.is_err() {
        return answer(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new());
    }
    answer(StatusCode::CREATED, body)
}

fn answer(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A JSON object of `size` bytes with [`PROOF`] in it.
fn padded(size: usize) -> String {
    let frame = format!(r#"{{{PROOF},"padding":""}}"#);
    let padding = "x".repeat(size.saturating_sub(frame.len()));
    format!(r#"{{{PROOF},"padding":"{padding}"}}"#)
}

/// Starts the one thread that writes. Whatever waits when it looks is one
/// transaction; there is no window in which it waits for more.
pub fn writer(database: &Path) -> Result<mpsc::Sender<oneshot::Sender<()>>> {
    let mut connection = Connection::open(database)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE audit (
            tenant TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
            session TEXT NOT NULL, agent TEXT NOT NULL, tool TEXT NOT NULL,
            action TEXT NOT NULL, cost INTEGER NOT NULL,
            prev_hash TEXT NOT NULL, hash TEXT NOT NULL,
            PRIMARY KEY (tenant, seq)
        ) STRICT, WITHOUT ROWID",
    )?;
    let (sender, queue) = mpsc::channel();
    thread::spawn(move || {
        let written = write(&mut connection, &queue);
        // Without its writer the server is of no use; the benchmark sees it end.
        eprintln!("the writer ended: {written:?}");
        std::process::exit(1);
    });
    Ok(sender)
}

fn write(connection: &mut Connection, queue: &mpsc::Receiver<oneshot::Sender<()>>) -> Result<()> {
    let mut begin = connection.prepare("BEGIN IMMEDIATE")?;
    let mut commit = connection.prepare("COMMIT")?;
    let mut insert = connection.prepare("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
    // Together about 280 bytes, the size of a real entry.
    let id = "0123456789abcdef0123456789abcdef0123";
    let hash = "0123456789abcdef".repeat(4);
    let mut sequence = 0_i64;
    let mut waiting = Vec::new();
    while let Ok(first) = queue.recv() {
        waiting.push(first);
        waiting.extend(queue.try_iter());
        begin.execute([])?;
        for _ in &waiting {
            sequence += 1;
            insert.execute(params![
                id,
                sequence,
                1_700_000_000_000_000_000_i64 + sequence,
                id,
                "an agent of a usual name",
                "a tool of a usual name",
                "append",
                1_000_000_i64,
                hash,
                hash,
            ])?;
        }
        commit.execute([])?;
        for committed in waiting.drain(..) {
            // A client that has gone away does not need to know.
            let _ = committed.send(());
        }
    }
    Ok(())
}
