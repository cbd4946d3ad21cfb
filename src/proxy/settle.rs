//! Settles a call: its audit entry, its budget, its counts.

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

/// The outcome of a call, as it is recorded.
#[derive(Clone, Debug)]
pub(super) enum Settlement {
    /// The upstream returned a result, which may be an error and may state the cost.
    Answered { failed: bool, bytes: usize, cost: Option<Stated> },
    /// The call was not sent, or the upstream returned an error.
    Failed { kind: &'static str, why: String, unsent: bool },
    /// The upstream may have executed it.
    Unknown { why: String },
}

impl Settlement {
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

    /// Whether the call was never sent, and so uses neither budget nor rate. One that was sent may have been executed,
    /// whatever the upstream says: otherwise an upstream that acts and then returns an error would let an agent act without
    /// limit on the budget of one call.
    fn gives_back(&self) -> bool {
        matches!(self, Self::Failed { unsent: true, .. })
    }

    fn is_failure(&self) -> bool {
        !matches!(self, Self::Answered { failed: false, .. })
    }
}

/// The details of the audit entry.
#[derive(Serialize)]
struct Details<'a> {
    call_id: &'a str,
    tool: &'a str,
    milliseconds: u128,
    bytes: Option<usize>,
    failure: Option<&'static str>,
    reason: Option<&'a str>,
    cost: Money,
    /// Whether another process had taken it for abandoned, and closed it as unknown.
    late: bool,
}

/// Closes the call, once.
pub(super) fn settle(
    cx: &mut WriteContext<'_>,
    call: &InFlightCall,
    settlement: &Settlement,
    took: Duration,
) -> Result<()> {
    let tenant = cx.caller.tenant.clone();
    let was_open = cx.tx.end_call(&tenant, &call.id)?;
    let gives_back = was_open && settlement.gives_back();
    let (unneeded, alert) = match settlement {
        _ if gives_back => (call.cost, String::new()),
        Settlement::Answered { cost: Some(Stated::Unneeded(amount)), .. } if was_open => (*amount, String::new()),
        // A failed call without a stated cost raises no alert.
        Settlement::Answered { failed: false, cost: Some(Stated::Unclear(why)), .. } => (Money::ZERO, why.clone()),
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
        cx.tx.count_call(&tenant, &call.upstream, micros, settlement.is_failure())?;
    }
    let session = cx.tx.session(&tenant, &call.session_id)?;
    let name = format!("{}.{}", call.upstream, call.tool);
    let (kind, why, bytes) = match settlement {
        Settlement::Answered { bytes, .. } => (None, None, Some(*bytes)),
        Settlement::Failed { kind, why, .. } => (Some(*kind), Some(why), None),
        Settlement::Unknown { why } => (None, Some(why), None),
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
    let draft = Draft::governance(settlement.action(), session.as_deref(), &details)?;
    watch::append(cx, Draft { tool: &name, alert, ..draft })?;
    Ok(())
}
