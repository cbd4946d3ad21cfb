//! The tables of a store, and how their rows are read and written.

use serde::{Deserialize, Serialize};

use super::sums::Sums;
use crate::{
    ReadTx,
    database::{ColumnType, Connection, Param, Row, Value},
    error::{Code, Error, Result},
    sqlite::{self, SchemaColumn},
    tables::appending::INSERT_ENTRY,
};

/// Rows that a query returns, at most.
const PAGE_ROWS: usize = 256;
/// Rows that are written in one transaction, at most: counting triggers of Postgres become slower with each row of it.
const BATCH_ROWS: usize = 2_048;
/// Bytes of values after which a batch ends.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Tables that triggers write. They are emptied, and copied last; `tenants` is copied before them, so that the triggers of all other
/// tables find no row to count in.
pub(super) const DERIVED: [&str; 2] = ["evidence_counts", "tenant_totals"];
const LAST: [&str; 3] = ["tenants", DERIVED[0], DERIVED[1]];
/// Rows of `meta` that belong to one database.
const OWN_ROWS: &str = "('ballast', 'copying')";

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    fn len(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Integer(_) => size_of::<i64>(),
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        }
    }

    /// Appends the value to the bytes of a row, so that no other row has the same bytes.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let (kind, value): (u8, &[u8]) = match self {
            Self::Null => (0, &[]),
            Self::Integer(integer) => (1, &integer.to_le_bytes()),
            Self::Text(text) => (2, text.as_bytes()),
            Self::Blob(blob) => (3, blob),
        };
        bytes.push(kind);
        bytes.extend((value.len() as u64).to_le_bytes());
        bytes.extend(value);
    }
}

/// A value on its way into a column.
struct Bound<'c>(&'c Cell, ColumnType);

impl Param for Bound<'_> {
    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        take(match self.0 {
            Cell::Null => Value::Null,
            Cell::Integer(integer) => Value::Integer(*integer),
            Cell::Text(text) => Value::Text(text),
            Cell::Blob(bytes) => Value::Blob(bytes),
        })
    }

    fn column_type(&self) -> ColumnType {
        self.1
    }
}

/// Rows that are written in one transaction.
pub(super) struct Batch {
    pub(super) rows: Vec<Vec<Cell>>,
    /// The primary key of the last one.
    pub(super) last_key: Vec<Cell>,
    /// Whether no rows are behind them.
    pub(super) is_last: bool,
}

/// A table of a store.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<SchemaColumn>,
    /// The indexes of the columns of its primary key, in the order of the key.
    key: Vec<usize>,
    /// Reads the rows behind a primary key.
    page: String,
    put: String,
    pub(super) empty: String,
    any: String,
    count: String,
}

/// All tables, in the order in which they are copied: those that the migrations of the embedded database make. A test holds the schema
/// of Postgres against it.
pub(super) fn all() -> Result<Vec<Table>> {
    let columns = sqlite::schema_columns()?;
    let mut tables: Vec<_> = columns.chunk_by(|one, next| one.table == next.table).map(Table::new).collect();
    tables.sort_by_key(|table| LAST.iter().position(|name| *name == table.name).map_or(0, |place| place + 1));
    Ok(tables)
}

impl Table {
    fn new(columns: &[SchemaColumn]) -> Self {
        let name = columns[0].table.clone();
        let mut key: Vec<usize> = (0..columns.len()).filter(|index| columns[*index].key_place > 0).collect();
        key.sort_by_key(|index| columns[*index].key_place);
        let names = |columns: &mut dyn Iterator<Item = &SchemaColumn>| {
            columns.map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let numbers = |count: usize| (1..=count).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ");
        let row = |text: String, count: usize| if count > 1 { format!("({text})") } else { text };
        let all = names(&mut columns.iter());
        let order = names(&mut key.iter().map(|index| &columns[*index]));
        let (behind, from) = (row(order.clone(), key.len()), row(numbers(key.len()), key.len()));
        let own = if name == "meta" { format!(" AND key NOT IN {OWN_ROWS}") } else { String::new() };
        Self {
            page: format!("SELECT {all} FROM {name} WHERE {behind} > {from}{own} ORDER BY {order} LIMIT {PAGE_ROWS}"),
            // Where the place of an entry is two columns, this statement has a spelling of its own.
            put: if name == "audit_entries" {
                INSERT_ENTRY.to_owned()
            } else {
                format!("INSERT INTO {name} ({all}) VALUES ({})", numbers(columns.len()))
            },
            empty: format!("DELETE FROM {name}"),
            any: format!("SELECT 1 FROM {name} WHERE 1 = 1{own} LIMIT 1"),
            count: format!("SELECT count(*) FROM {name}"),
            columns: columns.to_vec(),
            key,
            name,
        }
    }

    /// What is less than every key: no column of a key is empty in all rows that haldir writes.
    pub(super) fn first_key(&self) -> Vec<Cell> {
        let least = |index: &usize| match self.columns[*index].column_type {
            ColumnType::Integer => Cell::Integer(i64::MIN),
            ColumnType::Text => Cell::Text(String::new()),
            ColumnType::Blob => Cell::Blob(Vec::new()),
        };
        self.key.iter().map(least).collect()
    }

    pub(super) fn is_empty(&self, tx: &ReadTx) -> Result<bool> {
        Ok(!tx.exists(&self.any, &[])?)
    }

    pub(super) fn count(&self, tx: &ReadTx) -> Result<u64> {
        tx.one(&self.count, &[]).map(i64::cast_unsigned)
    }

    /// The rows behind this key, until a batch is full.
    pub(super) fn read_batch(&self, tx: &ReadTx, after: Vec<Cell>) -> Result<Batch> {
        let mut batch = Batch { rows: Vec::new(), last_key: after, is_last: false };
        let mut bytes = 0;
        while batch.rows.len() < BATCH_ROWS && bytes < BATCH_BYTES && !batch.is_last {
            let key = self.bound(self.key.iter().zip(&batch.last_key).map(|(index, cell)| (*index, cell)));
            let mut page = Vec::new();
            tx.connection()?.query(&self.page, &params_of(&key), &mut |row| {
                let cells = self.read(row)?;
                bytes += cells.iter().map(Cell::len).sum::<usize>();
                page.push(cells);
                Ok(bytes < BATCH_BYTES)
            })?;
            batch.is_last = page.len() < PAGE_ROWS && bytes < BATCH_BYTES;
            if let Some(last) = page.last() {
                batch.last_key = self.key.iter().map(|index| last[*index].clone()).collect();
            }
            batch.rows.append(&mut page);
        }
        Ok(batch)
    }

    fn read(&self, row: &dyn Row) -> Result<Vec<Cell>> {
        let read = |(index, column): (usize, &SchemaColumn)| match (row.value(index), column.column_type) {
            (Value::Null, _) => Ok(Cell::Null),
            (Value::Integer(integer), ColumnType::Integer) => Ok(Cell::Integer(integer)),
            (Value::Text(text), ColumnType::Text) => Ok(Cell::Text(text.to_owned())),
            (Value::Blob(bytes), ColumnType::Blob) => Ok(Cell::Blob(bytes.to_vec())),
            _ => {
                let message = format!("{}.{} has a value of a type that haldir does not write", self.name, column.name);
                Err(Error::new(Code::Conflict, message))
            }
        };
        self.columns.iter().enumerate().map(read).collect()
    }

    pub(super) fn write(&self, connection: &dyn Connection, row: &[Cell]) -> Result<()> {
        connection.send_row(&self.put, &params_of(&self.bound(row.iter().enumerate())))
    }

    fn bound<'c>(&self, cells: impl Iterator<Item = (usize, &'c Cell)>) -> Vec<Bound<'c>> {
        cells.map(|(index, cell)| Bound(cell, self.columns[index].column_type)).collect()
    }

    /// What all rows add up to; `read` is told of how many more.
    pub(super) fn sums(&self, tx: &ReadTx, salt: &[u8; 32], read: &dyn Fn(usize)) -> Result<Sums> {
        let (mut sums, mut after) = (Sums::default(), self.first_key());
        loop {
            let batch = self.read_batch(tx, after)?;
            batch.rows.iter().for_each(|row| sums.add(salt, row));
            read(batch.rows.len());
            if batch.is_last {
                return Ok(sums);
            }
            after = batch.last_key;
        }
    }
}

fn params_of<'b>(bound: &'b [Bound<'b>]) -> Vec<&'b dyn Param> {
    bound.iter().map(|bound| bound as &dyn Param).collect()
}
