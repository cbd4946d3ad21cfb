//! Notifies MCP clients when the tools that they may call change.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    crypto,
    error::Result,
    model::{Caller, Credential, MAX_UPSTREAMS, TenantId},
    operations::{Haldir, proxied},
    proxy::{catalogue::MAX_PINS, policy::MAX_POLICIES},
};

/// The polling interval while a client follows the changes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The actor in the audit log when an upstream's tools are listed again.
const PRINCIPAL: &str = "proxy";

/// Detects changes with one poll for all clients of a tenant: changes by this process, by other processes, and by upstreams.
#[derive(Clone)]
pub struct ToolChanges {
    haldir: Haldir,
    // A mutex that blocks its thread: held to look up or insert, never across a wait.
    watched: Arc<Mutex<HashMap<TenantId, watch::Sender<u64>>>>,
}

impl ToolChanges {
    /// Without followers.
    pub fn new(haldir: Haldir) -> Self {
        Self { haldir, watched: Arc::default() }
    }

    /// A receiver of every change from now on. Dropping it ends the subscription.
    pub async fn follow(&self, credential: &Credential) -> Result<watch::Receiver<u64>> {
        let tenant = self.haldir.watch_proxy(credential)?.caller.tenant;
        let followed = |this: &Self| {
            let watched = this.watched.lock();
            watched.get(&tenant).map(watch::Sender::subscribe)
        };
        if let Some(changes) = followed(self) {
            return Ok(changes);
        }
        let stamp = self.haldir.tools_stamp(&tenant).await?;
        let mut watched = self.watched.lock();
        if let Some(other) = watched.get(&tenant) {
            return Ok(other.subscribe());
        }
        let (sender, changes) = watch::channel(0);
        watched.insert(tenant.clone(), sender.clone());
        drop(watched);
        tokio::spawn(self.clone().look(tenant, sender, stamp));
        Ok(changes)
    }

    /// Polls until no receiver is left.
    async fn look(self, tenant: TenantId, sender: watch::Sender<u64>, mut stamp: [u8; 32]) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            {
                let mut watched = self.watched.lock();
                if sender.receiver_count() == 0 {
                    watched.remove(&tenant);
                    return;
                }
            }
            match self.haldir.tools_stamp(&tenant).await {
                Ok(now) if now != stamp => {
                    stamp = now;
                    sender.send_modify(|changes| *changes += 1);
                }
                Ok(_) => {}
                // The next poll tries again.
                Err(error) => tracing::warn!(%error, "whether tools have changed is not known"),
            }
        }
    }
}

impl Haldir {
    /// A digest of the tools that a tenant's clients may call. It first lists the tools of upstreams that announced a change.
    async fn tools_stamp(&self, tenant: &TenantId) -> Result<[u8; 32]> {
        let now = self.inner.services.clock.now();
        let cx = self.outward(Caller::internal(tenant.clone(), PRINCIPAL), now);
        let upstreams = cx.read(|cx| Ok(cx.tx.upstreams(tenant, MAX_UPSTREAMS)?))?;
        for upstream in &upstreams {
            let link = self.inner.services.upstreams.existing(tenant, &upstream.name);
            if link.is_some_and(|link| link.has_changed())
                && let Ok(reach) = proxied::reach(&cx, &upstream.name)
            {
                // An upstream whose tools cannot be listed is not called either.
                drop(proxied::refresh(&cx, &upstream.name, &reach).await?);
            }
        }
        let (tenant, names) = (tenant.clone(), upstreams.into_iter().map(|upstream| upstream.name));
        let names: Vec<_> = names.collect();
        let callable = self.inner.store.scan(move |tx| {
            let mut all = Vec::new();
            // Policies hide tools that they forbid.
            for policy in tx.policies(&tenant, MAX_POLICIES)? {
                all.extend_from_slice(policy.id.as_str().as_bytes());
                all.push(0);
            }
            for upstream in &names {
                for (name, digest) in tx.callable_tools(&tenant, upstream, MAX_PINS)? {
                    all.extend_from_slice(upstream.as_str().as_bytes());
                    // The separator; no name contains it.
                    all.push(0);
                    all.extend_from_slice(name.as_bytes());
                    all.push(0);
                    all.extend_from_slice(&digest);
                }
            }
            Ok(all)
        });
        let callable = callable.await?;
        Ok(crypto::digest(&[&callable]))
    }
}
