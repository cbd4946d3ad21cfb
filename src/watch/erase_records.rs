//! What `eraseAgent` and `eraseSession` share.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::erasing::{self, erasure_id};
use crate::{
    call::OutwardContext,
    error::Result,
    store::erasing::{Concerned, Subject, SubjectErasure},
};

/// Steps that one call takes: each is a transaction of its own.
const STEPS_OF_A_CALL: usize = 500;
/// Between two steps: others' calls come first.
const STEP_PAUSE: Duration = Duration::from_millis(5);

/// What was erased, or with `dry_run` what there is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecordsErased {
    /// Whether all is erased; while it is false, the same call goes on.
    complete: bool,
    /// Whether nothing was erased, since `dry_run` was not false.
    dry_run: bool,
    /// `agent` or `session`.
    kind: &'static str,
    /// Names the erasure, in its audit entries as well; null with `dry_run`.
    erasure_id: Option<String>,
    /// Entries of its own, whose texts and details are erased. Their places, hashes, times and amounts stay.
    entries: i64,
    /// Entries of others whose details named it: their details are erased.
    details: i64,
    /// Its sessions.
    sessions: i64,
    /// Approvals, payments, events on their way and kept answers.
    records: i64,
}

/// Erases in steps, or says only what there is.
pub(super) async fn run(cx: &OutwardContext, subject: Subject, dry_run: bool) -> Result<RecordsErased> {
    if dry_run {
        return preview(cx, subject).await;
    }
    let mut steps = 0;
    loop {
        let of = subject.clone();
        let run = cx.write(move |cx| erasing::step(cx, &of)).await?;
        steps += 1;
        if run.completed_at.is_some() || steps == STEPS_OF_A_CALL {
            return Ok(RecordsErased::of(&run, subject.kind()));
        }
        tokio::time::sleep(STEP_PAUSE).await;
    }
}

async fn preview(cx: &OutwardContext, subject: Subject) -> Result<RecordsErased> {
    let (tenant, kind, now) = (cx.caller.tenant.clone(), subject.kind(), cx.services.clock.now());
    cx.store.caught_up().await;
    let found = cx.store.scan(move |tx| {
        let found = tx.concerned(&tenant, &subject)?;
        if found.sessions == 0 && found.entries == 0 && !found.is_counted {
            return Err(erasing::not_found(&subject));
        }
        erasing::require_ended(tx, &tenant, &subject, now)?;
        Ok(found)
    });
    let Concerned { sessions, entries, .. } = found.await?;
    Ok(RecordsErased {
        complete: false,
        dry_run: true,
        kind,
        erasure_id: None,
        entries,
        details: 0,
        sessions,
        records: 0,
    })
}

impl RecordsErased {
    /// Whether a repetition is answered the same.
    pub(super) fn is_final(&self) -> bool {
        self.complete && !self.dry_run
    }

    fn of(run: &SubjectErasure, kind: &'static str) -> Self {
        Self {
            complete: run.completed_at.is_some(),
            dry_run: false,
            kind,
            erasure_id: Some(erasure_id(run.number)),
            entries: run.entries,
            details: run.details,
            sessions: run.sessions,
            records: run.records,
        }
    }
}
