//! `eraseAgent`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::erase_records::{self, RecordsErased};
use crate::{
    call::{OutwardContext, OutwardOperation},
    error::Result,
    model::AgentId,
    store::erasing::Subject,
};

/// Erase everything about one agent: what it did in the log, its sessions, approvals, payments, events and kept answers.
/// Every proof of the log still holds, and totals stay. Its sessions must have ended. One call goes through up to
/// 500,000 entries; while `complete` is false, call again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseAgent {
    /// The agent's name, as its sessions have it.
    agent_id: AgentId,
    /// Whether to say only what there is. Default: true; false erases, and what is erased cannot be brought back.
    #[schemars(extend("default" = true))]
    dry_run: Option<bool>,
}

impl OutwardOperation for EraseAgent {
    type Output = RecordsErased;

    async fn run(self, cx: OutwardContext) -> Result<RecordsErased> {
        erase_records::run(&cx, Subject::Agent(self.agent_id), self.dry_run.unwrap_or(true)).await
    }

    fn is_kept(output: &RecordsErased) -> bool {
        output.is_final()
    }
}
