//! The task that makes the packs of schedules. Every serving process runs one.
//!
//! A pack of a closed period is the same in every process, so it is made on a snapshot. One transaction then puts it into the
//! webhook's outbox and moves the schedule on to its next period, unless another process has done so: with several processes,
//! and after a kill at any moment, each period is delivered once.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    find,
    pack::Pack,
    period::{Period, SETTLING_SECONDS},
    sections,
};
use crate::{
    call::{Job, ReadContext, Services, WriteContext, alone},
    error::{Error, Result},
    model::{Caller, TenantId, UnixMicros},
    outbox,
    store::{ReadTx, Store, Tx, compliance::Schedule},
    watch::{self, Draft, chain},
};

/// Between two passes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Schedules in one pass.
const AT_A_TIME: usize = 16;
/// The delay before a failed run is retried, in seconds.
const RETRY_SECONDS: i64 = 3_600;
/// The event that carries a pack.
pub const EVENT: &str = "compliance.evidence_pack";
/// The actor in the audit log.
const PRINCIPAL: &str = "schedule";

/// Runs due schedules until `stop`.
pub async fn run(store: Store, services: Arc<Services>, stop: CancellationToken) {
    let runner = Runner { store, services };
    loop {
        let pass = async {
            if let Err(error) = runner.run_due().await {
                tracing::warn!(%error, "schedules of evidence wait");
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = pass => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// What the task works with.
struct Runner {
    store: Store,
    services: Arc<Services>,
}

impl Runner {
    /// Runs all schedules that are due now. A schedule that is behind runs once for each period.
    async fn run_due(&self) -> Result<()> {
        loop {
            let now = self.services.clock.now();
            let due = self.store.read(|tx| Ok(tx.due_schedules(now, AT_A_TIME)?))?;
            if due.is_empty() {
                return Ok(());
            }
            // Two processes would make the same packs, and one of each would be thrown away.
            let Some(done) = alone(&self.store, &self.services, Job::Schedules, self.run_each(due, now)).await? else {
                return Ok(());
            };
            done?;
        }
    }

    async fn run_each(&self, due: Vec<(TenantId, String)>, now: UnixMicros) -> Result<()> {
        let mut failed = None;
        for (tenant, id) in due {
            // A failed write for one schedule must not stop the others.
            failed = self.run_one(tenant, id, now).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn run_one(&self, tenant: TenantId, id: String, now: UnixMicros) -> Result<()> {
        let caller = Caller::internal(tenant.clone(), PRINCIPAL);
        let (services, asking, wanted) = (Arc::clone(&self.services), caller.clone(), id);
        let made = self.store.scan(move |tx: &ReadTx| {
            let Some(schedule) = find(tx, &asking.tenant, &wanted)?.filter(|schedule| schedule.due_at <= now) else {
                return Ok(None);
            };
            let period = Period { start: schedule.period_start, end: schedule.cadence.end_of(schedule.period_start) };
            let cx = ReadContext { tx, caller: &asking, now, services: &services };
            // A pack that cannot be made, such as for a log with an altered end, is a failed run.
            Ok(Some((schedule, sections::make(&cx, period))))
        });
        let Some((schedule, pack)) = made.await? else { return Ok(()) };
        let services = Arc::clone(&self.services);
        let work = move |tx: &mut Tx| {
            let mut cx = WriteContext { tx, caller: &caller, now, services: &services };
            finish(&mut cx, &schedule, pack.as_ref())
        };
        self.store.write(&tenant, work).await
    }
}

/// Delivers the pack and moves the schedule on, unless another process has.
fn finish(cx: &mut WriteContext<'_>, made_for: &Schedule, pack: Result<&Pack, &Error>) -> Result<()> {
    let tenant = cx.caller.tenant.clone();
    let Some(mut schedule) = find(cx.tx, &tenant, &made_for.id)? else { return Ok(()) };
    if schedule.period_start != made_for.period_start || schedule.due_at != made_for.due_at {
        return Ok(());
    }
    let ready = pack.map_err(Error::clone).and_then(|pack| {
        outbox::require_active(cx.tx, &tenant, schedule.webhook_id)?;
        let keys = cx.keys()?;
        chain::authentic_head(cx.tx, &keys, &tenant).map(|_| pack)
    });
    schedule.last_run_at = Some(cx.now);
    match ready {
        Ok(pack) => {
            // A failure from here on rolls the whole run back.
            deliver(cx, &schedule, pack)?;
            schedule.run_count += 1;
            schedule.last_error = String::new();
            schedule.period_start = schedule.cadence.end_of(schedule.period_start);
            schedule.due_at = schedule.cadence.end_of(schedule.period_start).plus_seconds(SETTLING_SECONDS);
        }
        Err(error) => {
            schedule.fail_count += 1;
            schedule.last_error = error.message;
            schedule.due_at = cx.now.plus_seconds(RETRY_SECONDS);
        }
    }
    Ok(cx.tx.put_schedule(&tenant, &schedule)?)
}

fn deliver(cx: &mut WriteContext<'_>, schedule: &Schedule, pack: &Pack) -> Result<()> {
    let digest = pack.signatures.as_ref().map(|signatures| signatures.digest.clone());
    let fields = json!({
        "schedule_id": schedule.id, "name": schedule.name, "cadence": schedule.cadence,
        "period_start": pack.period_start, "period_end": pack.period_end, "digest": digest, "pack": pack,
    });
    let event_id = outbox::send_to(cx, schedule.webhook_id, EVENT, &fields)?;
    let details = json!({"schedule_id": schedule.id, "webhook_id": schedule.webhook_id, "event_id": event_id,
        "period_start": pack.period_start, "period_end": pack.period_end, "digest": digest});
    watch::append(cx, Draft::governance("evidence.deliver", None, &details)?).map(drop)
}
