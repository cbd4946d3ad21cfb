//! What a server does besides answering calls: background jobs, and the work on a whole store behind the commands for backup,
//! key rotation and the tampering demonstration. Each job runs until its token is cancelled; a failure is logged, and the job
//! continues at its next interval.

pub mod mirrors;
mod retention;
pub mod store_copy;
pub mod store_transfer;
pub mod tampering_demo;
pub mod tool_changes;
mod tree_heads;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    compliance::runs,
    error::Result,
    model::TenantId,
    operations::Haldir,
    store::ReadTx,
    watch::tree::{self, Tree},
    webhooks::delivery,
};

/// Logs or tenants that one read transaction lists.
const PAGE: usize = 100;

impl Haldir {
    /// Delivers queued webhook events until `stop`.
    pub fn deliver_webhooks(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        delivery::run(self.inner.store.clone(), Arc::clone(&self.inner.services), stop)
    }

    /// Makes the evidence packs of due schedules until `stop`.
    pub fn run_schedules(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        runs::run(self.inner.store.clone(), Arc::clone(&self.inner.services), stop)
    }

    /// The tenants, in pages: those after `after`, which moves to the last one.
    fn next_logs(&self, after: &mut String) -> Result<Vec<TenantId>> {
        let tenants = self.inner.store.read(|tx| Ok(tx.tenants(after, PAGE)?))?;
        if let Some(last) = tenants.last() {
            *after = last.id.to_string();
        }
        Ok(tenants.into_iter().map(|tenant| tenant.id).collect())
    }

    /// The name of a log, and a checkpoint of its head, signed now.
    fn sign_checkpoint(&self, tx: &ReadTx, tenant: &TenantId, log: &Tree<'_>) -> Result<(String, String)> {
        let services = &self.inner.services;
        let origin = tree::origin(tenant, services.keyring.tenant(tx, tenant)?.log_name);
        let keys = services.keyring.signing_keys(tx)?;
        let note = tree::checkpoint(&keys, &origin, log.size(), log.root(), services.clock.now());
        Ok((origin, note.to_string()))
    }
}
