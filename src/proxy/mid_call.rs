//! Progress, log messages and mid-call requests of an upstream, on their way to the client that made the call: without
//! secrets, within bounds, and requests only if that client declared that it takes them.

mod requests;
mod shown;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json, value::RawValue};
use tokio::{sync::mpsc, sync::mpsc::error::TrySendError, time::timeout};

pub use self::requests::{MidCallRequests, NOT_LOGGED, NotForwarded, TOO_MANY};
use super::governed::{AllowedCall, Outcome};
use crate::{
    call::ClientChannel,
    protocol::{
        code::{INTERNAL_ERROR, METHOD_NOT_FOUND},
        json::Members,
        request::{InputRequired, ServerRequest},
    },
    redact::Told,
    upstream::{
        Again, AskedBy, CallClock, CallEvent, CallListener, Failure, FailureKind, Link, MidCallRequest, Reply, ToolCall,
    },
};

/// What waits to be told to a client.
const MAX_WAITING: usize = 64;
/// How often a call is made again with answers.
const MAX_ROUNDS: usize = 10;
/// How long a client has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// Bytes of what is told in passing: a longer progress or log message is not.
const MAX_TOLD_BYTES: usize = 65_536;

/// Makes a call with a channel to its client.
pub(super) async fn carry(
    going: &AllowedCall,
    upstream: &Link,
    channel: &ClientChannel,
) -> Result<Box<RawValue>, Failure> {
    let talk = MidCall { going, channel, requests: going.mid_call_requests() };
    let mut again = channel.again.clone();
    for _ in 0..=MAX_ROUNDS {
        let result = Box::pin(talk.make(upstream, again.take())).await?;
        let Some(needed) = InputRequired::read(&result).map_err(failed)? else { return Ok(result) };
        if channel.modern {
            // Before each line names the upstream: a secret that is split over lines would not be found after that.
            let result = going.redact(result).await;
            let is_supported = |kind, params: Option<&RawValue>| talk.can(kind, params);
            let forwarded = talk.requests.in_result(&result, is_supported).await.map_err(failed)?;
            return Ok(forwarded.unwrap_or(result));
        }
        again = Some(talk.answered(needed).await?);
    }
    Err(failed("it asked the client again and again"))
}

fn failed(message: &str) -> Failure {
    Failure { kind: FailureKind::Unavailable, message: message.to_owned(), unsent: false }
}

struct MidCall<'a> {
    going: &'a AllowedCall,
    channel: &'a ClientChannel,
    requests: MidCallRequests,
}

impl MidCall<'_> {
    /// One request, up to its answer.
    async fn make(&self, link: &Link, again: Option<Again>) -> Result<Box<RawValue>, Failure> {
        let (sender, mut said) = mpsc::channel(MAX_WAITING);
        let listener = CallListener { whose: self.channel.whose, sender, pace: Arc::default() };
        let call = ToolCall {
            name: self.going.tool().1,
            arguments: self.going.arguments().clone(),
            capabilities: Some(Arc::clone(&self.channel.capabilities)),
            asked: match (self.channel.can_be_asked() || self.channel.again.is_some(), self.channel.modern) {
                (false, _) => AskedBy::Nothing,
                (true, false) => AskedBy::Requests,
                (true, true) => AskedBy::Results,
            },
            again,
            level: self.channel.level,
            listener: Some(listener),
        };
        let mut call = std::pin::pin!(link.call_tool(call));
        let mut questions = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                // First: each is written down before the next is heard.
                Some(()) = questions.next() => {}
                Some(said) = said.recv() => match said {
                    CallEvent::Request(question) => {
                        self.count(question.kind).await?;
                        questions.push(self.ask(question));
                    }
                    said => self.tell(said),
                },
                outcome = &mut call => {
                    // What was said before the answer is told before it.
                    while let Ok(said) = said.try_recv() {
                        self.tell(said);
                    }
                    return outcome;
                }
            }
        }
    }

    /// Progress, or a log message, if the client wants it.
    fn tell(&self, said: CallEvent) {
        let short = |params: Box<RawValue>| (params.get().len() <= MAX_TOLD_BYTES).then_some(params);
        let told = match said {
            CallEvent::Progress(params) if self.channel.progress => {
                short(params).map(|params| CallEvent::Progress(self.going.told(params, Told::Progress)))
            }
            CallEvent::Log(params) if self.channel.level.is_some() => {
                short(params).map(|params| CallEvent::Log(self.logged(self.going.told(params, Told::Log))))
            }
            _ => None,
        };
        // A client that does not keep up loses what is no answer.
        let _ = told.map(|told| self.channel.to_client.try_send(told));
    }

    /// A log message that names the upstream.
    fn logged(&self, params: Box<RawValue>) -> Box<RawValue> {
        let upstream = self.going.tool().0;
        let edited = || {
            let mut members = Members::of(&params)?;
            let logger = match members.text("logger") {
                Some(own) => format!("{upstream}.{own}"),
                None => upstream.to_string(),
            };
            members.set("logger", serde_json::value::to_raw_value(&logger).ok()?);
            members.written()
        };
        edited().unwrap_or(params)
    }

    async fn count(&self, kind: ServerRequest) -> Result<(), Failure> {
        if self.requests.count(kind).await { Ok(()) } else { Err(failed(TOO_MANY)) }
    }

    /// Whether the client declared that it takes this request.
    fn can(&self, request: ServerRequest, params: Option<&RawValue>) -> bool {
        let params: Value = params.and_then(|all| serde_json::from_str(all.get()).ok()).unwrap_or_default();
        request.is_declared(&self.channel.capabilities, &params)
    }

    /// Why the client is not asked; `None` if it is.
    fn refusal(&self, question: &MidCallRequest) -> Option<Reply> {
        if self.can(question.kind, question.params.as_deref()) {
            return None;
        }
        match question.kind {
            ServerRequest::Elicitation => serde_json::value::to_raw_value(&json!({"action": "decline"})).ok().map(Ok),
            kind => {
                let why = format!("the client that made the call cannot be asked {}", kind.method());
                Some(Err((METHOD_NOT_FOUND, why)))
            }
        }
    }

    /// Asks the client, and gives the upstream its answer. The log says so first.
    async fn ask(&self, mut question: MidCallRequest) {
        if let Some(refused) = self.refusal(&question) {
            let is_logged = self.requests.log(question.kind, false).await;
            return question.answer(if is_logged { refused } else { Err((INTERNAL_ERROR, NOT_LOGGED.to_owned())) });
        }
        let params = match question.params.take() {
            Some(params) => Some(self.going.redact(params).await),
            None => None,
        };
        let params = match self.requests.show(question.kind, params).await {
            Ok(params) => params,
            Err((code, why)) => return question.answer(Err((code, why.to_owned()))),
        };
        // From here on it is the client's time.
        question.begin();
        let pace = Arc::<CallClock>::default();
        let (asking, mut answered) = MidCallRequest::new(question.kind, params, &pace);
        if let Err(TrySendError::Full(_) | TrySendError::Closed(_)) =
            self.channel.to_client.try_send(CallEvent::Request(asking))
        {
            return question.answer(Err((INTERNAL_ERROR, "the client hears too much already".to_owned())));
        }
        let answer = tokio::select! {
            answer = timeout(ANSWER_WITHIN, &mut answered) => answer,
            // The request to the client is cancelled with this.
            () = question.withdrawn() => return,
        };
        question.answer(match answer {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Err((INTERNAL_ERROR, "the client did not answer".to_owned())),
            Err(_) => Err((INTERNAL_ERROR, format!("the client did not answer within {} s", ANSWER_WITHIN.as_secs()))),
        });
    }

    /// Asks for everything that a result says to be needed.
    async fn answered(&self, needed: InputRequired) -> Result<Again, Failure> {
        let pace = Arc::<CallClock>::default();
        let mut asking = Vec::new();
        for (key, kind, params) in needed.requests {
            self.count(kind).await?;
            let (question, replied) = MidCallRequest::new(kind, params, &pace);
            asking.push(async move {
                let ((), reply) = futures::join!(self.ask(question), replied);
                (key, reply)
            });
        }
        let mut responses = BTreeMap::new();
        for (key, reply) in futures::future::join_all(asking).await {
            match reply {
                Ok(Ok(answer)) => drop(responses.insert(key, answer)),
                Ok(Err((_, message))) => {
                    return Err(failed(&format!("it asked for something that it did not get: {message}")));
                }
                Err(_) => return Err(failed("it asked for something that it did not get")),
            }
        }
        let responses = serde_json::value::to_raw_value(&responses).ok();
        Ok(Again { responses, state: needed.state })
    }
}

/// What the outcome of a call without a client to ask is: a question is none.
pub(super) fn unasked(result: Box<RawValue>) -> Outcome {
    if !matches!(InputRequired::read(&result), Ok(None)) {
        return Outcome::Failed(failed("it asks for something first, and this client cannot be asked"));
    }
    Outcome::Answered(result)
}
