//! MCP over standard input and output, one JSON-RPC message a line.
//!
//! Bad input of any kind is answered, never fatal: a client that sends one wrong line keeps its connection.

use std::{io, sync::Arc};

use rmcp::{
    RoleServer, ServiceExt,
    model::{
        ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, GetExtensions, JsonRpcMessage, RequestId,
        ServerJsonRpcMessage,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, io::stdio_pipes},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::Mutex,
};

use super::{HaldirMcp, RawArguments, exact};
use crate::error::{Error, Result};

/// The longest line, in bytes.
const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Serves until standard input ends or `shutdown` is done.
pub async fn serve(server: HaldirMcp, shutdown: impl Future<Output = ()>) -> Result<()> {
    let (input, output) = stdio_pipes();
    let transport = Lines::new(input, output);
    let work = async {
        // An error here is a client that left before it had initialised: nothing went wrong on this side.
        match Box::pin(server.serve(transport)).await {
            Ok(running) => running.waiting().await.map(drop).map_err(Error::internal),
            Err(error) => {
                tracing::info!(%error, "the client left before it had initialised");
                Ok(())
            }
        }
    };
    tokio::select! {
        outcome = work => outcome,
        () = shutdown => Ok(()),
    }
}

/// A transport of lines.
struct Lines<R, W> {
    input: BufReader<R>,
    line: Vec<u8>,
    // A tokio mutex: it is held across the write, so that answers of concurrent calls do not mix.
    output: Arc<Mutex<W>>,
    /// Whether a request has come: what comes before it cannot be an answer or a notification to anything.
    begun: bool,
}

enum Line {
    Complete,
    TooLong,
    End,
}

impl<R: AsyncRead + Unpin + Send, W: AsyncWrite + Unpin + Send + 'static> Lines<R, W> {
    fn new(input: R, output: W) -> Self {
        Self { input: BufReader::new(input), line: Vec::new(), output: Arc::new(Mutex::new(output)), begun: false }
    }

    /// Reads the next line into `self.line`, and skips the rest of one that is too long.
    async fn read_line(&mut self) -> io::Result<Line> {
        self.line.clear();
        let mut too_long = false;
        loop {
            let available = self.input.fill_buf().await?;
            if available.is_empty() {
                return Ok(if self.line.is_empty() || too_long { Line::End } else { Line::Complete });
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let (part, used) = match end {
                Some(end) => (&available[..end], end + 1),
                None => (available, available.len()),
            };
            too_long |= self.line.len() + part.len() > MAX_LINE_BYTES;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            self.input.consume(used);
            if end.is_some() {
                return Ok(if too_long { Line::TooLong } else { Line::Complete });
            }
        }
    }

    async fn refuse(&mut self, code: ErrorCode, message: String, id: Option<RequestId>) {
        let error = ServerJsonRpcMessage::error(ErrorData::new(code, message, None), id);
        if let Err(error) = write(&self.output, &error).await {
            tracing::info!(%error, "the client no longer reads");
        }
    }
}

/// Reads a JSON-RPC message, with the arguments of a tool call as they were written.
pub fn read_message(line: &[u8]) -> Result<ClientJsonRpcMessage, (ErrorCode, String, Option<RequestId>)> {
    let json: &RawValue = serde_json::from_slice(line)
        .map_err(|error| (ErrorCode::PARSE_ERROR, format!("the message is no JSON that can be read: {error}"), None))?;
    let mut message: ClientJsonRpcMessage = serde_json::from_str(json.get()).map_err(|_| misread(json.get()))?;
    if let JsonRpcMessage::Request(request) = &mut message
        && let ClientRequest::CallToolRequest(call) = &mut request.request
        && let Some(arguments) = raw_arguments(json.get())
    {
        call.extensions_mut().insert(arguments);
    }
    Ok(message)
}

/// What is wrong with JSON that is no message, and the id that the answer needs, if it has one.
fn misread(json: &str) -> (ErrorCode, String, Option<RequestId>) {
    #[derive(Default, Deserialize)]
    struct Parts<'a> {
        id: Option<RequestId>,
        #[serde(borrow)]
        params: Option<&'a RawValue>,
    }
    if json.starts_with('[') {
        let message = "batches are not supported: send one message at a time";
        return (ErrorCode::INVALID_REQUEST, message.to_owned(), None);
    }
    let Parts { id, params } = serde_json::from_str(json).unwrap_or_default();
    if params.is_some_and(|params| !params.get().starts_with('{')) {
        return (ErrorCode::INVALID_PARAMS, "params must be a JSON object".to_owned(), id);
    }
    (ErrorCode::INVALID_REQUEST, "expected a JSON-RPC 2.0 message".to_owned(), id)
}

/// The arguments of a `tools/call` as they were written.
pub fn raw_arguments(message: &str) -> Option<RawArguments> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        params: Params<'a>,
    }
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
    }
    let arguments = serde_json::from_str::<Message<'_>>(message).ok()?.params.arguments?;
    Some(RawArguments(arguments.get().into()))
}

async fn write<W: AsyncWrite + Unpin>(output: &Mutex<W>, message: &ServerJsonRpcMessage) -> io::Result<()> {
    let line = serde_json::to_string(message)?;
    let mut line = exact::restore(&line).unwrap_or(line);
    line.push('\n');
    let mut output = output.lock().await;
    output.write_all(line.as_bytes()).await?;
    output.flush().await
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let output = Arc::clone(&self.output);
        async move { write(&output, &item).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            match self.read_line().await {
                Ok(Line::Complete) => {}
                Ok(Line::TooLong) => {
                    let message = format!("a message has at most {MAX_LINE_BYTES} bytes");
                    self.refuse(ErrorCode::INVALID_REQUEST, message, None).await;
                    continue;
                }
                Ok(Line::End) => return None,
                Err(error) => {
                    tracing::info!(%error, "standard input can no longer be read");
                    return None;
                }
            }
            if self.line.trim_ascii().is_empty() {
                continue;
            }
            match read_message(&self.line) {
                Ok(message) => {
                    self.begun |= matches!(message, JsonRpcMessage::Request(_));
                    if self.begun {
                        return Some(message);
                    }
                }
                Err((code, message, id)) => self.refuse(code, message, id).await,
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.output.lock().await.flush().await
    }
}
