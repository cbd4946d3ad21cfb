//! A call with its secrets filled in, as its upstream will read it. What is judged must be what leaves: a secret that an agent
//! has stored itself could stand for an amount that no policy would let pass as written.

use serde_json::Value;

use super::{
    budget,
    policy::{self, Question, amount},
    secret,
    trace::Trace,
};
use crate::{
    approvals,
    call::WriteContext,
    error::{Code, Error, Result},
    model::{PinnedTool, Session, TenantId, UnixMicros, secret_placeholder},
    store::ReadTx,
};

const STEP: &str = "secrets";
/// Why a person has to decide. It says nothing of the value.
const ASKED: &str = "with its secrets filled in, a policy wants a person to decide on the call";

/// Whether one of the secrets that a text names was stored after this time, or is not there any more.
pub(crate) fn stored_after(tx: &dyn ReadTx, tenant: &TenantId, text: &str, since: Option<UnixMicros>) -> Result<bool> {
    if !secret_placeholder::has_any(text) {
        return Ok(false);
    }
    for name in secret_placeholder::names(text).unwrap_or_default() {
        let stored = tx.secret(tenant, &name)?.map(|secret| secret.created_at);
        if stored.is_none_or(|stored| since.is_none_or(|since| stored > since)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Holds the call as it would leave to everything that it has passed as written; answers why a person has to decide, if they
/// have to. Refusals say nothing of the values.
pub(super) fn judged(
    cx: &WriteContext<'_>,
    session: &Session,
    tool: &PinnedTool,
    question: &Question<'_>,
    trace: &mut Trace,
) -> Result<Option<String>> {
    let written = question.arguments;
    let filled = secret::as_sent(cx, session, &tool.upstream, written, trace)?;
    let question = Question { arguments: &filled, ..*question };
    let mut refuse = || {
        trace.stop(STEP, "filled in", Value::Null);
        let message = "with its secrets filled in, the call does not pass what it passes as written: what policies, costs and \
                       approvals look at, such as an amount, is written in the call itself";
        Error::new(Code::PolicyDenied, message)
    };
    // What the trace of it would say could hold the values.
    let passed = match policy::all_pass(cx, &question, &mut Trace::default()) {
        Err(error) if error.code == Code::PolicyDenied => return Err(refuse()),
        passed => passed?,
    };
    if budget::cost(tool, &filled).ok() != budget::cost(tool, written).ok() {
        return Err(refuse());
    }
    if approvals::has_rules(cx)? && amount::named_amount(&filled)? != amount::named_amount(written)? {
        return Err(refuse());
    }
    Ok((!passed.because.is_empty()).then(|| ASKED.to_owned()))
}
