//! Erases details whose retention has ended.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    call::{JOB_LEASE, Job, WriteContext, alone},
    error::Result,
    model::{Caller, TenantId},
    operations::Haldir,
    store::Tx,
    watch::retention::{self, Begin},
};

/// Between two passes over all tenants.
const PASS_EVERY: Duration = Duration::from_secs(600);
/// Between two steps, so that calls are not delayed.
const STEP_PAUSE: Duration = Duration::from_millis(50);
/// The actor in the audit log.
const PRINCIPAL: &str = "retention";

impl Haldir {
    /// Erases what is due, every `PASS_EVERY`, until `stop`. Of several processes on one store, one at a time does it.
    pub async fn keep_retention(self, stop: CancellationToken) {
        loop {
            let (store, services) = (&self.inner.store, &self.inner.services);
            let pass = alone(store, services, Job::Retention, self.apply_retention());
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = pass => result,
            };
            let pause = match result.map(Option::transpose).and_then(|done| done) {
                Ok(Some(())) => PASS_EVERY,
                // The process that does it may be one that has died.
                Ok(None) => JOB_LEASE,
                Err(error) => {
                    tracing::error!(%error, "details that are due could not be erased");
                    PASS_EVERY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Erases all that is due of every tenant, a step at a time.
    pub async fn apply_retention(&self) -> Result<()> {
        let mut after = String::new();
        loop {
            let tenants = self.inner.store.read(|tx| Ok(tx.tenants_with_retention(&after, super::PAGE)?))?;
            let Some(last) = tenants.last() else { return Ok(()) };
            after = last.to_string();
            for tenant in tenants {
                // Altered records of one tenant must not stop the erasure for others.
                if let Err(error) = self.erase_due(&tenant).await {
                    tracing::error!(%error, %tenant, "details that are due could not be erased");
                }
            }
        }
    }

    async fn erase_due(&self, tenant: &TenantId) -> Result<()> {
        loop {
            let (services, caller) = (Arc::clone(&self.inner.services), Caller::internal(tenant.clone(), PRINCIPAL));
            let work = move |tx: &mut Tx| {
                let now = services.clock.now();
                retention::step(&mut WriteContext { tx, caller: &caller, now, services: &services }, Begin::Daily)
            };
            match self.inner.store.write(tenant, work).await? {
                Some((run, _)) if run.done_seq < run.up_to_seq => tokio::time::sleep(STEP_PAUSE).await,
                _ => return Ok(()),
            }
        }
    }
}
