//! `createComplianceSchedule`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{list_schedules::ScheduleDetail, period::SETTLING_SECONDS};
use crate::{
    call::{WriteContext, WriteOperation},
    crypto,
    error::{Code, Error, Result},
    model::{Cadence, MAX_SCHEDULES, text::Text},
    store::{WebhookState, compliance::Schedule},
    watch::{self, Draft},
};

/// Schedule an evidence pack for each day, week, month or quarter (UTC), delivered to a webhook after the period as the event
/// `compliance.evidence_pack`. The first is for the period in which the schedule is created. Packs that were missed while
/// no server ran are made later, one for each period.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateComplianceSchedule {
    /// A name for people.
    name: Text<1, 128>,
    /// How often.
    cadence: Cadence,
    /// `webhook:` and the webhook's number, such as `webhook:1`. Haldir sends no e-mail.
    #[schemars(regex(pattern = "^webhook:[1-9][0-9]{0,17}$"), extend("examples" = ["webhook:1"]))]
    delivery: Text<1, 256>,
}

impl WriteOperation for CreateComplianceSchedule {
    type Output = ScheduleDetail;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ScheduleDetail> {
        let tenant = &cx.caller.tenant;
        let webhook_id = webhook_of(self.delivery.as_str())?;
        let webhook = cx.tx.webhook(tenant, webhook_id)?;
        if webhook.is_none_or(|webhook| webhook.state == WebhookState::Deleted) {
            let message =
                format!("delivery: there is no webhook {webhook_id}: register it with POST /v1/webhooks first");
            return Err(Error::new(Code::NotFound, message).field("delivery"));
        }
        if cx.tx.schedules(tenant, MAX_SCHEDULES)?.len() >= MAX_SCHEDULES {
            let message = format!("there are {MAX_SCHEDULES} schedules already: delete one first");
            return Err(Error::new(Code::Conflict, message));
        }
        let period_start = self.cadence.start_of(cx.now);
        let schedule = Schedule {
            id: crypto::token::<16>("sched_").map_err(Error::internal)?,
            name: self.name.into_string(),
            cadence: self.cadence,
            webhook_id,
            created_at: cx.now,
            period_start,
            due_at: self.cadence.end_of(period_start).plus_seconds(SETTLING_SECONDS),
            last_run_at: None,
            last_error: String::new(),
            run_count: 0,
            fail_count: 0,
        };
        cx.tx.put_schedule(tenant, &schedule)?;
        let details = json!({"schedule_id": schedule.id, "name": schedule.name, "cadence": schedule.cadence,
            "webhook_id": webhook_id});
        watch::append(cx, Draft::governance("schedule.create", None, &details)?)?;
        Ok(ScheduleDetail::of(schedule, cx.caller.tenant.clone()))
    }
}

fn webhook_of(delivery: &str) -> Result<i64> {
    let (scheme, rest) = delivery.split_once(':').unwrap_or((delivery, ""));
    let message = match scheme {
        "webhook" => match rest.parse::<i64>() {
            Ok(id) if id > 0 => return Ok(id),
            _ => "delivery: webhook: is followed by the webhook's number, such as webhook:1",
        },
        "email" => "delivery: haldir sends no e-mail; register a webhook that does, and name it, such as webhook:1",
        _ => "delivery must be webhook: and the webhook's number, such as webhook:1",
    };
    Err(Error::invalid("delivery", message))
}
