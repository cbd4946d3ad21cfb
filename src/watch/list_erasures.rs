//! `listErasures`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erasing::erasure_id;
use crate::{
    call::{ReadContext, ReadOperation, page_size},
    error::Result,
    model::UnixMicros,
};

/// Erasures in one answer.
const MAX_LIMIT: i64 = 1_000;

/// List the erasures of agents and sessions, newest first. They do not say of which.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListErasures {
    /// How many at most. Default 100.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 100))]
    limit: Option<i64>,
}

/// Erasures.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Erasures {
    /// How many are in this answer.
    count: usize,
    /// Newest first.
    erasures: Vec<ErasureDetail>,
}

/// An erasure.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErasureDetail {
    /// Names it, in its audit entries as well.
    erasure_id: String,
    /// `agent` or `session`.
    kind: String,
    /// When it began, in Unix seconds.
    begun_at: UnixMicros,
    /// When it was complete, in Unix seconds; null while it is not.
    completed_at: Option<UnixMicros>,
    /// Who asked for it: a key, by its first characters, `local` or `operator`.
    actor: String,
    /// Entries whose texts and details were erased.
    entries: i64,
    /// Entries of others whose details were erased.
    details: i64,
    /// Sessions that were erased.
    sessions: i64,
    /// Other records that were erased.
    records: i64,
}

impl ReadOperation for ListErasures {
    type Output = Erasures;

    fn run(self, cx: &ReadContext<'_>) -> Result<Erasures> {
        let runs = cx.tx.subject_erasures(&cx.caller.tenant, i64::MAX, page_size(self.limit, MAX_LIMIT)?)?;
        let detail = |run: crate::store::erasing::SubjectErasure| ErasureDetail {
            erasure_id: erasure_id(run.number),
            kind: run.kind,
            begun_at: run.begun_at,
            completed_at: run.completed_at,
            actor: run.actor,
            entries: run.entries,
            details: run.details,
            sessions: run.sessions,
            records: run.records,
        };
        let erasures: Vec<_> = runs.into_iter().map(detail).collect();
        Ok(Erasures { count: erasures.len(), erasures })
    }
}
