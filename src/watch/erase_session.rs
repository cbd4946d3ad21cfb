//! `eraseSession`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::erase_records::{self, RecordsErased};
use crate::{
    call::{OutwardContext, OutwardOperation},
    error::Result,
    model::SessionId,
    store::erasing::Subject,
};

/// Erase everything about one session: what was done in it, its approvals, payments, events and kept answers. Every proof
/// of the log still holds, and totals stay. It must have ended. One call goes through up to 500,000 entries; while
/// `complete` is false, call again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseSession {
    /// The session.
    session_id: SessionId,
    /// Whether to say only what there is. Default: true; false erases, and what is erased cannot be brought back.
    #[schemars(extend("default" = true))]
    dry_run: Option<bool>,
}

impl OutwardOperation for EraseSession {
    type Output = RecordsErased;

    async fn run(self, cx: OutwardContext) -> Result<RecordsErased> {
        erase_records::run(&cx, Subject::Session(self.session_id), self.dry_run.unwrap_or(true)).await
    }

    fn is_kept(output: &RecordsErased) -> bool {
        output.is_final()
    }
}
