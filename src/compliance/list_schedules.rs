//! `listComplianceSchedules`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{Cadence, MAX_SCHEDULES, TenantId, UnixMicros},
    store::compliance::Schedule,
};

/// List the schedules of evidence packs, with the results of their last runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListComplianceSchedules {}

/// The schedules.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleList {
    /// How many there are; a tenant has at most 32.
    pub count: usize,
    /// In the order of their ids.
    pub schedules: Vec<ScheduleDetail>,
}

/// A schedule. Times are Unix seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleDetail {
    /// Its id.
    pub schedule_id: String,
    /// Its name.
    pub name: String,
    /// How often it makes a pack.
    pub cadence: Cadence,
    /// The destination of its packs.
    pub delivery: String,
    /// Whether it runs; always true.
    pub active: bool,
    /// When it was created.
    pub created_at: UnixMicros,
    /// When it last ran, successfully or not; 0 is never.
    pub last_run_at: UnixMicros,
    /// When the next pack is made, or retried.
    pub next_due: UnixMicros,
    /// Where the period of the next pack begins.
    pub next_period_start: UnixMicros,
    /// The tenant.
    pub tenant_id: TenantId,
    /// `ok`, `failed`, or empty before the first run.
    pub last_status: Cow<'static, str>,
    /// Why the last run failed; empty otherwise.
    pub last_error: String,
    /// Packs that were put into the webhook's outbox.
    pub run_count: i64,
    /// Runs that failed; each is retried after an hour.
    pub fail_count: i64,
}

impl ScheduleDetail {
    pub(super) fn of(schedule: Schedule, tenant_id: TenantId) -> Self {
        Self {
            last_status: schedule.last_status().into(),
            schedule_id: schedule.id,
            name: schedule.name,
            cadence: schedule.cadence,
            delivery: format!("webhook:{}", schedule.webhook_id),
            active: true,
            created_at: schedule.created_at,
            last_run_at: schedule.last_run_at.unwrap_or_default(),
            next_due: schedule.due_at,
            next_period_start: schedule.period_start,
            tenant_id,
            last_error: schedule.last_error,
            run_count: schedule.run_count,
            fail_count: schedule.fail_count,
        }
    }
}

impl ReadOperation for ListComplianceSchedules {
    type Output = ScheduleList;

    fn run(self, cx: &ReadContext<'_>) -> Result<ScheduleList> {
        let tenant = &cx.caller.tenant;
        let schedules = cx.tx.schedules(tenant, MAX_SCHEDULES)?;
        let schedules: Vec<_> =
            schedules.into_iter().map(|schedule| ScheduleDetail::of(schedule, tenant.clone())).collect();
        Ok(ScheduleList { count: schedules.len(), schedules })
    }
}
