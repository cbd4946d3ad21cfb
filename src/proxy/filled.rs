//! Judges a call again with its secrets filled in, as the upstream will read it: a secret that an agent stored itself could
//! stand for an amount that no policy allows as written.

use serde_json::Value;

use super::{
    budget,
    policy::{self, PolicyInput, amount},
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
/// Why a person has to decide, without the value.
const ASKED: &str = "with its secrets filled in, a policy wants a person to decide on the call";

/// Whether one of the secrets that a text names was stored after this time, or is not there any more.
pub(crate) fn stored_after(tx: &ReadTx, tenant: &TenantId, text: &str, since: Option<UnixMicros>) -> Result<bool> {
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

/// Judges the call as it would be sent by all steps that it passed as written; returns why a person has to decide, if one must.
/// Refusals contain no values.
pub(super) fn judged(
    cx: &WriteContext<'_>,
    session: &Session,
    tool: &PinnedTool,
    input: &PolicyInput<'_>,
    trace: &mut Trace,
) -> Result<Option<String>> {
    let written = input.arguments;
    let filled = secret::as_sent(cx, session, &tool.upstream, written, trace)?;
    let input = PolicyInput { arguments: &filled, ..*input };
    let mut refuse = || {
        trace.stop(STEP, "filled in", Value::Null);
        let message = "with its secrets filled in, the call does not pass what it passes as written: what policies, costs and \
                       approvals look at, such as an amount, is written in the call itself";
        Error::new(Code::PolicyDenied, message)
    };
    // Its trace could contain the values, so it is dropped.
    let passed = match policy::all_pass(cx, &input, &mut Trace::default()) {
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
