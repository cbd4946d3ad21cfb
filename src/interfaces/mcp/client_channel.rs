//! The channel to the client that made a call: progress, log messages and mid-call requests of the upstream.
#![expect(deprecated, reason = "SEP-2577 deprecates logging; clients of every earlier revision have it")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use rmcp::{
    model::{
        CallToolRequestParams, CancelledNotificationParam, CustomRequest, LoggingLevel,
        LoggingMessageNotificationParam, ProgressNotificationParam, ServerRequest,
    },
    service::{PeerRequestOptions, ServiceError},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::{sync::mpsc, time::timeout};

use super::{
    Context,
    logging::{Level, known},
    paused::RunningCall,
    server::is_modern,
};
use crate::{
    error::{Error, Result},
    operations::proxied::{Again, CallEvent, ClientChannel, MidCallRequest},
    protocol::code::INTERNAL_ERROR,
    relay::elicitation::{ApprovalState, INPUT},
};

/// What waits to be told.
const MAX_WAITING: usize = 64;
/// Characters of a word on how far a call is.
const MAX_WORDS: usize = 1_000;
/// How long it may take to cancel requests to a client.
const GOODBYE: Duration = Duration::from_secs(2);

/// Marks a request whose client takes one JSON answer, and no events.
#[derive(Clone, Copy, Debug)]
pub struct OneAnswer;

/// Tells one connection from another.
pub fn next_client() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The client that waits for a call, and the connection that reaches it.
pub struct McpClient<'a> {
    /// The request that the client waits for.
    pub context: &'a Context,
    /// The level of its connection.
    pub level: &'a Level,
}

/// What serving a call until its next pause comes to.
pub enum Attended {
    /// Its result.
    Over(Result<Box<RawValue>>),
    /// It asks what the client is asked by a result.
    Asks(Vec<MidCallRequest>),
}

/// The channel from a call to its client; `None` if the client wants no notifications and cannot be asked anything. `level`
/// is the level of its connection.
pub fn open<'a>(
    context: &'a Context,
    params: &CallToolRequestParams,
    whose: u64,
    level: &'a Level,
) -> Option<(ClientChannel, McpClient<'a>, mpsc::Receiver<CallEvent>)> {
    let parts = context.extensions.get::<http::request::Parts>();
    let hears = parts.is_none_or(|parts| parts.extensions.get::<OneAnswer>().is_none());
    let modern = is_modern(context);
    let wanted = level.asked(context).filter(|_| hears);
    let progress = hears && context.meta.get_progress_token().is_some();
    let said = context.client_capabilities().filter(|_| hears || modern);
    let capabilities = said.map(|said| {
        let can_be_asked = said.sampling.is_some() || said.elicitation.is_some() || said.roots.is_some();
        (can_be_asked, said)
    });
    let (can_be_asked, capabilities) = capabilities.unwrap_or_default();
    let again = modern.then(|| again(params)).flatten();
    if !progress && wanted.is_none() && !can_be_asked && again.is_none() {
        return None;
    }
    let (to_client, said) = mpsc::channel(MAX_WAITING);
    let capabilities = Arc::new(serde_json::to_value(capabilities).unwrap_or_default());
    let channel = ClientChannel { whose, progress, level: wanted, capabilities, modern, again, to_client };
    Some((channel, McpClient { context, level }, said))
}

/// What the call itself brings of answers for its upstream (2026-07-28).
pub fn again(params: &CallToolRequestParams) -> Option<Again> {
    // What haldir asked is not for the upstream; what the call had for it before has travelled along.
    if let Some(own) = params.request_state.as_deref().and_then(ApprovalState::read) {
        let ApprovalState { request_state, input_responses, .. } = own.ok()?;
        let again = Again { responses: input_responses, state: request_state };
        return (again.responses.is_some() || again.state.is_some()).then_some(again);
    }
    let mut responses = params.input_responses.as_ref().and_then(|all| serde_json::to_value(all).ok());
    let state = params.request_state.clone();
    if let Some(Value::Object(all)) = &mut responses {
        all.remove(INPUT);
    }
    let responses = responses.filter(|all| all.as_object().is_some_and(|all| !all.is_empty()));
    let responses = responses.and_then(|all| serde_json::value::to_raw_value(&all).ok());
    (responses.is_some() || state.is_some()).then_some(Again { responses, state })
}

impl McpClient<'_> {
    /// Tells and asks the client until the call is over, or the client has to call again to be asked.
    pub async fn attend(&self, call: &mut RunningCall) -> Attended {
        let by_result = is_modern(self.context);
        let meanwhile = call.asked_meanwhile();
        if !meanwhile.is_empty() && !call.outcome.is_finished() {
            return Attended::Asks(meanwhile);
        }
        let mut questions = FuturesUnordered::new();
        let outcome = loop {
            tokio::select! {
                biased;
                Some(said) = call.said.recv() => match said {
                    CallEvent::Request(question) if by_result => return Attended::Asks(self.all_asked(question, call).await),
                    CallEvent::Request(question) => questions.push(ask(self.context, question)),
                    said => tell(self.context, self.level, said).await,
                },
                outcome = &mut call.outcome => break outcome,
                () = self.context.ct.cancelled(), if !call.cancelled.is_cancelled() => call.cancelled.cancel(),
                Some(()) = questions.next() => {}
            }
        };
        while let Ok(said) = call.said.try_recv() {
            tell(self.context, self.level, said).await;
        }
        // Open requests to the client are cancelled.
        let _ = timeout(GOODBYE, async { while questions.next().await.is_some() {} }).await;
        Attended::Over(outcome.map_err(Error::internal).and_then(|done| done.result))
    }

    /// A question, and those that have come with it.
    async fn all_asked(&self, first: MidCallRequest, call: &mut RunningCall) -> Vec<MidCallRequest> {
        let mut all = vec![first];
        while let Ok(said) = call.said.try_recv() {
            match said {
                CallEvent::Request(question) => all.push(question),
                said => tell(self.context, self.level, said).await,
            }
        }
        all
    }
}

async fn tell(context: &Context, level: &Level, said: CallEvent) {
    let told = match said {
        CallEvent::Progress(params) => match progress(context, &params) {
            Some(progress) => context.peer.notify_progress(progress).await,
            None => return,
        },
        CallEvent::Log(params) => match message(&params)
            .filter(|message| level.asked(context).is_some_and(|least| known(message.level) >= least))
        {
            Some(message) => context.peer.notify_logging_message(message).await,
            None => return,
        },
        CallEvent::Request(_) => return,
    };
    if let Err(error) = told {
        tracing::debug!(%error, "a notification did not reach the client");
    }
}

/// Under the client's own token.
fn progress(context: &Context, params: &RawValue) -> Option<ProgressNotificationParam> {
    #[derive(Deserialize)]
    struct Step {
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    }
    let Step { progress, total, message } = serde_json::from_str(params.get()).ok()?;
    let mut told = ProgressNotificationParam::new(context.meta.get_progress_token()?, progress);
    told.total = total;
    told.message = message.map(|message| message.chars().take(MAX_WORDS).collect());
    Some(told)
}

fn message(params: &RawValue) -> Option<LoggingMessageNotificationParam> {
    #[derive(Deserialize)]
    struct Log {
        level: LoggingLevel,
        logger: Option<String>,
        data: Value,
    }
    let Log { level, logger, data } = serde_json::from_str(params.get()).ok()?;
    let message = LoggingMessageNotificationParam::new(level, data);
    Some(match logger {
        Some(logger) => message.with_logger(logger),
        None => message,
    })
}

async fn ask(context: &Context, mut question: MidCallRequest) {
    let params = question.params.take().and_then(|params| serde_json::from_str(params.get()).ok());
    let request = ServerRequest::CustomRequest(CustomRequest::new(question.kind.method(), params));
    let asked = context.peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return question.answer(Err((INTERNAL_ERROR, format!("the client was not asked: {error}")))),
    };
    let id = asked.id.clone();
    let answered = tokio::select! {
        answered = asked.await_response() => answered,
        () = question.withdrawn() => {
            let reason = Some("the call is over".to_owned());
            // Fails if the client has left.
            let _ = context.peer.notify_cancelled(CancelledNotificationParam::new(Some(id), reason)).await;
            return;
        }
    };
    question.answer(match answered {
        Ok(result) => serde_json::value::to_raw_value(&result).map_err(|error| (INTERNAL_ERROR, error.to_string())),
        Err(ServiceError::McpError(error)) => Err((error.code.0, error.message.into_owned())),
        Err(error) => Err((INTERNAL_ERROR, format!("the client did not answer: {error}"))),
    });
}
