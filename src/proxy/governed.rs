//! A call under governance: decided before it leaves, settled when it is back.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use serde_json::{Value, json, value::RawValue};
use zeroize::Zeroizing;

use super::{
    approval,
    budget::{self, ByResult, Cost},
    edited::{self, Edited},
    filled, flow,
    policy::{self, Question},
    record::{self, DENIED, HELD, begun, record},
    scope, secret,
    settle::{self, Ending},
    tool::{self, Called},
    trace::Trace,
};
use crate::{
    approvals::arguments::Arguments,
    call::{CallsUnderWay, LEASE_SECONDS, OutwardContext, Vouched, WriteContext, session},
    crypto,
    error::{Code, Error, Result},
    metrics::METRICS,
    model::{Held, InFlightCall, Person, SessionId, UpstreamName, secret_placeholder},
    redact::{Carry, Known, Told},
    upstream::{Failure, FailureKind},
    vault,
};

/// A call that somebody would make.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The session that it is made in.
    pub session_id: SessionId,
    /// The tool: `upstream.tool` or `tool`, or the tool's own name if `upstream` says whose it is.
    pub tool: String,
    /// The upstream that was called directly.
    pub upstream: Option<UpstreamName>,
    /// Whether the connection that it would go over offers the tool, where the interface has looked itself.
    pub offered: Option<bool>,
    /// JSON text of the arguments, as it was written.
    pub arguments: String,
}

/// What becomes of an attempt. It is an entry of the log already.
pub enum Verdict {
    /// It may leave.
    Go(Box<Going>),
    /// It waits for a person.
    Held(Held),
    /// It may not be made.
    Refused(Error),
}

/// What the caller of a tool is told of a refusal: a sentence for the model, and JSON after it. A text that is JSON alone
/// is taken for structured content by some clients, which then report nothing but that it does not fit the tool's schema.
pub fn refusal_text(error: &Error) -> String {
    format!("{}\n{}", error.sentence(), refusal_json(error))
}

/// The same as JSON alone, as REST answers it.
pub(super) fn refusal_json(error: &Error) -> String {
    json!({"error": error.message, "code": error.code.name(), "blocked_by": "haldir"}).to_string()
}

/// A call that may leave, and is vouched for. Settle it whatever becomes of it; one that is dropped is settled as unknown.
pub struct Going {
    cx: OutwardContext,
    call: Arc<InFlightCall>,
    arguments: Zeroizing<String>,
    /// The secrets that must not come back.
    known: Arc<Known>,
    /// What was told so far.
    told: Mutex<Carry>,
    /// What the result will say that it cost.
    by_result: Option<Box<ByResult>>,
    edited: Option<Arc<Edited>>,
    began: Instant,
    settled: bool,
    _vouched: Vouched,
}

/// What an upstream made of a call.
#[derive(Debug)]
pub enum Outcome {
    /// A result, as it was written; it may say itself that it is an error.
    Answered(Box<RawValue>),
    /// None.
    Failed(Failure),
}

/// The first half of a call: whether it may be made.
pub async fn begin(cx: &OutwardContext, attempt: Attempt) -> Result<Verdict> {
    let arguments = Arguments::parse(&attempt.arguments)?;
    let person = cx.hearing.person.clone();
    let decided = cx.write(move |cx| decide(cx, &attempt, &arguments, person.as_deref())).await?;
    Ok(match decided {
        Decided::Go(leaving) => {
            let Leaving { call, arguments, by_result, edited } = *leaving;
            let known = secret::for_caller(&cx.services, &cx.caller, &call.upstream);
            let (cx, call, by_result) = (cx.clone(), Arc::new(call), by_result.map(Box::new));
            let (began, vouched) = (Instant::now(), CallsUnderWay::add(&cx, &call));
            let settled = false;
            Verdict::Go(Box::new(Going {
                cx,
                call,
                arguments,
                known,
                told: Mutex::default(),
                by_result,
                edited,
                began,
                settled,
                _vouched: vouched,
            }))
        }
        Decided::Held(held) => Verdict::Held(held),
        Decided::Refused(error) => Verdict::Refused(error),
    })
}

enum Decided {
    Go(Box<Leaving>),
    Held(Held),
    Refused(Error),
}

struct Leaving {
    call: InFlightCall,
    arguments: Zeroizing<String>,
    by_result: Option<ByResult>,
    edited: Option<Arc<Edited>>,
}

/// Decides, and leaves the entry that says so, whatever it is.
fn decide(
    cx: &mut WriteContext<'_>,
    attempt: &Attempt,
    arguments: &Arguments,
    person: Option<&Person>,
) -> Result<Decided> {
    let mut trace = Trace::default();
    match permit(cx, attempt, arguments, person, &mut trace) {
        Ok(leaving) => Ok(Decided::Go(Box::new(leaving))),
        Err(error) if error.code == Code::ApprovalRequired => {
            // What raised the request stays; nothing else was changed before that.
            let text =
                |name: &str| error.extra(name).and_then(|value| serde_json::from_str::<String>(value.get()).ok());
            let held =
                Held { request_id: text("approval_request_id").unwrap_or_default(), reason: error.message.clone() };
            METRICS.refused_by(error.code as usize).add_one();
            record(cx, attempt, arguments, HELD, &error, &trace)?;
            Ok(Decided::Held(held))
        }
        Err(error) if error.is_refusal() => {
            cx.tx.start_over()?;
            METRICS.refused_by(error.code as usize).add_one();
            record(cx, attempt, arguments, DENIED, &error, &trace)?;
            Ok(Decided::Refused(error))
        }
        Err(error) => Err(error),
    }
}

/// Every step in turn. Nothing is changed before all that can refuse has been asked, but by approvals and secrets.
fn permit(
    cx: &mut WriteContext<'_>,
    attempt: &Attempt,
    arguments: &Arguments,
    person: Option<&Person>,
    trace: &mut Trace,
) -> Result<Leaving> {
    let session = session::require_valid(cx.tx.as_read(), &cx.caller.tenant, &attempt.session_id, cx.now)
        .inspect_err(|_| trace.stop("session", "valid", Value::Null))?;
    trace.pass("session", json!({"agent_id": session.agent_id, "scopes": session.scopes}));
    let called = Called { name: &attempt.tool, upstream: attempt.upstream.as_ref(), offered: attempt.offered };
    let tool = tool::known(cx, called, trace)?;
    // What an operator put in place of the arguments is judged from here on as if the agent had asked for it.
    let edited = edited::of(cx, &session, &tool, arguments, trace)?;
    let arguments = edited.as_ref().map_or(arguments, |edited| &edited.arguments);
    scope::held(&session, &tool, trace)?;
    let question = Question {
        tenant: &cx.caller.tenant,
        key: &cx.caller.principal,
        bound_key: flow::bound_key(cx.caller),
        session_id: session.id.as_str(),
        session: Some(&session),
        pinned: Some(&tool),
        agent: session.agent_id.as_str(),
        upstream: tool.upstream.as_str(),
        tool: &tool.name,
        arguments: arguments.canonical(),
        at: cx.now,
    };
    let policy::Passed { uses, mut because } = policy::all_pass(cx, &question, trace)?;
    let Cost { reserved: cost, by_result } = budget::affordable(cx, &session, &tool, arguments.canonical(), trace)?;
    because.extend(flow::needs_approval(cx, &session, &tool, trace)?);
    if secret_placeholder::has_any(arguments.canonical()) {
        because.extend(filled::judged(cx, &session, &tool, &question, trace)?);
    }
    let because = (!because.is_empty()).then(|| because.join("; "));
    match &edited {
        // The person who changed it has approved what became of it.
        Some(edited) => edited::use_up(cx, edited, trace)?,
        None => approval::given(cx, &session, &tool, arguments, because, person, trace)?,
    }
    let written = if secret_placeholder::has_any(arguments.canonical()) {
        secret::fill(cx, &session, &tool.upstream, arguments.canonical(), trace)?
    } else {
        Zeroizing::new(arguments.written().to_owned())
    };
    if cost > crate::model::Money::ZERO {
        vault::budget::deduct(cx, &session, cost)?;
    }
    for counted in &uses {
        cx.tx.count_policy_use(&cx.caller.tenant, counted, 1)?;
    }
    flow::note(cx, &session, &tool)?;
    let call = InFlightCall {
        id: crypto::name::<16>("call_").map_err(Error::internal)?,
        upstream: tool.upstream.clone(),
        tool: tool.name.clone(),
        session_id: session.id.clone(),
        cost,
        uses,
        started_at: cx.now,
        lease: cx.now.plus_seconds(LEASE_SECONDS),
    };
    cx.tx.begin_call(&cx.caller.tenant, &call)?;
    begun(cx, &session, &tool, &call, arguments, trace)?;
    Ok(Leaving { call, arguments: written, by_result, edited: edited.map(Arc::new) })
}

impl Going {
    /// The arguments as they are to be sent, secrets included.
    pub fn arguments(&self) -> &Zeroizing<String> {
        &self.arguments
    }

    /// The upstream, and its own name for the tool.
    pub fn tool(&self) -> (&UpstreamName, &str) {
        (&self.call.upstream, &self.call.tool)
    }

    /// Names the call in the log.
    pub fn id(&self) -> &str {
        &self.call.id
    }

    /// What an operator changed of the arguments, if anything.
    pub fn edited(&self) -> Option<&Arc<Edited>> {
        self.edited.as_ref()
    }

    /// What came back besides the answer, such as a question, without secrets.
    pub(super) async fn redact(&self, text: Box<RawValue>) -> Box<RawValue> {
        self.known.answer(text, self.told_so_far()).await
    }

    /// What is told in progress, or in a log message, without secrets: also such as are split over several.
    pub(super) fn told(&self, params: Box<RawValue>, kind: Told) -> Box<RawValue> {
        let mut before = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.known.told(params, kind, &mut before)
    }

    fn told_so_far(&self) -> Carry {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes down that the upstream asks the client something, and whether the client was asked.
    pub(super) async fn note_question(&self, method: &'static str, passed: bool) -> Result<()> {
        let call = Arc::clone(&self.call);
        self.cx.write(move |cx| record::asked(cx, &call, method, passed)).await
    }

    /// The second half: what came of it. Answers what the caller may see.
    pub async fn settle(mut self, outcome: Outcome) -> Result<Box<RawValue>, Failure> {
        match outcome {
            Outcome::Answered(result) => {
                self.finish(self.answered(&result));
                let result = self.known.answer(result, self.told_so_far()).await;
                Ok(match &self.edited {
                    Some(edited) => edited.told_with(result),
                    None => result,
                })
            }
            Outcome::Failed(failure) => {
                let Failure { mut kind, message, unsent } = failure;
                let message = self.known.text(&message);
                if let FailureKind::Rpc(error) = kind {
                    kind = FailureKind::Rpc(self.known.answer(error, self.told_so_far()).await);
                }
                let mut failure = Failure { kind, message, unsent };
                self.finish(Ending::of(&failure));
                if let (Some(edited), FailureKind::Rpc(error)) = (&self.edited, &failure.kind) {
                    failure.kind = FailureKind::Rpc(edited.told_with_error(error.clone()));
                }
                Err(failure)
            }
        }
    }

    /// The same where the caller has its answer already, and `outcome` is without secrets.
    pub fn close(mut self, outcome: &Outcome) {
        let ending = match outcome {
            Outcome::Answered(result) => self.answered(result),
            Outcome::Failed(failure) => Ending::of(failure),
        };
        self.finish(ending);
    }

    fn answered(&self, result: &RawValue) -> Ending {
        let cost = self.by_result.as_ref().map(|by_result| by_result.stated(result.get()));
        Ending::Answered { failed: says_error(result), bytes: result.get().len(), cost }
    }

    fn finish(&mut self, ending: Ending) {
        self.settled = true;
        let (call, took) = (Arc::clone(&self.call), self.began.elapsed());
        // Durable soon after. If the process ends before, the call is found open, and closed as unknown.
        let id = call.id.clone();
        self.cx.write_outcome(&id, move |cx| settle::settle(cx, &call, &ending, took));
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.finish(Ending::Unknown { why: "the call was given up before it was answered".to_owned() });
    }
}

/// Whether a result says of itself that it is an error.
fn says_error(result: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Said {
        #[serde(default)]
        is_error: Option<bool>,
    }
    serde_json::from_str::<Said>(result.get()).is_ok_and(|said| said.is_error == Some(true))
}
