//! Compliance: the evidence pack, the score, and schedules.
//!
//! A pack tells of one period. Its figures come from the log's own counters and from records that do not change once the
//! period is over, so that the pack of a closed period is the same whenever it is made, but for the date of making.

pub mod create_schedule;
pub mod delete_schedule;
mod document;
mod figures;
pub mod get_evidence;
pub mod get_evidence_manifest;
pub mod get_score;
pub mod list_schedules;
mod pack;
mod period;
mod render;
pub mod runs;
mod sections;
mod statements;

pub(crate) use render::MarkdownEscaper;

use crate::{
    error::Result,
    model::{MAX_SCHEDULES, TenantId},
    store::{ReadTx, compliance::Schedule},
};

/// The tenant's schedule with this id.
fn find(tx: &ReadTx, tenant: &TenantId, id: &str) -> Result<Option<Schedule>> {
    Ok(tx.schedules(tenant, MAX_SCHEDULES)?.into_iter().find(|schedule| schedule.id == id))
}
