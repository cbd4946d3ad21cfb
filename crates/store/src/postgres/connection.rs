//! A connection to the database: transactions, what is done when a statement fails, and how a commit is told from a lost connection.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    batches::Batches,
    failure::Failure,
    server::{PLANNING, Server},
    session::Session,
    values::Columns,
};
use crate::{
    database::{self, Connection as _, Params, Retry, Row, params},
    error::{Code, Error, Result},
    model::TenantId,
    statements::statements,
};

/// Rows of a large result that are fetched at once.
const FETCHED_ROWS: usize = 1_000;
/// How long it is tried to learn whether a commit was made whose answer was lost.
const DOUBT_LIMIT: Duration = Duration::from_secs(30);
const DOUBT_PAUSE: Duration = Duration::from_millis(100);

/// All statements see one state.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Each statement sees what was committed before it: whatever belongs to a tenant is read behind its lock. A process that says no
/// more, because its machine or the network has failed, loses its locks. Triggers name tables without their schema.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL search_path TO haldir;
    SET LOCAL idle_in_transaction_session_timeout = '8s'; SET LOCAL lock_timeout = '3s'";

statements! {
    LOCK = "SELECT pg_advisory_xact_lock(?1)";
    // In one order everywhere, so that no two processes wait for each other.
    LOCK_ALL = "SELECT pg_advisory_xact_lock(key) FROM
        (SELECT unnest(string_to_array(?1, ',')::bigint[]) AS key ORDER BY key) AS keys";
    NOTE_BATCH = "INSERT INTO haldir.batches (process, number) VALUES (?1, ?2)
        ON CONFLICT (process) DO UPDATE SET number = ?2, at = now()";
    NOTED_BATCH = "SELECT number FROM haldir.batches WHERE process = ?1";
    // Which process has written for each of these tenants last.
    LAST_BATCHES = "SELECT tenant, process, number FROM haldir.tenant_batches
        WHERE tenant = ANY (string_to_array(?1, ','))";
    NOTE_LAST = "INSERT INTO haldir.tenant_batches (tenant, process, number)
        SELECT unnest(string_to_array(?1, ',')), ?2, ?3
        ON CONFLICT (tenant) DO UPDATE SET process = excluded.process, number = excluded.number";
    FORGET_BATCHES = "DELETE FROM haldir.batches WHERE at < now() - interval '7 days'";
}

const CONTINUE_NUMBERS: [&str; 2] = [
    "SELECT setval(pg_get_serial_sequence('haldir.logs', 'log'), greatest(max(log), 0) + 1, false) FROM haldir.logs",
    "SELECT setval(pg_get_serial_sequence('haldir.former_secrets', 'id'), greatest(max(id), 0) + 1, false)
        FROM haldir.former_secrets",
];

/// A connection to which statements are sent; it connects anew once it was lost.
pub(super) struct PostgresConnection {
    server: Arc<Server>,
    /// Of the connection that writes.
    batches: Option<Batches>,
    session: RefCell<Option<Session>>,
    /// Whether it has the settings of [`PLANNING`] for as long as it lasts.
    is_planned: Cell<bool>,
    in_transaction: Cell<bool>,
    has_failed: Cell<bool>,
    /// What the last failure allows; `None` is no failure that was seen.
    retry: Cell<Option<Retry>>,
}

impl PostgresConnection {
    /// A connection that writes, if it has [`Batches`].
    pub(super) fn new(server: Arc<Server>, batches: Option<Batches>) -> Self {
        Self {
            server,
            batches,
            session: RefCell::default(),
            is_planned: Cell::new(false),
            in_transaction: Cell::new(false),
            has_failed: Cell::new(false),
            retry: Cell::new(None),
        }
    }

    fn batches(&self) -> Result<&Batches> {
        self.batches.as_ref().ok_or_else(|| Error::internal("a connection that reads was to write"))
    }

    /// Connects, if there is no connection.
    fn connect(&self) -> Result<()> {
        if self.session.borrow().as_ref().is_some_and(|session| !session.is_closed()) {
            return Ok(());
        }
        let (client, named) = self.server.connect().map_err(|failure| self.failed(failure))?;
        self.is_planned.set(named && self.server.settings.named_statements.is_none());
        *self.session.borrow_mut() = Some(Session::new(client, named, self.server.answer_limit()));
        Ok(())
    }

    /// Begins a transaction. It is not waited for.
    fn begin(&self, sql: &str) -> Result<()> {
        if self.is_planned.get() {
            return self.send(sql, &[]);
        }
        self.send(&format!("{sql}; SET LOCAL {}", PLANNING.join("; SET LOCAL ")), &[])
    }

    /// Does something with the connection of the network.
    fn session<T>(&self, work: impl FnOnce(&Session) -> Result<T, Failure>) -> Result<T> {
        let outcome = self.session.borrow().as_ref().map_or_else(|| Err(Failure::lost()), work);
        outcome.map_err(|failure| self.failed(failure))
    }

    fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<tokio_postgres::Row>> {
        self.session(|session| session.rows(sql, params))
    }

    fn disconnect(&self) {
        self.in_transaction.set(false);
        *self.session.borrow_mut() = None;
    }

    /// Begins a transaction that locks these tenants, and compares what is cached of them.
    fn begin_batch(&self, tenants: &[TenantId]) -> Result<()> {
        let batches = self.batches()?;
        self.connect()?;
        self.begin(BEGIN_WRITE)?;
        self.in_transaction.set(true);
        batches.begin(tenants);
        let keys = tenants.iter().map(lock_key).chain([batches.lock_key()]);
        self.send(LOCK_ALL, params![keys.map(|key| key.to_string()).collect::<Vec<_>>().join(",")])?;
        let mut last = Vec::with_capacity(tenants.len());
        self.query(LAST_BATCHES, params![joined(tenants)], &mut |row| {
            let mut columns = database::Columns::of(row);
            last.push((columns.next()?, columns.next::<Vec<u8>>()?, columns.next()?));
            Ok(true)
        })?;
        batches.compare(&last);
        if batches.number.get() == 1 {
            self.send(FORGET_BATCHES, &[])?;
        }
        Ok(())
    }

    /// Notes a failure; returns the error that the caller gets.
    fn failed(&self, error: Failure) -> Error {
        self.has_failed.set(true);
        self.retry.set(Some(error.retry));
        if error.is_lost {
            self.disconnect();
        }
        error.error
    }

    /// Whether the batch whose commit was not answered is there all the same. Asks until the database answers, or too long.
    fn was_committed(&self) -> Result<bool> {
        let until = Instant::now() + DOUBT_LIMIT;
        loop {
            match self.last_committed() {
                Ok(number) => return Ok(number == Some(self.batches()?.number.get())),
                Err(_) if Instant::now() < until => {
                    self.disconnect();
                    thread::sleep(DOUBT_PAUSE);
                }
                Err(error) => {
                    tracing::error!(%error, "it is not known whether a batch of writes was committed");
                    self.retry.set(Some(Retry::Never));
                    let message = "the connection to the database was lost in the middle of a commit: whether the change was made \
                        is not known";
                    return Err(Error::new(Code::Unavailable, message));
                }
            }
        }
    }

    /// The number of the last batch of this process that is committed. Waits for the lock that each of its batches holds: until the
    /// transaction of a lost connection has ended, it may still be committed.
    fn last_committed(&self) -> Result<Option<i64>> {
        let batches = self.batches()?;
        self.connect()?;
        self.begin(BEGIN_WRITE)?;
        self.rows(LOCK, params![batches.lock_key()])?;
        let rows = self.rows(NOTED_BATCH, params![&batches.process[..]])?;
        self.execute("ROLLBACK", &[])?;
        rows.first().map(|row| row.try_get(0)).transpose().map_err(Error::internal)
    }
}

impl database::Connection for PostgresConnection {
    fn execute(&self, sql: &str, params: Params<'_>) -> Result<usize> {
        if sql.starts_with("ROLLBACK") {
            // Whatever has failed before is undone by it.
            let _ = self.session(Session::settle);
        }
        let changed = self.session(|session| session.execute(sql, params))?;
        if sql.starts_with("ROLLBACK") {
            self.has_failed.set(false);
            if sql == "ROLLBACK" {
                self.in_transaction.set(false);
            }
        }
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn send(&self, sql: &str, params: Params<'_>) -> Result<()> {
        self.session(|session| session.send(sql, params))
    }

    fn send_row(&self, sql: &str, params: Params<'_>) -> Result<()> {
        self.session(|session| session.send_row(sql, params))
    }

    fn query(&self, sql: &str, params: Params<'_>, each: &mut dyn FnMut(&dyn Row) -> Result<bool>) -> Result<()> {
        for row in self.rows(sql, params)? {
            if !each(&Columns::of(&row))? {
                break;
            }
        }
        Ok(())
    }

    fn scan(&self, sql: &str, params: Params<'_>, each: &mut dyn FnMut(&dyn Row) -> Result<bool>) -> Result<()> {
        const FETCH: &str = "FETCH 1000 FROM large";
        self.execute(&format!("DECLARE large NO SCROLL CURSOR FOR {sql}"), params)?;
        loop {
            let rows = self.rows(FETCH, &[])?;
            for row in &rows {
                if !each(&Columns::of(row))? {
                    return self.execute("CLOSE large", &[]).map(drop);
                }
            }
            if rows.len() < FETCHED_ROWS {
                return self.execute("CLOSE large", &[]).map(drop);
            }
        }
    }

    /// As many as a block of a posting list has: reading all of it takes twice as long as a statement for one row on the same machine.
    fn bridged(&self) -> i64 {
        256
    }

    fn begin_read(&self) -> Result<()> {
        self.connect()?;
        self.has_failed.set(false);
        // Not waited for: the first query waits for both.
        self.begin(BEGIN_READ)?;
        self.in_transaction.set(true);
        Ok(())
    }

    fn end_read(&self) -> Result<()> {
        self.in_transaction.set(false);
        self.send("COMMIT", &[])
    }

    fn begin_write(&self, tenants: &[TenantId]) -> Result<()> {
        self.has_failed.set(false);
        self.retry.set(None);
        // What is left of a transaction that could not begin ends with its connection.
        self.begin_batch(tenants).inspect_err(|_| self.disconnect())
    }

    fn locks_tenants(&self) -> bool {
        true
    }

    fn lock(&self, tenant: &TenantId) -> Result<()> {
        if self.batches()?.add(tenant) { self.rows(LOCK, params![lock_key(tenant)]).map(drop) } else { Ok(()) }
    }

    fn commit(&self) -> Result<()> {
        let batches = self.batches()?;
        let (process, number) = (&batches.process[..], batches.number.get());
        let tenants = batches.tenants.borrow();
        if !tenants.is_empty() {
            self.send(NOTE_LAST, params![joined(&tenants), process, number])?;
        }
        drop(tenants);
        self.send(NOTE_BATCH, params![process, number])?;
        let committed = self.execute("COMMIT", &[]);
        if committed.is_err() && self.session.borrow().is_none() {
            // The connection was lost: the commit may have arrived.
            if !self.was_committed()? {
                self.retry.set(Some(Retry::Again));
                return committed.map(drop);
            }
        } else {
            committed?;
        }
        self.in_transaction.set(false);
        batches.committed();
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction.get() && self.session.borrow().as_ref().is_some_and(|session| !session.is_closed())
    }

    fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    fn retry(&self) -> Retry {
        let is_lost = self.session.borrow().as_ref().is_none_or(Session::is_closed);
        self.retry.get().unwrap_or(if is_lost { Retry::Again } else { Retry::Never })
    }

    fn continue_numbers(&self) -> Result<()> {
        CONTINUE_NUMBERS.iter().try_for_each(|sql| self.rows(sql, &[]).map(drop))
    }

    /// Where a row version lay is overwritten when the server vacuums and uses the page again; no client can ask for more.
    fn overwrite_freed(&self, _on: bool) -> Result<()> {
        Ok(())
    }
}

/// As [`LAST_BATCHES`] takes them; no id has a comma.
fn joined(tenants: &[TenantId]) -> String {
    tenants.iter().map(TenantId::as_str).collect::<Vec<_>>().join(",")
}

/// The number that a tenant is locked by.
fn lock_key(tenant: &TenantId) -> i64 {
    key(&[b"haldir tenant", tenant.as_str().as_bytes()])
}

/// A number for an advisory lock. That two locks share one does no harm but that one waits for the other.
pub(super) fn key(parts: &[&[u8]]) -> i64 {
    let digest = haldir_core::crypto::digest(parts);
    i64::from_le_bytes(*digest.first_chunk().unwrap_or(&[0; 8]))
}
