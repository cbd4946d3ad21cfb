//! MCP over standard input and output, one JSON-RPC message a line.
//!
//! Bad input of any kind is answered, never fatal: a client that sends one wrong line keeps its connection.

use std::{borrow::Cow, io, sync::Arc};

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
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::Mutex,
};

use super::{HaldirMcp, RawArguments, exact};
use crate::{
    error::{Error, Result},
    model::text::without_halves,
    operations,
    protocol::{
        Message,
        lines::{Line, LineReader, too_long},
    },
};

/// Serves until standard input ends or `shutdown` is done. A line has at most `most` bytes.
pub async fn serve(server: HaldirMcp, most: usize, shutdown: impl Future<Output = ()>) -> Result<()> {
    let (input, output) = stdio_pipes();
    let transport = Lines::new(input, output, most);
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
    input: LineReader<R>,
    // A tokio mutex: it is held across the write, so that answers of concurrent calls do not mix.
    output: Arc<Mutex<W>>,
    /// Whether a request has come: what comes before it cannot be an answer or a notification to anything.
    begun: bool,
    most: usize,
}

impl<R: AsyncRead + Unpin + Send, W: AsyncWrite + Unpin + Send + 'static> Lines<R, W> {
    fn new(input: R, output: W, most: usize) -> Self {
        Self { input: LineReader::new(input, most), output: Arc::new(Mutex::new(output)), begun: false, most }
    }

    async fn refuse(&mut self, code: ErrorCode, message: String, id: Option<RequestId>) {
        let error = ServerJsonRpcMessage::error(ErrorData::new(code, message, None), id);
        if let Err(error) = write(&self.output, &error).await {
            tracing::info!(%error, "the client no longer reads");
        }
    }
}

/// Whether a message calls a tool that is none of haldir's own. Only for these is the half of a character, which some
/// clients leave of one that they have cut in two, replaced as browsers do it: haldir's own tools keep what they are given.
pub fn calls_upstream(message: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Called<'a> {
        #[serde(borrow)]
        method: Cow<'a, str>,
        params: Named,
        // One with a half of a character is none.
        #[serde(default, rename = "id")]
        _id: Option<RequestId>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    // A look for the letter tells nearly all others.
    let may_hold = message.windows(3).any(|bytes| bytes.eq_ignore_ascii_case(b"\\ud"));
    may_hold
        && serde_json::from_slice::<Called<'_>>(message)
            .is_ok_and(|called| called.method == "tools/call" && operations::named(&called.params.name).is_none())
}

/// Reads a JSON-RPC message, with the arguments of a tool call as they were written.
pub fn read_message(line: &[u8]) -> Result<ClientJsonRpcMessage, (ErrorCode, String, Option<RequestId>)> {
    let json: &RawValue = serde_json::from_slice(line)
        .map_err(|error| (ErrorCode::PARSE_ERROR, format!("the message is no JSON that can be read: {error}"), None))?;
    let read = |json: &str| serde_json::from_str::<ClientJsonRpcMessage>(json).map_err(|_| misread(json));
    let mut message = read(json.get()).or_else(|problem| read(&one_answer(json.get()).ok_or(problem)?))?;
    if let JsonRpcMessage::Request(request) = &mut message
        && let ClientRequest::CallToolRequest(call) = &mut request.request
        && let Some(arguments) = raw_arguments(json.get())
    {
        call.extensions_mut().insert(arguments);
    }
    Ok(message)
}

/// A response with both an error and a result, as one with the error alone: there is no result where there was an error
/// (JSON-RPC 2.0, section 5), and no approval may be read out of it. Some write a null beside what there is, which says
/// nothing. `None` for every other message.
fn one_answer(message: &str) -> Option<String> {
    let message = Message::read(message).ok()?;
    message.answers()?;
    Some(message.of_client().text())
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
            let line = match self.input.next().await {
                Ok(Line::Complete(line)) => line,
                Ok(Line::TooLong(id)) => {
                    let message = too_long(self.most);
                    let id = id.and_then(|id| serde_json::from_str(&id).ok());
                    self.refuse(ErrorCode::INVALID_REQUEST, message, id).await;
                    continue;
                }
                Ok(Line::End) => return None,
                Err(error) => {
                    tracing::info!(%error, "standard input can no longer be read");
                    return None;
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let whole = if calls_upstream(line) { without_halves(line) } else { line.into() };
            match read_message(&whole) {
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
