//! Opening a store: checks the master key, and creates the signing key and the local tenant.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    engine::{Haldir, Inner},
    long_poll::MAX_LONG_POLLS,
    quota::Quota,
    streaming::MAX_STREAMS,
};
use crate::{
    call::{Keyring, Services, Settings, WriteContext},
    crypto::Key,
    error::{Code, Error, Result},
    files::free_bytes,
    gate::{
        authenticate::{self, MIN_KEY_CHARS, PUBLIC_CHARS},
        create_api_key,
        last_use::LastUse,
        rate_limit::RateLimiter,
    },
    metrics::METRICS,
    model::{ApiKey, Caller, Ceilings, Clock, Credential, KEY_PREFIX, Role, TenantId, Tier, UnixMicros},
    store::{Backlog, ReadTx, ReplicaStatus, Store},
    watch::{chain, tree},
    webhooks::DEAD_AFTER,
};

/// Between two test writes, once a write has failed.
const CHECK_WRITES_EVERY: Duration = Duration::from_secs(1);
/// Bytes of a test write: more than nearly every write has.
const CHECKED_BYTES: u32 = 256 * 1024;

impl Haldir {
    /// Opens the store at `path`; creates it if it is missing.
    pub async fn open(path: &Path, master_key: &Key, settings: Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_store(Store::open(path)?, Some(path.to_owned()), master_key, settings, clock).await
    }

    /// The same, on a store that is open; `path` is that of its file.
    pub async fn open_store(
        store: Store,
        path: Option<PathBuf>,
        master_key: &Key,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let services = Arc::new(Services::new(Keyring::new(master_key), clock, settings));
        let inner = Inner {
            path,
            store,
            services,
            limiter: RateLimiter::default(),
            last_use: LastUse::default(),
            streams: Quota::new(MAX_STREAMS),
            long_polls: Quota::new(MAX_LONG_POLLS),
            stopping: CancellationToken::new(),
            writes_checked: tokio::sync::Mutex::default(),
        };
        let haldir = Self { inner: Arc::new(inner) };
        haldir.prepare().await?;
        Ok(haldir)
    }

    /// Checks the master key, and makes the signing key and the local tenant if they are missing, in a transaction that does nothing
    /// else: the keyring may then remember its key.
    async fn prepare(&self) -> Result<()> {
        let ready = self.inner.store.read(|tx| {
            let known = tx.master_key_check()?.is_some()
                && tx.wrapped_data_key(&TenantId::local())?.is_some()
                && !tx.signing_keys(1)?.is_empty();
            if known {
                self.inner.services.keyring.check_existing(tx)?;
            }
            Ok(known)
        })?;
        if !ready {
            self.make().await?;
        }
        tree::build(&self.inner.store).await
    }

    async fn make(&self) -> Result<()> {
        let services = Arc::clone(&self.inner.services);
        let work = move |tx: &mut crate::store::Tx| {
            services.keyring.check(tx)?;
            services.keyring.create_signing_key(tx, services.clock.now())?;
            if tx.wrapped_data_key(&TenantId::local())?.is_none() {
                let now = services.clock.now();
                let keys = services.keyring.create_tenant(tx, &TenantId::local(), now)?;
                chain::begin(tx, &keys, &TenantId::local(), now)?;
            }
            Ok(())
        };
        self.inner.store.write(&TenantId::local(), work).await
    }

    /// Whether no API key was ever created.
    pub fn has_no_key(&self) -> Result<bool> {
        self.inner.store.read(|tx| Ok(!tx.any_api_key()?))
    }

    /// Whether the tenant exists.
    pub fn has_tenant(&self, tenant: &TenantId) -> Result<bool> {
        self.inner.store.read(|tx| Ok(tx.wrapped_data_key(tenant)?.is_some()))
    }

    /// Whether the store can be read.
    pub fn check_store(&self) -> Result<()> {
        self.inner.store.read(|tx| Ok(tx.any_api_key().map(drop)?))
    }

    /// Since when the database cannot be reached, and why; `None` while it can, and for a store in a file.
    pub fn outage(&self) -> Option<(UnixMicros, String)> {
        self.inner.store.outage()
    }

    /// Whether the replica is read, and how old it is; `None` if there is none.
    pub fn replica(&self) -> Option<ReplicaStatus> {
        self.inner.store.replica()
    }

    /// Whether the store accepts writes. After a failed commit it does once a large write has succeeded: on a disk that is almost
    /// full, small writes succeed while larger ones fail.
    pub async fn check_writes(&self) -> Result<()> {
        if !METRICS.writes_fail.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Clients without a credential reach this check, so its writes are rate-limited.
        let mut checked = self.inner.writes_checked.lock().await;
        if checked.is_none_or(|checked| checked.elapsed() >= CHECK_WRITES_EVERY) {
            *checked = Some(Instant::now());
            self.try_write().await?;
            METRICS.writes_fail.store(false, Ordering::Relaxed);
        }
        if METRICS.writes_fail.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Unavailable, "the store takes no writes"));
        }
        Ok(())
    }

    /// Writes `CHECKED_BYTES` and deletes them.
    pub async fn try_write(&self) -> Result<()> {
        self.inner.store.write_for_all(|tx| Ok(tx.set_ballast(CHECKED_BYTES)?)).await?;
        self.inner.store.write_for_all(|tx| Ok(tx.set_ballast(0)?)).await
    }

    /// Queued work in the whole store.
    pub fn backlog(&self) -> Result<Backlog> {
        let now = self.inner.services.clock.now();
        self.inner.store.read(|tx| Ok(tx.backlog(now, DEAD_AFTER)?))
    }

    /// The size of the store with its write-ahead log, and the free bytes of its disk; `None` where the system does not tell, and on
    /// Postgres.
    pub fn disk(&self) -> (Option<u64>, Option<u64>) {
        let Some(path) = &self.inner.path else { return (None, None) };
        let size = |path: &Path| std::fs::metadata(path).ok().map(|file| file.len());
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        (size(path).map(|bytes| bytes + size(Path::new(&log)).unwrap_or(0)), free_bytes(path))
    }

    /// The credential of a key that a stdio client was configured with. An empty store adopts its first key, as an agent key under
    /// the local ceilings; later keys must exist.
    pub async fn adopt_or_find_key(&self, key: Zeroizing<String>) -> Result<Credential> {
        let (services, presented) = (Arc::clone(&self.inner.services), key.clone());
        let known = |tx: &ReadTx, presented: &str| Ok::<_, Error>(authenticate::find_key(tx, presented)?.is_some());
        if !self.inner.store.read(|tx| Ok(known(tx, &key)? || tx.any_api_key()?))? {
            check_adoptable(&presented)?;
            let work = move |tx: &mut crate::store::Tx| {
                if tx.any_api_key()? {
                    return Ok(()); // Another process has adopted a key.
                }
                let caller = Caller { principal: adopted_prefix(&presented), ..Caller::anonymous() };
                let now = services.clock.now();
                let record = adopted(now);
                let mut cx = WriteContext { tx, caller: &caller, now, services: &services };
                create_api_key::record(&mut cx, record, &presented).map(drop)
            };
            self.inner.store.write(&TenantId::local(), work).await?;
        }
        let credential = Credential::ApiKey(key);
        let now = self.inner.services.clock.now();
        self.inner.store.read(|tx| authenticate::authenticate(tx, &self.inner.services, &credential, now)).map_err(
            |_| {
                Error::new(
                    Code::Unauthorized,
                    "HALDIR_API_KEY is not a live key of this store: make one with `haldir keys create`, or leave it \
                     unset to work as the local tenant",
                )
            },
        )?;
        Ok(credential)
    }

    /// Writes what is still in memory, and closes the store.
    pub fn close(&self) {
        self.inner.services.unwritten.close();
        self.inner.services.meter.close(&self.inner.store);
        self.inner.store.close();
    }
}

fn check_adoptable(key: &str) -> Result<()> {
    let is_base64url = |random: &str| random.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if key.len() >= MIN_KEY_CHARS && key.strip_prefix(KEY_PREFIX).is_some_and(is_base64url) {
        return Ok(());
    }
    Err(Error::new(
        Code::Unauthorized,
        "HALDIR_API_KEY cannot be adopted by this empty store: expected hld_ and at least 32 random characters of base64url; \
         create a key with `haldir keys create`, or leave it unset to work as the local tenant",
    ))
}

fn adopted_prefix(key: &str) -> String {
    key.get(..PUBLIC_CHARS).unwrap_or_default().to_owned()
}

/// The adopted key: an agent key with the ceilings of the keyless local agent, which each process sets.
fn adopted(now: crate::model::UnixMicros) -> ApiKey {
    ApiKey {
        prefix: String::new(),
        digest: [0; 32],
        tenant: TenantId::local(),
        name: "adopted from HALDIR_API_KEY".to_owned(),
        tier: Tier::Free,
        role: Role::Agent,
        scopes: vec!["*".to_owned()],
        ceilings: Ceilings { admin: false, ..Ceilings::NONE },
        created_at: now,
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    }
}
