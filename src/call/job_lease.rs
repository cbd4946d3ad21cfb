//! Leases of background jobs: of all processes on a store, one at a time does a job. If it dies, its lease ends and another process
//! does the job.

use std::{future::Future, pin::pin, time::Duration};

use super::Services;
use crate::{
    crypto,
    error::{Error, Result},
    store::Store,
};

/// How long a lease lasts that is not renewed.
pub const JOB_LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed meanwhile.
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// A job that one process at a time does.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// Erases details whose retention has ended.
    Retention,
    /// Makes the evidence packs of schedules.
    Schedules,
    /// Removes old attempts and dead letters.
    OldDeliveries,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Schedules => "schedules",
            Self::OldDeliveries => "old deliveries",
        }
    }
}

/// Does the work of a job, unless another process is at it: then this returns `None`. If this process loses the lease, because the store
/// could not be reached for long, the work is abandoned where it next waits.
pub async fn alone<T>(
    store: &Store,
    services: &Services,
    job: Job,
    work: impl Future<Output = T>,
) -> Result<Option<T>> {
    let holder = crypto::token::<16>("").map_err(Error::internal)?;
    if !take(store, services, job, &holder).await? {
        tracing::debug!(job = job.name(), "another process does this job");
        return Ok(None);
    }
    let mut work = pin!(work);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            () = tokio::time::sleep(RENEW_EVERY) => match take(store, services, job, &holder).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(job = job.name(), "the lease of this job was lost: another process does it");
                    return Ok(None);
                }
                Err(error) => tracing::warn!(%error, job = job.name(), "the lease of this job was not renewed"),
            },
        }
    };
    store.write_for_all(move |tx| Ok(tx.release_job(job.name(), &holder)?)).await?;
    Ok(Some(outcome))
}

async fn take(store: &Store, services: &Services, job: Job, holder: &str) -> Result<bool> {
    let (holder, now) = (holder.to_owned(), services.clock.now());
    let until = now.plus_seconds(JOB_LEASE.as_secs().cast_signed());
    store.write_for_all(move |tx| Ok(tx.take_job(job.name(), &holder, now, until)?)).await
}
