//! Transactions: what the rest of haldir reads and writes through. The methods are in the files of [`crate::tables`], each of them
//! scoped to a tenant, so that a forgotten filter cannot leak another tenant's data.

use std::{
    cell::{Cell, OnceCell},
    ops::Deref,
    rc::Rc,
    sync::Arc,
};

use crate::{
    database::{Connection, FromRow, Params},
    error::{Error, Result},
    model::TenantId,
    readers::{Lease, Readers},
    row_cache::{DatabaseVersion, RowCache},
    statements,
    write_buffer::WriteBuffer,
};

/// A transaction that reads: it sees one state of the database from beginning to end.
pub struct ReadTx {
    /// Opened when the first row is read that is not cached.
    connection: OnceCell<(Box<dyn Connection>, Option<Lease>)>,
    /// Where the connection comes from.
    readers: Option<Arc<Readers>>,
    row_cache: Option<Arc<RowCache>>,
    /// The database version before the transaction began, for which the row cache may be used.
    version: Cell<Option<DatabaseVersion>>,
    /// Rows that this transaction's batch has changed; a reader has none.
    buffer: Option<Rc<WriteBuffer>>,
}

impl ReadTx {
    /// A read whose connection is taken from `readers` once it needs one.
    pub(crate) fn reader(readers: Arc<Readers>, row_cache: Arc<RowCache>) -> Self {
        let version = Cell::new(row_cache.version());
        Self { connection: OnceCell::new(), readers: Some(readers), row_cache: Some(row_cache), version, buffer: None }
    }

    /// A read on a connection that is in a transaction already, without caches.
    pub(crate) fn on(connection: Box<dyn Connection>) -> Self {
        let connection = (connection, None).into();
        Self { connection, readers: None, row_cache: None, version: Cell::new(None), buffer: None }
    }

    /// The connection, if the transaction needed one.
    pub(crate) fn into_connection(self) -> Option<(Box<dyn Connection>, Option<Lease>)> {
        self.connection.into_inner()
    }

    /// The connection, in its transaction.
    pub(crate) fn connection(&self) -> Result<&dyn Connection> {
        if let Some((connection, _)) = self.connection.get() {
            return Ok(&**connection);
        }
        let readers = self.readers.as_ref().ok_or_else(|| Error::internal("a transaction without a connection"))?;
        let (connection, lease) = readers.begin()?;
        Ok(&*self.connection.get_or_init(|| (connection, Some(lease))).0)
    }

    /// The row cache, and the database version that this transaction may use it for.
    pub(crate) fn row_cache(&self) -> Option<(&RowCache, DatabaseVersion)> {
        Some((self.row_cache.as_deref()?, self.version.get()?))
    }

    /// The batch's write buffer; a reader has none.
    pub(crate) fn buffer_if_writer(&self) -> Option<&WriteBuffer> {
        self.buffer.as_deref()
    }

    /// Lists are for readers: in the middle of a batch they would miss rows in the write buffer.
    pub(crate) fn require_reader(&self) -> Result<()> {
        match self.buffer {
            None => Ok(()),
            Some(_) => Err(Error::internal("rows of the write buffer are listed by readers only")),
        }
    }

    /// All rows of a query.
    pub(crate) fn all<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<Vec<T>> {
        self.connection()?.all(sql, params)
    }

    /// The first row of a query.
    pub(crate) fn first<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<Option<T>> {
        self.connection()?.first(sql, params)
    }

    /// The row of a query that always has one.
    pub(crate) fn one<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<T> {
        self.connection()?.one(sql, params)
    }

    /// Whether a query has a row.
    pub(crate) fn exists(&self, sql: &str, params: Params<'_>) -> Result<bool> {
        self.connection()?.exists(sql, params)
    }
}

/// A transaction that reads and writes. Its changes are committed together with those of other transactions of its batch.
pub struct Tx {
    read: ReadTx,
    buffer: Rc<WriteBuffer>,
    /// Whether the transaction has a savepoint.
    savepoint: Cell<bool>,
    /// The tenants to whose logs it may append.
    tenants: Vec<TenantId>,
}

impl Deref for Tx {
    type Target = ReadTx;

    fn deref(&self) -> &ReadTx {
        &self.read
    }
}

impl Tx {
    pub(crate) fn new(connection: Box<dyn Connection>, row_cache: Arc<RowCache>) -> Self {
        let buffer = Rc::<WriteBuffer>::default();
        let read = ReadTx {
            connection: (connection, None).into(),
            readers: None,
            row_cache: Some(row_cache),
            version: Cell::new(None),
            buffer: Some(Rc::clone(&buffer)),
        };
        Self { read, buffer, savepoint: Cell::new(false), tenants: Vec::new() }
    }

    /// The batch's write buffer.
    pub(crate) fn buffer(&self) -> &WriteBuffer {
        &self.buffer
    }

    /// The next job of the batch begins, a write of this tenant.
    pub(crate) fn begin_job(&mut self, tenant: Option<TenantId>) {
        self.tenants = tenant.into_iter().collect();
    }

    /// From now on this is a write of that tenant as well, until it ends.
    pub fn lock_tenant(&mut self, tenant: &TenantId) -> Result<()> {
        let before = self.version();
        self.connection()?.lock(tenant)?;
        let row_cache = self.read.row_cache.as_ref();
        if before.is_some() && row_cache.and_then(|cache| cache.version()) != before {
            // Something may be cached of this tenant that another process has changed.
            self.read.version.set(None);
            self.buffer.forget();
        }
        self.tenants.push(tenant.clone());
        Ok(())
    }

    /// Fails unless this is a write of the tenant: two writes to one log would otherwise not exclude each other.
    pub(crate) fn require_tenant(&self, tenant: &TenantId) -> Result<()> {
        if self.tenants.contains(tenant) {
            return Ok(());
        }
        Err(Error::internal(format!("a write of {:?} appends to the log of {tenant}", self.tenants)))
    }

    /// The database version at which the batch began, until it changes a cached table by a statement of its own.
    pub(crate) fn version(&self) -> Option<DatabaseVersion> {
        self.read.version.get()
    }

    /// A batch of writes for these tenants begins at this version of the database.
    pub(crate) fn begin_batch(&self, tenants: &[TenantId]) -> Result<()> {
        self.connection()?.begin_write(tenants)?;
        let version = self.read.row_cache.as_ref().and_then(|cache| cache.version());
        self.read.version.set(version);
        self.buffer.begin(version);
        Ok(())
    }

    /// The batch has ended.
    pub(crate) fn end_batch(&self) {
        self.buffer.clear();
        self.read.version.set(None);
        self.savepoint.set(false);
    }

    /// Takes back everything this transaction has done so far; it goes on empty. For refusals: what was refused leaves nothing
    /// but its audit entry.
    pub fn start_over(&mut self) -> Result<()> {
        self.buffer.take_back_job();
        if self.savepoint.get() { self.control("ROLLBACK TO job") } else { Ok(()) }
    }

    /// Whether the transaction had a savepoint; it has none from now on.
    pub(crate) fn take_savepoint(&self) -> bool {
        self.savepoint.take()
    }

    /// Runs a statement that controls the transaction.
    pub(crate) fn control(&self, sql: &str) -> Result<()> {
        self.connection()?.execute(sql, &[]).map(drop)
    }

    /// Runs a statement that changes rows at once, not through the write buffer; returns how many. Whether it clears the caches
    /// follows from its table ([`statements::changes_cached_table`]).
    pub(crate) fn change(&self, sql: &str, params: Params<'_>) -> Result<usize> {
        self.changing(sql)?.execute(sql, params)
    }

    /// The same, for a statement that returns a row, or none.
    pub(crate) fn change_returning<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<Option<T>> {
        self.changing(sql)?.first(sql, params)
    }

    fn changing(&self, sql: &str) -> Result<&dyn Connection> {
        if statements::changes_cached_table(sql) { self.any_change() } else { self.with_savepoint() }
    }

    /// The connection, to change rows of any table at once: it clears all caches.
    pub(crate) fn any_change(&self) -> Result<&dyn Connection> {
        self.read.version.set(None);
        self.buffer.forget();
        self.with_savepoint()
    }

    /// The connection, with a savepoint that the transaction can go back to. A transaction that only puts rows into the write
    /// buffer needs none, and is spared the copies that a database makes of every page behind a savepoint.
    pub(crate) fn with_savepoint(&self) -> Result<&dyn Connection> {
        if !self.savepoint.replace(true) {
            self.connection()?.send("SAVEPOINT job", &[]).inspect_err(|_| self.savepoint.set(false))?;
        }
        self.connection()
    }
}
