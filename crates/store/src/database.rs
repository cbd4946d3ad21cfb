//! The seam to a database: what a backend implements. Everything above it, from the tables to the write buffer, is the same for
//! every backend.

use crate::{
    error::{Error, Result},
    model::TenantId,
};

mod values;

pub(crate) use values::{ColumnType, FromValue, Param, Value};

/// Values for the parameters of a statement, in the order of their numbers.
pub(crate) type Params<'p> = &'p [&'p dyn Param];

/// `params![tenant, id]`: values for the parameters of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$(&$value as &dyn $crate::database::Param),*] };
}

pub(crate) use params;

/// A connection to a database.
///
/// Statements are SQL with numbered parameters (`?1`). Between [`Connection::begin_read`] and [`Connection::end_read`], all of them
/// see one state of the database. Between [`Connection::begin_write`] and [`Connection::commit`], no other process changes what
/// belongs to the tenants that are locked.
pub(crate) trait Connection: Send {
    /// Runs a statement; returns how many rows it changed.
    fn execute(&self, sql: &str, params: Params<'_>) -> Result<usize>;

    /// Runs a statement without waiting for it: if it fails, so does the commit.
    fn send(&self, sql: &str, params: Params<'_>) -> Result<()> {
        self.execute(sql, params).map(drop)
    }

    /// The same, for one of several rows that are written one after the other by one statement, each of them another row: a backend may
    /// write them together.
    fn send_row(&self, sql: &str, params: Params<'_>) -> Result<()> {
        self.send(sql, params)
    }

    /// Passes the rows of a query to `each`, one after the other, until it returns `false` or fails. `each` may run other
    /// statements.
    fn query(&self, sql: &str, params: Params<'_>, each: &mut dyn FnMut(&dyn Row) -> Result<bool>) -> Result<()>;

    /// The same, for a result too large to be held in memory.
    fn scan(&self, sql: &str, params: Params<'_>, each: &mut dyn FnMut(&dyn Row) -> Result<bool>) -> Result<()> {
        self.query(sql, params, each)
    }

    /// How many rows may stand between two others and be read along with them, because that takes less time than a statement.
    fn bridged(&self) -> i64 {
        4
    }

    /// Begins a transaction that reads.
    fn begin_read(&self) -> Result<()>;

    /// Ends a transaction that reads.
    fn end_read(&self) -> Result<()>;

    /// Begins a transaction that writes, once no other process writes for any of these tenants.
    fn begin_write(&self, tenants: &[TenantId]) -> Result<()>;

    /// Whether [`Self::begin_write`] locks the tenants that it is told, and not the whole database.
    fn locks_tenants(&self) -> bool {
        false
    }

    /// Waits, in a transaction that writes, until no other process writes for this tenant.
    fn lock(&self, _tenant: &TenantId) -> Result<()> {
        Ok(())
    }

    /// Commits; what was written is durable once this returns.
    fn commit(&self) -> Result<()>;

    /// Whether a transaction is open. A database may end one by itself, for instance when its disk is full.
    fn in_transaction(&self) -> bool;

    /// Whether the open transaction takes no more statements, because one has failed and was not rolled back.
    fn has_failed(&self) -> bool {
        false
    }

    /// Whether a batch of writes that was not committed may be run again, and how.
    fn retry(&self) -> Retry {
        Retry::Never
    }

    /// Whether space that becomes free is overwritten, so that no old copy of erased text is left in it.
    fn overwrite_freed(&self, on: bool) -> Result<()>;

    /// Lets the database go on with numbers that it gives to rows itself, behind those of rows that were copied.
    fn continue_numbers(&self) -> Result<()> {
        Ok(())
    }

    /// Does what is due after a commit, once its callers are answered.
    fn after_commit(&self) {}

    /// Does what is due before the connection is closed.
    fn before_close(&self) {}
}

/// What may be done about a batch of writes that was not committed.
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "nothing is to be tried again on SQLite"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Nothing: its callers get the error.
    Never,
    /// One of its jobs has failed in a way that undid the others: each is to run in a transaction of its own.
    OneByOne,
    /// Another process holds a tenant's lock: the jobs of each tenant are to run in a transaction of their own.
    ByTenant,
    /// Another process stood in the way, or the connection was lost: the same again, after a pause.
    Again,
}

impl dyn Connection + '_ {
    /// All rows of a query.
    pub(crate) fn all<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.query(sql, params, &mut |row| {
            all.push(read(row)?);
            Ok(true)
        })?;
        Ok(all)
    }

    /// The first row of a query.
    pub(crate) fn first<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<Option<T>> {
        let mut first = None;
        self.query(sql, params, &mut |row| {
            first = Some(read(row)?);
            Ok(false)
        })?;
        Ok(first)
    }

    /// The row of a query that always has one.
    pub(crate) fn one<T: FromRow>(&self, sql: &str, params: Params<'_>) -> Result<T> {
        self.first(sql, params)?.ok_or_else(|| Error::internal(format!("no row: {sql}")))
    }

    /// Whether a query has a row.
    pub(crate) fn exists(&self, sql: &str, params: Params<'_>) -> Result<bool> {
        let mut found = false;
        self.query(sql, params, &mut |_| {
            found = true;
            Ok(false)
        })?;
        Ok(found)
    }

    /// Passes each row to `each` until it returns `false`.
    pub(crate) fn each<T: FromRow>(
        &self,
        sql: &str,
        params: Params<'_>,
        mut each: impl FnMut(T) -> Result<bool>,
    ) -> Result<()> {
        self.query(sql, params, &mut |row| each(read(row)?))
    }
}

/// A row of a result.
pub(crate) trait Row {
    /// The value of a column, by its index.
    fn value(&self, index: usize) -> Value<'_>;

    /// The name of a column, for messages.
    fn column(&self, index: usize) -> String;
}

/// Reads the columns of a row one after the other, in the order in which the statement names them.
pub(crate) struct Columns<'r> {
    row: &'r dyn Row,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r dyn Row) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(crate) fn next<T: FromValue>(&mut self) -> Result<T> {
        let index = self.next;
        self.next += 1;
        T::from_value(self.row.value(index))
            .map_err(|problem| Error::internal(format!("column {}: {problem}", self.row.column(index))))
    }
}

/// What a row, or some of its columns, can be read as.
pub(crate) trait FromRow: Sized {
    fn from_row(columns: &mut Columns<'_>) -> Result<Self>;
}

fn read<T: FromRow>(row: &dyn Row) -> Result<T> {
    T::from_row(&mut Columns::of(row))
}

impl<T: FromValue> FromRow for T {
    fn from_row(columns: &mut Columns<'_>) -> Result<Self> {
        columns.next()
    }
}

macro_rules! tuples {
    ($(($($part:ident),+))*) => {
        $(impl<$($part: FromRow),+> FromRow for ($($part,)+) {
            fn from_row(columns: &mut Columns<'_>) -> Result<Self> {
                Ok(($($part::from_row(columns)?,)+))
            }
        })*
    };
}

tuples! { (A, B) (A, B, C) (A, B, C, D) }

/// A type that is one row of one table. [`record`] declares it.
pub(crate) trait Record: FromRow {
    /// Inserts the row.
    const INSERT: &'static str;
    /// Inserts the row, or replaces the one with its primary key.
    const PUT: &'static str;

    /// Values for [`Record::INSERT`] and [`Record::PUT`]: the tenant, and the columns in their order.
    fn params<'p>(&'p self, tenant: &'p dyn Param) -> Vec<&'p dyn Param>;
}

/// Reads a type from columns in this order: `from_row! { Usage { calls, secret_reads } }`.
macro_rules! from_row {
    ($type:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::database::FromRow for $type {
            fn from_row(columns: &mut $crate::database::Columns<'_>) -> $crate::error::Result<Self> {
                Ok(Self { $($field: $crate::database::FromRow::from_row(columns)?),+ })
            }
        }
    };
}

pub(crate) use from_row;

/// Declares the columns of a type in a table, once for all statements: `record! { sessions: Session as session { id, agent_id } }`
/// makes the macro `session!()`, the list of the columns for `SELECT`, and implements [`Record`]. The table's first column is
/// `tenant`. A field in another column is `field = "column"`.
macro_rules! record {
    ($table:ident: $type:ty as $columns:ident { $($field:ident $(= $column:literal)?),+ $(,)? }) => {
        #[allow(unused_macros)]
        macro_rules! $columns {
            () => { $crate::database::record!(@list $($field $(= $column)?),+) };
        }

        $crate::database::from_row! { $type { $($field),+ } }

        impl $crate::database::Record for $type {
            const INSERT: &'static str = concat!("INSERT INTO ",
                $crate::database::record!(@values $table $($field $(= $column)?),+));
            const PUT: &'static str = concat!("INSERT OR REPLACE INTO ",
                $crate::database::record!(@values $table $($field $(= $column)?),+));

            fn params<'p>(&'p self, tenant: &'p dyn $crate::database::Param) -> Vec<&'p dyn $crate::database::Param> {
                vec![tenant, $(&self.$field),+]
            }
        }
    };
    (@list $first:ident $(= $column:literal)? $(, $field:ident $(= $columns:literal)?)*) => {
        concat!($crate::database::record!(@name $first $($column)?)
            $(, ", ", $crate::database::record!(@name $field $($columns)?))*)
    };
    (@values $table:ident $($field:ident $(= $column:literal)?),+) => {
        concat!(stringify!($table), " (tenant, ", $crate::database::record!(@list $($field $(= $column)?),+), ") VALUES (?",
            $($crate::database::record!(@mark $field)),+, ")")
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $column:literal) => { $column };
    (@mark $field:ident) => { ", ?" };
}

pub(crate) use record;
