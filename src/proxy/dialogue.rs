//! What an upstream says in the middle of a call, on its way to the client that made it: without secrets, within bounds,
//! and what it asks only if that client can be asked it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{sync::mpsc, sync::mpsc::error::TrySendError, time::timeout};

use super::governed::{Going, Outcome};
use crate::{
    call::Line,
    upstream::{Again, Failure, FailureKind, Link, Listener, Pace, Question, Reply, Said, ToolCall, Wish},
};

/// What waits to be told to a client.
const MAX_WAITING: usize = 64;
/// Questions of one call.
const MAX_QUESTIONS: usize = 32;
/// How often a call is made again with answers.
const MAX_ROUNDS: usize = 10;
/// How long a client has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// Bytes of what is told in passing: a longer progress or log message is not.
const MAX_TOLD_BYTES: usize = 65_536;
/// JSON-RPC: there is no such method, for this client.
const METHOD_NOT_FOUND: i32 = -32_601;
/// JSON-RPC: the request cannot be carried out.
const INTERNAL_ERROR: i32 = -32_603;

/// Makes a call whose client can be spoken to meanwhile.
pub(super) async fn carry(going: &Going, upstream: &Link, line: &Line) -> Result<Box<RawValue>, Failure> {
    let talk = Talk { going, line, asked: std::sync::atomic::AtomicUsize::new(0) };
    let mut again = line.again.clone();
    for _ in 0..=MAX_ROUNDS {
        let result = Box::pin(talk.make(upstream, again.take())).await?;
        let Some(needed) = Needed::read(&result).filter(|_| !line.modern) else { return Ok(result) };
        again = Some(talk.answered(needed).await?);
    }
    Err(failed("it asked the client again and again"))
}

fn failed(message: &str) -> Failure {
    Failure { kind: FailureKind::Unavailable, message: message.to_owned(), unsent: false }
}

/// A result that says what is needed first (2026-07-28).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Needed {
    result_type: String,
    #[serde(default)]
    input_requests: BTreeMap<String, Wanted>,
    #[serde(default)]
    request_state: Option<String>,
}

#[derive(Deserialize)]
struct Wanted {
    method: String,
    #[serde(default)]
    params: Option<Box<RawValue>>,
}

impl Needed {
    fn read(result: &RawValue) -> Option<Self> {
        if !result.get().contains("input_required") {
            return None;
        }
        serde_json::from_str::<Self>(result.get()).ok().filter(|needed| needed.result_type == "input_required")
    }
}

/// Whether a result is none yet, for a client that cannot be asked.
pub(super) fn is_question(result: &RawValue) -> bool {
    Needed::read(result).is_some()
}

struct Talk<'a> {
    going: &'a Going,
    line: &'a Line,
    asked: std::sync::atomic::AtomicUsize,
}

impl Talk<'_> {
    /// One request, up to its answer.
    async fn make(&self, link: &Link, again: Option<Again>) -> Result<Box<RawValue>, Failure> {
        let (sender, mut said) = mpsc::channel(MAX_WAITING);
        let listener = Listener { whose: self.line.whose, sender, pace: Arc::default() };
        let call = ToolCall {
            name: self.going.tool().1,
            arguments: self.going.arguments().clone(),
            capabilities: serde_json::from_value(self.line.capabilities.as_ref().clone()).ok(),
            again,
            listener: Some(listener),
        };
        let mut call = std::pin::pin!(link.call_tool(call));
        let mut questions = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some(said) = said.recv() => match said {
                    Said::Question(question) => questions.push(self.ask(question)),
                    said => self.tell(said),
                },
                outcome = &mut call => {
                    // What was said before the answer is told before it.
                    while let Ok(said) = said.try_recv() {
                        self.tell(said);
                    }
                    return outcome;
                }
                Some(()) = questions.next() => {}
            }
        }
    }

    /// Progress, or a log message, if the client wants it.
    fn tell(&self, said: Said) {
        let clean = |params: Box<RawValue>| (params.get().len() <= MAX_TOLD_BYTES).then(|| self.going.redact(params));
        let told = match said {
            Said::Progress(params) if self.line.progress => clean(params).map(Said::Progress),
            Said::Log(params) if self.line.logs => clean(self.logged(params)).map(Said::Log),
            _ => None,
        };
        // A client that does not keep up loses what is no answer.
        let _ = told.map(|told| self.line.to_client.try_send(told));
    }

    /// A log message that says whose it is.
    fn logged(&self, params: Box<RawValue>) -> Box<RawValue> {
        let upstream = self.going.tool().0;
        edited(&params, "logger", |logger| {
            logger.map_or_else(|| upstream.to_string(), |own| format!("{upstream}.{own}"))
        })
        .unwrap_or(params)
    }

    /// Why the client is not asked; `None` if it is.
    fn refusal(&self, question: &Question) -> Option<Reply> {
        let none = |why: String| Some(Err((METHOD_NOT_FOUND, why)));
        let before = self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if before >= MAX_QUESTIONS {
            return Some(Err((INTERNAL_ERROR, format!("one call may ask {MAX_QUESTIONS} times"))));
        }
        let declared = &self.line.capabilities[question.wish.capability()];
        let params: Value =
            question.params.as_ref().and_then(|all| serde_json::from_str(all.get()).ok()).unwrap_or_default();
        let can = match question.wish {
            _ if !declared.is_object() => false,
            Wish::Roots => true,
            Wish::Sampling => params.get("tools").is_none() || declared["tools"].is_object(),
            Wish::Elicitation if params["mode"] == "url" => declared["url"].is_object(),
            Wish::Elicitation => declared.get("url").is_none() || declared["form"].is_object(),
        };
        if can && self.line.modern {
            return none("the client is asked by a result only, and this connection knows no such results".to_owned());
        }
        if can {
            return None;
        }
        match question.wish {
            Wish::Elicitation => serde_json::value::to_raw_value(&json!({"action": "decline"})).ok().map(Ok),
            wish => none(format!("the client that made the call cannot be asked {}", wish.method())),
        }
    }

    /// Asks the client, and gives the upstream its answer. The log says so first.
    async fn ask(&self, mut question: Question) {
        let refused = self.refusal(&question);
        let (wish, passed) = (question.wish.method(), refused.is_none());
        if let Err(error) = self.going.note_question(wish, passed).await {
            tracing::error!(%error, "a question of an upstream could not be written");
            return question.answer(Err((INTERNAL_ERROR, "haldir could not write this down".to_owned())));
        }
        if let Some(refused) = refused {
            return question.answer(refused);
        }
        let params = question.params.take().map(|params| self.named(question.wish, self.going.redact(params)));
        let pace = Arc::<Pace>::default();
        let (asking, mut answered) = Question::new(question.wish, params, &pace);
        if let Err(TrySendError::Full(_) | TrySendError::Closed(_)) =
            self.line.to_client.try_send(Said::Question(asking))
        {
            return question.answer(Err((INTERNAL_ERROR, "the client hears too much already".to_owned())));
        }
        let answer = tokio::select! {
            answer = timeout(ANSWER_WITHIN, &mut answered) => answer,
            // The client is told, since nobody waits for its answer any more.
            () = question.withdrawn() => return,
        };
        question.answer(match answer {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Err((INTERNAL_ERROR, "the client did not answer".to_owned())),
            Err(_) => Err((INTERNAL_ERROR, format!("nobody answered within {} s", ANSWER_WITHIN.as_secs()))),
        });
    }

    /// A person is told who asks them: at their client it looks as if haldir did.
    fn named(&self, wish: Wish, params: Box<RawValue>) -> Box<RawValue> {
        if wish != Wish::Elicitation {
            return params;
        }
        let upstream = self.going.tool().0;
        edited(&params, "message", |text| format!("[{upstream}] {}", text.unwrap_or_default())).unwrap_or(params)
    }

    /// Asks for everything that a result says to be needed.
    async fn answered(&self, needed: Needed) -> Result<Again, Failure> {
        let pace = Arc::<Pace>::default();
        let mut asking = Vec::new();
        for (key, wanted) in needed.input_requests {
            let Some(wish) = Wish::of(&wanted.method) else {
                return Err(failed("it asks the client for something that MCP does not know"));
            };
            let (question, replied) = Question::new(wish, wanted.params, &pace);
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
        Ok(Again { responses, state: needed.request_state })
    }
}

/// The object with another text in one of its members; `None` if it is no object.
fn edited(object: &RawValue, member: &str, with: impl Fn(Option<String>) -> String) -> Option<Box<RawValue>> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(object.get()).ok()?;
    let text = members.get(member).and_then(|text| serde_json::from_str(text.get()).ok());
    members.insert(member.to_owned(), serde_json::value::to_raw_value(&with(text)).ok()?);
    serde_json::value::to_raw_value(&members).ok()
}

/// What the outcome of a call without a client to ask is: a question is none.
pub(super) fn unasked(result: Box<RawValue>) -> Outcome {
    if is_question(&result) {
        return Outcome::Failed(failed("it asks for something first, and this client cannot be asked"));
    }
    Outcome::Answered(result)
}
