//! `deleteComplianceSchedule`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::find;
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::text::Text,
    watch::{self, Draft},
};

/// Delete a schedule. Packs that are queued for its webhook are still delivered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteComplianceSchedule {
    /// Its id.
    schedule_id: Text<1, 64>,
}

/// The empty response.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ScheduleDeleted {}

impl WriteOperation for DeleteComplianceSchedule {
    type Output = ScheduleDeleted;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ScheduleDeleted> {
        let tenant = &cx.caller.tenant;
        let Some(schedule) = find(cx.tx, tenant, self.schedule_id.as_str())? else {
            return Err(Error::not_found("the schedule").field("schedule_id"));
        };
        cx.tx.delete_schedule(tenant, &schedule.id)?;
        let details = json!({"schedule_id": schedule.id, "name": schedule.name});
        watch::append(cx, Draft::governance("schedule.delete", None, &details)?)?;
        Ok(ScheduleDeleted {})
    }
}
