//! Signs and records the tree head of each log that has grown, and looks after the keys that sign them.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    call::{PublishedKey, WriteContext, has_retired},
    crypto::PublicKey,
    error::{Error, Result},
    model::{Caller, TenantId},
    operations::Haldir,
    store::{
        Tx,
        tree::{Heads, RecordedHead},
    },
    watch::{
        self, Draft,
        tree::{self, Tree},
        verify_audit_trail::Verification,
        verify_log,
    },
};

/// Between two passes over all logs.
const RECORD_EVERY: Duration = Duration::from_secs(300);
/// The longest overlap of two signing keys, in days.
const MAX_OVERLAP_DAYS: i64 = 365;

impl Haldir {
    /// Records the heads of logs that have grown, and erases retired signing keys, every `RECORD_EVERY` until `stop`.
    pub async fn keep_tree_heads(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.record_tree_heads().await {
                tracing::error!(%error, "tree heads could not be recorded");
            }
            if let Err(error) = self.erase_retired_signing_keys().await {
                tracing::error!(%error, "signing keys whose time is over could not be erased");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RECORD_EVERY) => {}
            }
        }
    }

    /// Signs and records the head of every log that has grown since it was last recorded. A log that does not begin with
    /// what was recorded of it is not signed: the signature would attest a forgery.
    pub async fn record_tree_heads(&self) -> Result<()> {
        let mut after = String::new();
        loop {
            let logs = self.next_logs(&mut after)?;
            if logs.is_empty() {
                return Ok(());
            }
            for tenant in logs {
                if let Err(error) = self.record_tree_head(&tenant).await {
                    tracing::error!(%error, %tenant, "the head of the log could not be recorded");
                }
            }
        }
    }

    async fn record_tree_head(&self, tenant: &TenantId) -> Result<()> {
        let services = &self.inner.services;
        let next = self.inner.store.read(|tx| {
            let recorded = tx.recorded_heads(tenant, Heads::Before(i64::MAX), 1)?.pop();
            let mut log = Tree::open(tx, &services.keyring, tenant)?;
            if let Some(recorded) = recorded {
                let size = recorded.tree_size.cast_unsigned();
                if size == log.size() {
                    return Ok(None);
                }
                if size > log.size() || log.root_at(size)? != recorded.root_hash {
                    return Err(Error::internal(
                        "the log does not begin with what was recorded of it: it was rewritten",
                    ));
                }
            }
            if log.size() == 0 {
                return Ok(None);
            }
            let (keys, now) = (services.keyring.signing_keys(tx)?, services.clock.now());
            let (root, signed_at) = (log.root(), now.as_seconds());
            let signature = keys.current().sign(&tree::signed_bytes(log.size(), &root, signed_at));
            Ok(Some(RecordedHead {
                tree_size: log.size().cast_signed(),
                root_hash: root,
                signed_at,
                public_key: *keys.current().public().as_bytes(),
                signature: signature.to_vec(),
            }))
        })?;
        let Some(head) = next else { return Ok(()) };
        let of = tenant.clone();
        self.inner.store.write(tenant, move |tx| Ok(tx.record_head(&of, &head)?)).await
    }

    /// Every key that tree heads were signed with, the newest first; the server publishes them without authentication.
    pub fn published_keys(&self) -> Result<Vec<PublishedKey>> {
        self.inner.store.read(|tx| Ok(self.inner.services.keyring.signing_keys(tx)?.published().to_vec()))
    }

    /// Verifies the whole log of a tenant on `threads` threads; calls `progress` with the entries done and their number.
    pub fn verify_log(
        &self,
        tenant: &TenantId,
        threads: usize,
        progress: &mut dyn FnMut(i64, i64),
    ) -> Result<Verification> {
        verify_log::verify(&self.inner.store, &self.inner.services.keyring, tenant, threads, progress)
    }

    /// Puts a new signing key into use. The one before signs checkpoints beside it for `overlap_days`.
    pub async fn rotate_signing_key(&self, overlap_days: i64) -> Result<PublicKey> {
        if !(0..=MAX_OVERLAP_DAYS).contains(&overlap_days) {
            let message = format!("overlap_days must be between 0 and {MAX_OVERLAP_DAYS}");
            return Err(Error::invalid("overlap_days", message));
        }
        let services = Arc::clone(&self.inner.services);
        let work = move |tx: &mut Tx| {
            let now = services.clock.now();
            let retires_at = now.plus_seconds(overlap_days * 86_400);
            let old = services.keyring.signing_keys(tx)?.current().public();
            let new = services.keyring.rotate_signing_key(tx, now, retires_at)?;
            let details = serde_json::json!({
                "old_key_id": old.id(), "new_key_id": new.id(), "retires_at": retires_at.as_seconds(),
            });
            let mut cx =
                WriteContext { tx, caller: &Caller::internal(TenantId::local(), "operator"), now, services: &services };
            watch::append(&mut cx, Draft::governance("signing_key.rotate", None, &details)?)?;
            Ok(new)
        };
        self.inner.store.write(&TenantId::local(), work).await
    }

    /// Erases the private halves of signing keys whose overlap is over.
    pub async fn erase_retired_signing_keys(&self) -> Result<()> {
        let services = Arc::clone(&self.inner.services);
        if !self.inner.store.read(|tx| has_retired(tx, services.clock.now()))? {
            return Ok(());
        }
        let work = move |tx: &mut Tx| {
            let now = services.clock.now();
            let erased = services.keyring.erase_retired_signing_keys(tx, now)?;
            for key in erased {
                let caller = Caller::internal(TenantId::local(), "upkeep");
                let mut cx = WriteContext { tx: &mut *tx, caller: &caller, now, services: &services };
                let details = serde_json::json!({"key_id": key.id()});
                watch::append(&mut cx, Draft::governance("signing_key.erase", None, &details)?)?;
            }
            Ok(())
        };
        self.inner.store.write(&TenantId::local(), work).await
    }
}
