//! `logAction`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    call::{WriteContext, WriteOperation, session},
    error::{Error, Result},
    model::{EntryId, Money, ReportedCost, SessionId, UnixMicros, text::Text},
    watch::{self, Draft, Event},
};

/// The largest `details`, in bytes of JSON.
pub const MAX_DETAILS_BYTES: usize = 65_536;

/// Record what an agent did, in a log that cannot be rewritten: every tool call, request, decision or purchase,
/// right after it happened. The answer says whether it looks anomalous, and why. Do not put secrets into it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogAction {
    /// The session it happened in.
    session_id: SessionId,
    /// What was done.
    action: Text<1, 1024>,
    /// The tool or service it was done with.
    #[schemars(extend("default" = ""))]
    tool: Option<Text<0, 256>>,
    /// More about it: text or any JSON, at most 64 KiB.
    details: Option<Value>,
    /// What it cost, in USD; more than nine decimals are rounded. It is recorded, not deducted: authorizePayment deducts.
    #[schemars(range(min = 0), extend("default" = 0))]
    cost_usd: Option<ReportedCost>,
}

/// The entry that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ActionLogged {
    /// Always true.
    logged: bool,
    /// Names the entry.
    entry_id: EntryId,
    /// Whether it looks anomalous.
    flagged: bool,
    /// Why; empty if it does not.
    flag_reason: String,
    /// Its place in the log.
    seq: i64,
    /// The hash that the next entry will name.
    entry_hash: String,
    /// When it was recorded, in Unix seconds.
    timestamp: UnixMicros,
    /// The cost as it was recorded, in USD.
    cost_usd: Money,
    /// Whether the cost was rounded, since it had more than nine decimals.
    cost_rounded: bool,
}

impl WriteOperation for LogAction {
    type Output = ActionLogged;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ActionLogged> {
        let ReportedCost { amount: cost, rounded } = self.cost_usd.unwrap_or_default();
        if cost.is_negative() {
            return Err(Error::invalid("cost_usd", "cost_usd must be at least 0"));
        }
        let details = self.details.filter(|details| !details.is_null()).map(|details| details.to_string());
        if let Some(length) = details.as_ref().map(String::len).filter(|length| *length > MAX_DETAILS_BYTES) {
            let message = format!("details must have at most {MAX_DETAILS_BYTES} bytes of JSON, this has {length}");
            return Err(Error::invalid("details", message));
        }
        let session = session::require_valid(cx.tx, &cx.caller.tenant, &self.session_id, cx.now)?;
        let tool = self.tool.map_or_else(String::new, Text::into_string);
        let draft = Draft {
            event: Event::Action,
            session: Some(&session),
            tool: &tool,
            action: self.action.as_str(),
            cost,
            details,
            alert: String::new(),
        };
        let entry = watch::append(cx, draft)?;
        Ok(ActionLogged {
            logged: true,
            entry_id: entry.id.clone(),
            flagged: entry.flagged,
            flag_reason: entry.flag_reason.clone(),
            seq: entry.seq,
            entry_hash: watch::canonical::hex(&entry.entry_hash),
            timestamp: entry.at,
            cost_usd: cost,
            cost_rounded: rounded,
        })
    }
}
