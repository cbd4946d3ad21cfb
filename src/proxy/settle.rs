//! The outcome of a call: its entry, its budget, its counts.

use std::time::Duration;

use serde::Serialize;

use super::budget::Stated;
use crate::{
    call::WriteContext,
    error::Result,
    model::{InFlightCall, Money},
    upstream::{Failure, FailureKind},
    vault::budget,
    watch::{self, Draft},
};

/// How a call ended.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    /// The upstream answered; its result may say that it is an error, and what the call cost.
    Answered { failed: bool, bytes: usize, cost: Option<Stated> },
    /// The call did not leave, or the upstream answered with a failure.
    Failed { kind: &'static str, why: String, unsent: bool },
    /// It may have been carried out.
    Unknown { why: String },
}

impl Ending {
    pub(super) fn of(failure: &Failure) -> Self {
        let why = failure.message.clone();
        let unsent = failure.unsent || matches!(failure.kind, FailureKind::Busy);
        if unsent || matches!(failure.kind, FailureKind::Rpc(_) | FailureKind::Status(..)) {
            Self::Failed { kind: failure.kind.name(), why, unsent }
        } else {
            Self::Unknown { why }
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Answered { failed: false, .. } => "proxyCall.ok",
            Self::Answered { failed: true, .. } | Self::Failed { .. } => "proxyCall.failed",
            Self::Unknown { .. } => "proxyCall.unknown",
        }
    }

    /// Whether the call never left, and so burns neither budget nor rate. One that left may have been carried out,
    /// whatever its upstream says of it: an upstream that acts and then answers with an error would otherwise let an
    /// agent act without end on a budget for one call.
    fn gives_back(&self) -> bool {
        matches!(self, Self::Failed { unsent: true, .. })
    }

    fn is_failure(&self) -> bool {
        !matches!(self, Self::Answered { failed: false, .. })
    }
}

/// What the log says of it.
#[derive(Serialize)]
struct Details<'a> {
    call_id: &'a str,
    tool: &'a str,
    milliseconds: u128,
    bytes: Option<usize>,
    failure: Option<&'static str>,
    reason: Option<&'a str>,
    cost: Money,
    /// Another process had taken it for abandoned, and closed it as unknown.
    late: bool,
}

/// Closes the call, once.
pub(super) fn settle(cx: &mut WriteContext<'_>, call: &InFlightCall, ending: &Ending, took: Duration) -> Result<()> {
    let tenant = cx.caller.tenant.clone();
    let was_open = cx.tx.end_call(&tenant, &call.id)?;
    let gives_back = was_open && ending.gives_back();
    let (unneeded, alert) = match ending {
        _ if gives_back => (call.cost, String::new()),
        Ending::Answered { cost: Some(Stated::Unneeded(amount)), .. } if was_open => (*amount, String::new()),
        // That a failure tells no cost is no reason to look twice.
        Ending::Answered { failed: false, cost: Some(Stated::Unclear(why)), .. } => (Money::ZERO, why.clone()),
        _ => (Money::ZERO, String::new()),
    };
    if unneeded > Money::ZERO {
        budget::give_back(cx, &call.session_id, unneeded, call.started_at)?;
    }
    if gives_back {
        for counted in &call.uses {
            cx.tx.count_policy_use(&tenant, counted, -1)?;
        }
    }
    if was_open {
        if !call.uses.is_empty() {
            cx.tx.forget_policy_uses(super::policy::over(cx.now.0), super::policy::CLEAR_AT_ONCE)?;
        }
        let micros = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        cx.tx.count_call(&tenant, &call.upstream, micros, ending.is_failure())?;
    }
    let session = cx.tx.session(&tenant, &call.session_id)?;
    let name = format!("{}.{}", call.upstream, call.tool);
    let (kind, why, bytes) = match ending {
        Ending::Answered { bytes, .. } => (None, None, Some(*bytes)),
        Ending::Failed { kind, why, .. } => (Some(*kind), Some(why), None),
        Ending::Unknown { why } => (None, Some(why), None),
    };
    let details = Details {
        call_id: &call.id,
        tool: &name,
        milliseconds: took.as_millis(),
        bytes,
        failure: kind,
        reason: why.map(String::as_str),
        cost: call.cost.minus_floor_zero(unneeded),
        late: !was_open,
    };
    let draft = Draft::governance(ending.action(), session.as_deref(), &details)?;
    watch::append(cx, Draft { tool: &name, alert, ..draft })?;
    Ok(())
}
