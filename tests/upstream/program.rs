//! An upstream MCP server for tests: every kind of content, notification and request that the protocol knows, and the
//! misbehaviour that a proxy has to survive. It serves `--stdio`, or HTTP on `--port`, or one of the machine's choice.

mod content;
mod input_required;
mod prompts;
mod resources;
mod server;
mod tools;

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rmcp::{
    ServiceExt,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use server::Upstream;
use tokio::net::TcpListener;

/// What clients that reconnect wait; short, since tests wait with them.
const SSE_RETRY: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let (old, new) = (has("--old"), has("--new"));
    if has("--stdio") {
        eprintln!("upstream on standard input and output");
        if let Ok(running) = (Upstream { old, new, ..Upstream::default() }).serve(rmcp::transport::stdio()).await {
            running.waiting().await?;
        }
        return Ok(());
    }
    let config = StreamableHttpServerConfig::default().with_sse_retry(Some(SSE_RETRY));
    let service: StreamableHttpService<Upstream, LocalSessionManager> =
        StreamableHttpService::new(move || Ok(Upstream { old, new, ..Upstream::default() }), Arc::default(), config);
    let port = arguments.iter().skip_while(|argument| *argument != "--port").nth(1);
    let port = port.map(|port| port.parse()).transpose()?.unwrap_or(0_u16);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("upstream listening on http://{}", listener.local_addr()?);
    serve(listener, service).await
}

async fn serve<S>(listener: TcpListener, service: S) -> Result<(), Box<dyn std::error::Error>>
where
    S: tower::Service<http::Request<Incoming>, Error = Infallible> + Clone + Send + 'static,
    S::Response: Into<http::Response<http_body_util::combinators::BoxBody<bytes::Bytes, Infallible>>>,
    S::Future: Send,
    TowerToHyperService<S>: hyper::service::Service<
            http::Request<Incoming>,
            Response = http::Response<http_body_util::combinators::BoxBody<bytes::Bytes, Infallible>>,
            Error = Infallible,
            Future: Send,
        >,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // A connection ends in an error when the client hangs up, which tests do.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
