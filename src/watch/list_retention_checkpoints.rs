//! `listRetentionCheckpoints`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::retention;
use crate::{
    call::{ReadContext, ReadOperation, page_size},
    error::Result,
    model::UnixMicros,
};

/// Checkpoints in one answer.
const MAX_LIMIT: i64 = 1_000;

/// List the runs that erased details, newest first. The entries themselves were never touched.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRetentionCheckpoints {
    /// How many at most. Default 100.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 100))]
    limit: Option<i64>,
}

/// Runs that erased details.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RetentionCheckpoints {
    /// How many are in this answer.
    pub count: usize,
    /// Newest first.
    pub checkpoints: Vec<RetentionCheckpoint>,
}

/// A run that erased details.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RetentionCheckpoint {
    /// Names the run, in its audit entry as well.
    pub checkpoint_id: String,
    /// When it began, in Unix seconds.
    pub created_at: UnixMicros,
    /// Who asked for it: a key, by its first characters, or `retention` for the daily run.
    pub actor: String,
    /// Entries whose details it has erased so far. No entry was deleted.
    pub entries_deleted: i64,
    /// Details of entries up to this one are erased.
    pub last_seq: i64,
    /// Entries that it has yet to go through.
    pub entries_left: i64,
    /// Entries from before this time were due, in Unix seconds.
    pub pruned_before: UnixMicros,
    /// Days after which details were erased.
    pub retain_days: i64,
    /// The size of the log when it began.
    pub tree_size: i64,
    /// The Merkle root of the log at that size, in hexadecimal.
    pub root_hash: String,
    /// The tree's definition.
    pub algorithm: Cow<'static, str>,
}

impl ReadOperation for ListRetentionCheckpoints {
    type Output = RetentionCheckpoints;

    fn run(self, cx: &ReadContext<'_>) -> Result<RetentionCheckpoints> {
        let runs = cx.tx.erasures(&cx.caller.tenant, page_size(self.limit, MAX_LIMIT)?)?;
        let checkpoints: Vec<_> = runs
            .into_iter()
            .map(|run| RetentionCheckpoint {
                checkpoint_id: retention::checkpoint_id(run.number),
                created_at: run.created_at,
                entries_deleted: run.erased,
                last_seq: run.done_seq,
                entries_left: run.up_to_seq - run.done_seq,
                pruned_before: run.before,
                retain_days: run.retain_days,
                tree_size: run.tree_size,
                root_hash: retention::root_text(&run),
                algorithm: super::tree::ALGORITHM.into(),
                actor: run.actor,
            })
            .collect();
        Ok(RetentionCheckpoints { count: checkpoints.len(), checkpoints })
    }
}
