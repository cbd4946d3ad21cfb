//! A governed call: decided before it is sent, settled when its result is back.

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use serde_json::{Value, json, value::RawValue};
use zeroize::Zeroizing;

use super::{
    approval,
    budget::{self, ByResult, Cost},
    edited::{self, Edited},
    filled, flow,
    mid_call::MidCallRequests,
    policy::{self, PolicyInput},
    record::{DENIED, HELD, begun, record},
    scope, secret,
    settle::{self, Settlement},
    tool::{self, Called},
    trace::Trace,
};
use crate::{
    approvals::arguments::Arguments,
    call::{InFlightCalls, LEASE_SECONDS, Lease, OutwardContext, WriteContext, session},
    crypto,
    error::{Code, Error, Result},
    metrics::METRICS,
    model::{ElicitationResponse, InFlightCall, PendingApproval, SessionId, UpstreamName, secret_placeholder},
    protocol::Message,
    redact::{Carry, Known, Told},
    upstream::{Failure, FailureKind},
    vault,
};

/// A call that a client asks for.
#[derive(Clone, Debug)]
pub struct CallRequest {
    /// Its session.
    pub session_id: SessionId,
    /// The tool: `upstream.tool` or `tool`, or the tool's own name if `upstream` is given.
    pub tool: String,
    /// The upstream that was called directly.
    pub upstream: Option<UpstreamName>,
    /// Whether the connection for the call offers the tool, if the interface knows.
    pub is_listed: Option<bool>,
    /// JSON text of the arguments, as it was written.
    pub arguments: String,
}

/// The decision on a call. It is in the log already.
pub enum Verdict {
    /// It may be sent.
    Allowed(Box<AllowedCall>),
    /// It waits for a person's decision.
    Pending(PendingApproval),
    /// It is refused.
    Refused(Error),
}

/// The text of a refusal: a sentence for the model, and JSON after it. Some clients take text that is only JSON for structured
/// content, and report no more than that it does not match the tool's schema.
pub fn refusal_text(error: &Error) -> String {
    format!("{}\n{}", error.sentence(), refusal_json(error))
}

/// The same as JSON alone, for REST.
pub(super) fn refusal_json(error: &Error) -> String {
    json!({"error": error.message, "code": error.code.name(), "blocked_by": "haldir"}).to_string()
}

/// A call that may be sent, with its lease. Settle it whatever happens; one that is dropped is settled as unknown.
pub struct AllowedCall {
    cx: OutwardContext,
    call: Arc<InFlightCall>,
    arguments: Zeroizing<String>,
    /// The secrets to redact from what comes back.
    known: Arc<Known>,
    /// The ends of notifications so far: a secret can be split over several.
    told: Mutex<Carry>,
    /// The part of the cost that the result states.
    by_result: Option<Box<ByResult>>,
    edited: Option<Arc<Edited>>,
    began: Instant,
    settled: bool,
    _lease: Lease,
}

/// The upstream's response to a call.
#[derive(Debug)]
pub enum Outcome {
    /// A result as the upstream wrote it; it may say that it is an error.
    Answered(Box<RawValue>),
    /// No result.
    Failed(Failure),
}

impl Outcome {
    /// That of a response.
    pub fn of(response: &Message<'_>) -> Self {
        let failed = |kind, message: &str| Self::Failed(Failure { kind, message: message.to_owned(), unsent: false });
        match (response.result, response.error) {
            (Some(result), _) => Self::Answered(result.to_owned()),
            (None, Some(error)) => failed(FailureKind::Rpc(error.to_owned()), "it answered with an error"),
            (None, None) => Self::unknown("the upstream's answer could not be read"),
        }
    }

    /// No response came: whether the upstream carried the call out is unknown.
    pub fn unknown(why: &str) -> Self {
        Self::Failed(Failure { kind: FailureKind::Unavailable, message: why.to_owned(), unsent: false })
    }

    /// No response came, for this reason.
    pub fn not_answered(failure: &Failure) -> Self {
        Self::Failed(Failure { kind: FailureKind::Unavailable, ..failure.clone() })
    }

    /// The call was not sent.
    pub fn unsent(why: &str) -> Self {
        Self::Failed(Failure { kind: FailureKind::Unavailable, message: why.to_owned(), unsent: true })
    }
}

/// The first half of a call: decides whether it may be sent.
pub async fn begin(cx: &OutwardContext, request: CallRequest) -> Result<Verdict> {
    let arguments = Arguments::parse(&request.arguments)?;
    let person = cx.client.consent.clone();
    let decided = cx.write(move |cx| decide(cx, &request, &arguments, person.as_deref())).await?;
    let Permitted { call, arguments, by_result, edited } = match decided {
        Ok(permitted) => *permitted,
        Err(verdict) => return Ok(verdict),
    };
    let known = secret::for_caller(&cx.services, &cx.caller, &call.upstream);
    let (cx, call, by_result) = (cx.clone(), Arc::new(call), by_result.map(Box::new));
    let (began, lease) = (Instant::now(), InFlightCalls::add(&cx, &call));
    Ok(Verdict::Allowed(Box::new(AllowedCall {
        cx,
        call,
        arguments,
        known,
        told: Mutex::default(),
        by_result,
        edited,
        began,
        settled: false,
        _lease: lease,
    })))
}

/// A call that may be sent, or the verdict that it may not.
type Decided = std::result::Result<Box<Permitted>, Verdict>;

struct Permitted {
    call: InFlightCall,
    arguments: Zeroizing<String>,
    by_result: Option<ByResult>,
    edited: Option<Arc<Edited>>,
}

/// Decides, and appends the decision to the log.
fn decide(
    cx: &mut WriteContext<'_>,
    request: &CallRequest,
    arguments: &Arguments,
    person: Option<&ElicitationResponse>,
) -> Result<Decided> {
    let mut trace = Trace::default();
    match permit(cx, request, arguments, person, &mut trace) {
        Ok(permitted) => Ok(Ok(Box::new(permitted))),
        Err(error) if error.code == Code::ApprovalRequired => {
            // The approval request stays; nothing else was changed before it.
            let text =
                |name: &str| error.extra(name).and_then(|value| serde_json::from_str::<String>(value.get()).ok());
            let held = PendingApproval {
                request_id: text("approval_request_id").unwrap_or_default(),
                reason: error.message.clone(),
            };
            METRICS.refused_by(error.code as usize).add_one();
            record(cx, request, arguments, HELD, &error, &trace)?;
            Ok(Err(Verdict::Pending(held)))
        }
        Err(error) if error.is_refusal() => {
            cx.tx.start_over()?;
            METRICS.refused_by(error.code as usize).add_one();
            record(cx, request, arguments, DENIED, &error, &trace)?;
            Ok(Err(Verdict::Refused(error)))
        }
        Err(error) => Err(error),
    }
}

/// Runs the steps in order. Only approvals and secrets write before the last step that can refuse.
fn permit(
    cx: &mut WriteContext<'_>,
    request: &CallRequest,
    arguments: &Arguments,
    person: Option<&ElicitationResponse>,
    trace: &mut Trace,
) -> Result<Permitted> {
    let session = session::require_valid(cx.tx, &cx.caller.tenant, &request.session_id, cx.now)
        .inspect_err(|_| trace.stop("session", "valid", Value::Null))?;
    trace.pass("session", json!({"agent_id": session.agent_id, "scopes": session.scopes}));
    let called = Called { name: &request.tool, upstream: request.upstream.as_ref(), is_listed: request.is_listed };
    let tool = tool::known(cx, called, trace)?;
    // From here on the operator's edited arguments are judged as if the agent had sent them.
    let edited = edited::of(cx, &session, &tool, arguments, trace)?;
    let arguments = edited.as_ref().map_or(arguments, |edited| &edited.arguments);
    scope::held(&session, &tool, trace)?;
    let input = PolicyInput {
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
    let policy::Passed { uses, mut because } = policy::all_pass(cx, &input, trace)?;
    let Cost { reserved: cost, by_result } = budget::affordable(cx, &session, &tool, arguments.canonical(), trace)?;
    because.extend(flow::needs_approval(cx, &session, &tool, trace)?);
    if secret_placeholder::has_any(arguments.canonical()) {
        because.extend(filled::judged(cx, &session, &tool, &input, trace)?);
    }
    let because = (!because.is_empty()).then(|| because.join("; "));
    match &edited {
        // The operator who edited the arguments has approved them.
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
    Ok(Permitted { call, arguments: written, by_result, edited: edited.map(Arc::new) })
}

impl AllowedCall {
    /// The arguments to send, secrets included.
    pub fn arguments(&self) -> &Zeroizing<String> {
        &self.arguments
    }

    /// The upstream, and its own name for the tool.
    pub fn tool(&self) -> (&UpstreamName, &str) {
        (&self.call.upstream, &self.call.tool)
    }

    /// The call's id in the log.
    pub fn id(&self) -> &str {
        &self.call.id
    }

    /// The operator's edit of the arguments, if any.
    pub fn edited(&self) -> Option<&Arc<Edited>> {
        self.edited.as_ref()
    }

    /// Redacts a message other than the result, such as a mid-call request.
    pub(super) async fn redact(&self, text: Box<RawValue>) -> Box<RawValue> {
        self.known.answer(text, self.told_so_far()).await
    }

    /// Redacts a progress or log notification, also secrets that are split over several.
    pub(super) fn told(&self, params: Box<RawValue>, kind: Told) -> Box<RawValue> {
        let mut before = self.told.lock();
        self.known.told(params, kind, &mut before)
    }

    fn told_so_far(&self) -> Carry {
        self.told.lock().clone()
    }

    /// Counts, logs and names the mid-call requests of this call.
    pub fn mid_call_requests(&self) -> MidCallRequests {
        MidCallRequests::of_call(self.cx.clone(), Arc::clone(&self.call))
    }

    /// The second half: records the outcome, and returns what the caller may see.
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
                self.finish(Settlement::of(&failure));
                if let (Some(edited), FailureKind::Rpc(error)) = (&self.edited, &failure.kind) {
                    failure.kind = FailureKind::Rpc(edited.told_with_error(error.clone()));
                }
                Err(failure)
            }
        }
    }

    /// The same where the caller has its response already, and `outcome` is redacted.
    pub fn close(mut self, outcome: &Outcome) {
        let ending = match outcome {
            Outcome::Answered(result) => self.answered(result),
            Outcome::Failed(failure) => Settlement::of(failure),
        };
        self.finish(ending);
    }

    fn answered(&self, result: &RawValue) -> Settlement {
        let cost = self.by_result.as_ref().map(|by_result| by_result.stated(result.get()));
        Settlement::Answered { failed: says_error(result), bytes: result.get().len(), cost }
    }

    fn finish(&mut self, ending: Settlement) {
        self.settled = true;
        let (call, took) = (Arc::clone(&self.call), self.began.elapsed());
        // Durable soon after. If the process ends before, the call is found open and closed as unknown.
        let id = call.id.clone();
        self.cx.write_outcome(&id, move |cx| settle::settle(cx, &call, &ending, took));
    }
}

impl Drop for AllowedCall {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.finish(Settlement::Unknown { why: "the call was given up before it was answered".to_owned() });
    }
}

/// Whether a result has `isError`.
fn says_error(result: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ToolResult {
        is_error: Option<bool>,
    }
    serde_json::from_str::<ToolResult>(result.get()).is_ok_and(|result| result.is_error == Some(true))
}
