//! The one seam to a database. Rooms never see SQL; backends never see rules.
//!
//! [`Store::write`] runs a closure over a transaction and answers after its commit is durable;
//! [`Store::read`] runs one over a snapshot. No lock, cache or static is the truth: the database is, since
//! several processes share it.

mod batch;
pub mod copying;
mod database;
mod error;
mod policy_cache;
#[cfg(feature = "postgres")]
pub mod postgres;
mod readers;
mod row_cache;
mod snapshots;
pub mod sqlite;
mod statements;
mod strict;
mod tables;
mod tx;
mod write_buffer;
mod writer;

use std::{path::Path, sync::Arc};

use database::Connection;
use haldir_core::{
    crypto, metrics, model,
    model::{TenantId, UnixMicros},
};
use readers::Readers;
use row_cache::RowCache;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{Semaphore, oneshot},
};
use writer::Writer;

use error::{CoreError, CoreResult};
pub use error::{Error, Result};
pub use snapshots::{ReplicaStatus, Snapshots};
pub use tables::{
    approvals::ApprovalQuery,
    audit::{Append, AuditPage, AuditPart, AuditQuery, Head, LeafHash, StoredEntryProblem},
    compliance,
    counters::{AgentStats, Cost, CostsOf, IdempotentResponse},
    erasing,
    keys::{ApiKeyUpdate, TenantRecord},
    payments::PaymentQuery,
    retention,
    sessions::SessionQuery,
    signing, stats, tree,
    usage::{Backlog, OpenSessions, Top, Totals, Usage},
    webhooks::{Attempt, DeadLetter, PreviousSecret, QueuedEvent, Webhook, WebhookState},
};
pub use tx::{ReadTx, Tx};

/// Bytes of details after which a page of a list ends, whatever its limit: a thousand of the largest would be 64 MB,
/// several times over while they become an answer.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Scans at a time; one more waits. Each holds a page or more.
const MAX_SCANS: usize = 64;

/// Whether this is the address of a database on Postgres, and not the path of an embedded one.
pub fn is_postgres_url(address: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme))
}

/// A handle on the database. Cloning it is cheap.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    readers: Arc<Readers>,
    writer: Writer,
    row_cache: Arc<RowCache>,
    scans: Arc<Semaphore>,
    /// Whether a read may have to wait for another machine.
    reads_wait: bool,
    #[cfg(feature = "postgres")]
    look_ups: Option<postgres::LookUps>,
    #[cfg(feature = "postgres")]
    outage: Option<Arc<postgres::Outage>>,
    #[cfg(feature = "postgres")]
    replica: Option<Arc<postgres::Replica>>,
}

impl Store {
    /// Opens or creates the database at `path` and brings its schema up to date. Refuses one that [`copying`] has not completed.
    pub fn open(path: &Path) -> CoreResult<Self> {
        Self::open_unfinished(path)?.finished()
    }

    /// The same, also where a copy is not complete.
    pub fn open_unfinished(path: &Path) -> CoreResult<Self> {
        let connection = sqlite::open(path)?;
        let row_cache = Arc::new(RowCache::new(sqlite::version_of(path)));
        let readers = Readers::new(sqlite::readers(path), None, 0);
        let inner = Self::start(connection, Arc::clone(&row_cache), readers, row_cache, false)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens a database on Postgres and brings its schema up to date. Refuses one that [`copying`] has not completed.
    #[cfg(feature = "postgres")]
    pub fn open_postgres(settings: postgres::PostgresSettings) -> CoreResult<Self> {
        Self::open_postgres_unfinished(settings)?.finished()
    }

    /// The same, also where a copy is not complete.
    #[cfg(feature = "postgres")]
    pub fn open_postgres_unfinished(settings: postgres::PostgresSettings) -> CoreResult<Self> {
        let (pool_max, pool_min) = (settings.pool_max, settings.pool_min);
        let postgres::Opened { writer, version, readers, look_ups, replica, outage } = postgres::open(settings)?;
        let of_readers = Arc::new(RowCache::new(Box::new(|| None)));
        let of_writer = Arc::new(RowCache::new(version));
        let readers = Readers::new(readers, Some(pool_max), pool_min);
        let mut inner = Self::start(writer, of_writer, readers, of_readers, true)?;
        inner.look_ups = Some(look_ups);
        inner.outage = Some(outage);
        inner.replica = replica.map(Arc::new);
        Ok(Self { inner: Arc::new(inner) })
    }

    fn finished(self) -> CoreResult<Self> {
        if self.read(|tx| Ok(copying::is_unfinished(tx)?))? {
            return Err(copying::unfinished().into());
        }
        Ok(self)
    }

    fn start(
        connection: Box<dyn Connection>,
        of_writer: Arc<RowCache>,
        readers: Readers,
        row_cache: Arc<RowCache>,
        reads_wait: bool,
    ) -> CoreResult<Inner> {
        let (writer, readers) = (Writer::start(connection, of_writer)?, Arc::new(readers));
        let scans = Arc::new(Semaphore::new(MAX_SCANS));
        Ok(Inner {
            readers,
            writer,
            row_cache,
            scans,
            reads_wait,
            #[cfg(feature = "postgres")]
            look_ups: None,
            #[cfg(feature = "postgres")]
            outage: None,
            #[cfg(feature = "postgres")]
            replica: None,
        })
    }

    /// Runs `work` in a transaction of its own, which appends to no other tenant's log than this, or one that it makes or locks
    /// ([`Tx::lock_tenant`]). Its changes are kept only if it answers `Ok`, and then this answers once they are durable. `work` runs on
    /// another thread, batched with others, and may run again if its transaction could not be committed: nothing of an earlier run
    /// stands then.
    pub fn write<'s, T: Send + 'static, W: FnMut(&mut Tx) -> CoreResult<T> + Send + 'static>(
        &'s self,
        tenant: &TenantId,
        work: W,
    ) -> impl Future<Output = CoreResult<T>> + use<'s, T, W> {
        self.inner.writer.write(Some(tenant.clone()), work)
    }

    /// As [`Self::write`], for what belongs to no tenant, or to all of them. It appends to no log.
    pub async fn write_for_all<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx) -> CoreResult<T> + Send + 'static,
    ) -> CoreResult<T> {
        self.inner.writer.write(None, work).await
    }

    /// As [`Self::write`], for a change that no caller waits for: it is committed with the next one, or a millisecond later.
    /// `failed` is called if it is not made, on any thread. Changes that are queued later find it made.
    pub fn write_behind(
        &self,
        tenant: &TenantId,
        work: impl FnMut(&mut Tx) -> CoreResult<()> + Send + 'static,
        failed: impl Fn(CoreError) + Send + Sync + 'static,
    ) {
        self.inner.writer.write_behind(tenant.clone(), work, failed);
    }

    /// Whether a change that was handed to [`Self::write_behind`] is still to be committed.
    pub fn is_behind(&self) -> bool {
        self.inner.writer.is_behind()
    }

    /// Waits until what was handed to [`Self::write_behind`] so far is committed, so that the next read finds it, unless
    /// the writer takes no more.
    pub async fn caught_up(&self) {
        if self.is_behind() {
            let _ = self.write_for_all(|_| Ok(())).await;
        }
    }

    /// Runs `work` on a snapshot, at once and on this thread: for look-ups by key, which take microseconds. Where they have to wait
    /// for another machine, a runtime with several threads moves its other tasks away from this one meanwhile.
    pub fn read<T>(&self, work: impl FnOnce(&ReadTx) -> CoreResult<T>) -> CoreResult<T> {
        let read = || self.inner.readers.read(&self.inner.row_cache, work);
        let in_runtime =
            Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        if self.inner.reads_wait && in_runtime { tokio::task::block_in_place(read) } else { read() }
    }

    /// As [`Self::read`], for a look-up of few rows by their keys, each of which may be newer than the one before. It waits for another
    /// machine without a thread; `work` may run several times, and only its last outcome counts.
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_async, reason = "only Postgres is waited for"))]
    pub async fn look_up<T: Send>(&self, work: impl FnMut(&ReadTx) -> CoreResult<T> + Send) -> CoreResult<T> {
        #[cfg(feature = "postgres")]
        if let Some(look_ups) = &self.inner.look_ups {
            return look_ups.run(work).await;
        }
        self.read(work)
    }

    /// Runs `work` on a snapshot, on a thread where it may take its time: for lists and verification.
    pub async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTx) -> CoreResult<T> + Send + 'static,
    ) -> CoreResult<T> {
        let store = self.clone();
        self.on_scan_thread(move || store.read(work)).await
    }

    async fn on_scan_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> CoreResult<T> + Send + 'static,
    ) -> CoreResult<T> {
        let turn = Arc::clone(&self.inner.scans).acquire_owned().await.map_err(CoreError::internal)?;
        let (sender, receiver) = oneshot::channel();
        // Boxed: tokio's task is compiled once, and not for each operation.
        let work: Box<dyn FnOnce() + Send> = Box::new(move || {
            let _held = turn;
            drop(sender.send(work()));
        });
        tokio::task::spawn_blocking(work).await.map_err(CoreError::internal)?;
        receiver.await.map_err(CoreError::internal)?
    }

    /// Since when the database cannot be reached, and why; `None` while it can, and for an embedded one.
    pub fn outage(&self) -> Option<(UnixMicros, String)> {
        #[cfg(feature = "postgres")]
        return self.inner.outage.as_ref()?.current();
        #[cfg(not(feature = "postgres"))]
        None
    }

    /// Stops taking writes, finishes those that were taken, and folds the log into the database file.
    pub fn close(&self) {
        self.inner.writer.close();
    }
}
