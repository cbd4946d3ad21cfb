//! Snapshots for the reads of one response: of the primary, or of a replica whose age the response says.

use std::{cell::Cell, time::Duration};

use crate::{
    ReadTx, Store,
    error::CoreResult,
    model::{TenantId, UnixMicros},
};

/// Whether a replica is read.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// How old its data was when it was last looked at; `None` if it was not to be read then.
    pub age: Option<Duration>,
    /// Since when the primary answers instead, and why; `None` while it does not.
    pub unused: Option<(UnixMicros, String)>,
}

/// A state of the replica that a read has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// How old it was.
    pub(crate) age: Duration,
    /// Tells the server that answered from others behind the same address: one of them may be behind another.
    pub(crate) server: i64,
}

/// Where the reads of one response are made. They never go back in time: all are answered by one replica, and once one is not, this and
/// all later ones by the primary.
pub struct Snapshots {
    store: Store,
    tenant: TenantId,
    /// `None` is the primary.
    replica: Cell<Option<Seen>>,
}

impl Snapshots {
    /// How old the data of the first read is at most; `None` if the primary answers it.
    pub fn age(&self) -> Option<Duration> {
        Some(self.replica.get()?.age)
    }

    /// As [`Store::read`]. `work` runs again, on the primary, if it fails on a replica.
    pub fn read<T>(&self, work: impl Fn(&ReadTx) -> CoreResult<T>) -> CoreResult<T> {
        if let Some(Seen { server, .. }) = self.replica.get() {
            if let Some((value, _)) = self.store.read_replica(&self.tenant, Some(server), &work) {
                return Ok(value);
            }
            self.replica.set(None);
        }
        self.store.read(work)
    }
}

impl Store {
    /// Snapshots of the primary, for reads of this tenant.
    pub fn snapshots(&self, tenant: &TenantId) -> Snapshots {
        Snapshots { store: self.clone(), tenant: tenant.clone(), replica: Cell::new(None) }
    }

    /// The same of a replica, if there is one that is recent enough, else of the primary. Waits for the replica's answer.
    pub fn lagging_snapshots(&self, tenant: &TenantId) -> Snapshots {
        let replica = self.read_replica(tenant, None, &|_: &ReadTx| Ok(())).map(|((), seen)| seen);
        Snapshots { replica: Cell::new(replica), ..self.snapshots(tenant) }
    }

    /// As [`Store::scan`], on a replica if there is one that is recent enough; returns how old the data is, or `None` if the primary
    /// answers. An error of the replica is never returned: what it misses may be there by now, so the primary is asked again.
    pub async fn lagging_scan<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl Fn(&ReadTx) -> CoreResult<T> + Send + 'static,
    ) -> CoreResult<(T, Option<Duration>)> {
        let (store, tenant) = (self.clone(), tenant.clone());
        self.on_scan_thread(move || match store.read_replica(&tenant, None, &work) {
            Some((value, Seen { age, .. })) => Ok((value, Some(age))),
            None => store.read(work).map(|value| (value, None)),
        })
        .await
    }

    /// Whether the replica is read, and how old it is; `None` if there is none.
    pub fn replica(&self) -> Option<ReplicaStatus> {
        #[cfg(feature = "postgres")]
        return Some(self.inner.replica.as_ref()?.status());
        #[cfg(not(feature = "postgres"))]
        None
    }

    /// What `work` returns on a snapshot of the replica, on this one of its servers if one is named; `None` if the primary is to answer.
    fn read_replica<T>(
        &self,
        tenant: &TenantId,
        server: Option<i64>,
        work: &impl Fn(&ReadTx) -> CoreResult<T>,
    ) -> Option<(T, Seen)> {
        #[cfg(feature = "postgres")]
        return self.inner.replica.as_ref()?.read(tenant, server, work);
        #[cfg(not(feature = "postgres"))]
        {
            let _ = (tenant, server, work);
            None
        }
    }
}
