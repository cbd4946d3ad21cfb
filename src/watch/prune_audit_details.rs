//! `pruneAuditDetails`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::retention::{self, Begin};
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Code, Error, Result},
    model::UnixMicros,
    watch::{self, Draft},
};

/// Erase the details that are due now, instead of waiting for the daily run. One call goes through 1,000 entries; what
/// is left is gone through in the background, or by calling again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneAuditDetails {
    /// Must be true: what is erased cannot be brought back.
    #[schemars(required, extend("const" = true))]
    confirm: Option<bool>,
}

/// What was erased. No entry is ever deleted: only details are.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ErasedDetails {
    /// Whether anything was due.
    pub pruned: bool,
    /// Why nothing was; empty if something was.
    pub reason: String,
    /// Names the run; null if nothing was due.
    pub checkpoint_id: Option<String>,
    /// Entries that this call erased the details of.
    pub entries_deleted: i64,
    /// Entries that the run has yet to go through.
    pub entries_left: i64,
    /// Entries from before this time are due, in Unix seconds; null if nothing was.
    pub pruned_before: Option<UnixMicros>,
    /// Days after which details are erased.
    pub retain_days: i64,
    /// The size of the log when the run began.
    pub tree_size: Option<i64>,
    /// The Merkle root of the log at that size, in hexadecimal: it is what it would be without erasing.
    pub root_hash: Option<String>,
    /// The tree's definition.
    pub algorithm: Option<Cow<'static, str>>,
}

impl WriteOperation for PruneAuditDetails {
    type Output = ErasedDetails;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ErasedDetails> {
        if self.confirm != Some(true) {
            let message = "confirm must be true: details that are erased cannot be brought back";
            return Err(Error::new(Code::ConfirmationRequired, message).field("confirm"));
        }
        let Some((run, erased)) = retention::step(cx, Begin::Now)? else {
            let keys = cx.keys()?;
            let set = retention::setting(cx.tx, &keys, &cx.caller.tenant)?;
            let retain_days = set.map_or(0, |set| set.retain_days);
            let reason = if retain_days == 0 {
                "details are kept for ever: set a retention first"
            } else {
                "no entry is old enough"
            };
            let details = serde_json::json!({"pruned": false, "reason": reason});
            watch::append(cx, Draft::governance("audit.erase_details", None, &details)?)?;
            return Ok(ErasedDetails { reason: reason.to_owned(), retain_days, ..ErasedDetails::default() });
        };
        Ok(ErasedDetails {
            pruned: true,
            reason: String::new(),
            checkpoint_id: Some(retention::checkpoint_id(run.number)),
            entries_deleted: erased,
            entries_left: run.up_to_seq - run.done_seq,
            pruned_before: Some(run.before),
            retain_days: run.retain_days,
            tree_size: Some(run.tree_size),
            root_hash: Some(retention::root_text(&run)),
            algorithm: Some(super::tree::ALGORITHM.into()),
        })
    }
}
