//! What a server does about tree heads by itself: it signs and records one of each log that has grown.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::engine::Haldir;
use crate::{
    call::{PublishedKey, WriteContext, has_retired},
    crypto::{Hash, PublicKey, Verifier},
    error::{Error, Result},
    model::{Caller, Ceilings, Role, TenantId, Tier},
    store::{
        TenantRecord, Tx,
        tree::{Heads, RecordedHead},
    },
    watch::{
        self, Draft,
        tree::{self, Tree},
        verify_audit_trail::Verification,
        verify_log,
    },
};

/// Between two looks for logs that have grown.
const RECORD_EVERY: Duration = Duration::from_secs(300);
/// Logs that are looked at in one snapshot.
const LOGS_AT_A_TIME: usize = 100;
/// The longest overlap of two signing keys, in days.
const MAX_OVERLAP_DAYS: i64 = 365;

impl Haldir {
    /// Records the heads of logs that have grown, now and then, until `stop`.
    pub async fn keep_tree_heads(&self, stop: CancellationToken) {
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

    /// Signs and records the head of every log that is larger than when it was last recorded. A log that does not begin
    /// with what was recorded is not signed: that would bear witness to a forgery.
    pub async fn record_tree_heads(&self) -> Result<()> {
        let mut after = String::new();
        loop {
            let tenants = self.inner.store.read(|tx| Ok(tx.tenants(&after, LOGS_AT_A_TIME)?))?;
            let Some(last) = tenants.last() else { return Ok(()) };
            after = last.id.to_string();
            for TenantRecord { id: tenant, .. } in tenants {
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
        let tenant = tenant.clone();
        self.inner.store.write(move |tx: &mut dyn Tx| Ok(tx.record_head(&tenant, &head)?)).await
    }

    /// Every key that tree heads were signed with, the newest first: for who has no key of the API.
    pub fn published_keys(&self) -> Result<Vec<PublishedKey>> {
        self.inner.store.read(|tx| Ok(self.inner.services.keyring.signing_keys(tx)?.published().to_vec()))
    }

    /// Checks the whole log of a tenant, on as many threads; `progress` is told how many entries are done, of how many.
    pub fn verify_log(
        &self,
        tenant: &TenantId,
        threads: usize,
        progress: &mut dyn FnMut(i64, i64),
    ) -> Result<Verification> {
        verify_log::verify(&self.inner.store, &self.inner.services.keyring, tenant, threads, progress)
    }

    /// The local log's checkpoint.
    pub(super) fn own_checkpoint(&self) -> Result<String> {
        let (services, tenant) = (&self.inner.services, TenantId::local());
        self.inner.store.read(|tx| {
            let log = Tree::open(tx, &services.keyring, &tenant)?;
            let origin = tree::origin(&tenant, services.keyring.tenant(tx, &tenant)?.log_name);
            let keys = services.keyring.signing_keys(tx)?;
            Ok(tree::checkpoint(&keys, &origin, log.size(), log.root(), services.clock.now()).to_string())
        })
    }

    /// The verifier of the local log's checkpoints.
    pub(super) fn own_verifier(&self) -> Result<Verifier> {
        let (services, tenant) = (&self.inner.services, TenantId::local());
        self.inner.store.read(|tx| {
            let origin = tree::origin(&tenant, services.keyring.tenant(tx, &tenant)?.log_name);
            let keys = services.keyring.signing_keys(tx)?;
            Ok(Verifier::of_log(&origin, keys.current().public()))
        })
    }

    /// The proof that the local log begins with its first `size` entries.
    pub(super) fn own_proof(&self, size: u64) -> Result<Vec<Hash>> {
        let (services, tenant) = (&self.inner.services, TenantId::local());
        self.inner.store.read(|tx| {
            let mut log = Tree::open(tx, &services.keyring, &tenant)?;
            let second = log.size();
            Ok(log.consistency(size.min(second), second)?.path)
        })
    }

    /// Puts a new signing key into use. The one before signs checkpoints beside it for `overlap_days`.
    pub async fn rotate_signing_key(&self, overlap_days: i64) -> Result<PublicKey> {
        if !(0..=MAX_OVERLAP_DAYS).contains(&overlap_days) {
            let message = format!("overlap_days must be between 0 and {MAX_OVERLAP_DAYS}");
            return Err(Error::invalid("overlap_days", message));
        }
        let services = Arc::clone(&self.inner.services);
        let work = move |tx: &mut dyn Tx| {
            let now = services.clock.now();
            let retires_at = now.plus_seconds(overlap_days * 86_400);
            let old = services.keyring.signing_keys(tx.as_read())?.current().public();
            let new = services.keyring.rotate_signing_key(tx, now, retires_at)?;
            let details = serde_json::json!({
                "old_key_id": old.id(), "new_key_id": new.id(), "retires_at": retires_at.as_seconds(),
            });
            let mut cx = WriteContext { tx, caller: &of_the_store("operator"), now, services: &services };
            watch::append(&mut cx, Draft::governance("signing_key.rotate", None, &details)?)?;
            Ok(new)
        };
        self.inner.store.write(work).await
    }

    /// Erases the private halves of signing keys whose overlap is over.
    pub async fn erase_retired_signing_keys(&self) -> Result<()> {
        let services = Arc::clone(&self.inner.services);
        if !self.inner.store.read(|tx| has_retired(tx, services.clock.now()))? {
            return Ok(());
        }
        let work = move |tx: &mut dyn Tx| {
            let now = services.clock.now();
            let erased = services.keyring.erase_retired_signing_keys(tx, now)?;
            for key in erased {
                let caller = of_the_store("upkeep");
                let mut cx = WriteContext { tx: &mut *tx, caller: &caller, now, services: &services };
                let details = serde_json::json!({"key_id": key.id()});
                watch::append(&mut cx, Draft::governance("signing_key.erase", None, &details)?)?;
            }
            Ok(())
        };
        self.inner.store.write(work).await
    }
}

/// Who changes what belongs to the whole store.
fn of_the_store(principal: &str) -> Caller {
    Caller {
        tenant: TenantId::local(),
        principal: principal.to_owned(),
        role: Role::Operator,
        permissions: Vec::new(),
        ceilings: Ceilings::NONE,
        tier: Tier::Free,
        expires_at: None,
        is_key: false,
    }
}
