//! What a server does by itself, between calls: it erases details that are due.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::engine::Haldir;
use crate::{
    call::WriteContext,
    error::Result,
    model::{Caller, Ceilings, Role, TenantId, Tier},
    store::Tx,
    watch::retention::{self, Begin},
};

/// Between two looks for what is due.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// Between two steps: calls come first.
const STEP_PAUSE: Duration = Duration::from_millis(50);
/// Tenants that one look reads at a time.
const TENANTS_AT_A_TIME: usize = 100;
/// Who is in the log as the one that erased.
const PRINCIPAL: &str = "retention";

impl Haldir {
    /// Erases what is due, now and then, until `stop`. Several processes may do it on one store: each step looks
    /// again at what the others have done.
    pub async fn keep_retention(&self, stop: CancellationToken) {
        loop {
            let pass = self.apply_retention();
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = pass => outcome,
            };
            if let Err(error) = outcome {
                tracing::error!(%error, "details that are due could not be erased");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Erases all that is due of every tenant, a step at a time.
    pub async fn apply_retention(&self) -> Result<()> {
        let mut after = String::new();
        loop {
            let tenants = self.inner.store.read(|tx| Ok(tx.tenants_with_retention(&after, TENANTS_AT_A_TIME)?))?;
            let Some(last) = tenants.last() else { return Ok(()) };
            after = last.to_string();
            for tenant in tenants {
                // One tenant's altered records do not keep the others' details.
                if let Err(error) = self.erase_due(&tenant).await {
                    tracing::error!(%error, %tenant, "details that are due could not be erased");
                }
            }
        }
    }

    async fn erase_due(&self, tenant: &TenantId) -> Result<()> {
        loop {
            let (services, caller) = (Arc::clone(&self.inner.services), caller(tenant.clone(), PRINCIPAL));
            let work = move |tx: &mut dyn Tx| {
                let now = services.clock.now();
                retention::step(&mut WriteContext { tx, caller: &caller, now, services: &services }, Begin::Daily)
            };
            match self.inner.store.write(work).await? {
                Some((run, _)) if run.done_seq < run.up_to_seq => tokio::time::sleep(STEP_PAUSE).await,
                _ => return Ok(()),
            }
        }
    }
}

/// Who does what nobody asked for.
pub(super) fn caller(tenant: TenantId, principal: &str) -> Caller {
    Caller {
        tenant,
        principal: principal.to_owned(),
        role: Role::Operator,
        permissions: Vec::new(),
        ceilings: Ceilings::NONE,
        tier: Tier::Free,
        expires_at: None,
        is_key: false,
    }
}
