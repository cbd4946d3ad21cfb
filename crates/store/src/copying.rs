//! Copies of a whole store into another database.
//!
//! Tables are copied one after the other, in the order of their primary keys. A transaction writes a batch of rows together with a note
//! of how far the copy has come, so that a copy which was killed goes on with the next batch. [`Store::open`](crate::Store::open)
//! refuses a database with such a note. Values are copied as they are: nothing is decrypted.

mod sums;
mod table;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use sums::Sums;
use table::{Batch, Cell, DERIVED, Table};

use crate::{
    ReadTx, Store, Tx, crypto,
    database::params,
    error::{Code, CoreError, CoreResult, Error, Result},
    sqlite::Migrator,
    statements::statements,
};

statements! {
    NOTE = "SELECT value FROM meta WHERE key = 'copying'";
    BEGIN = "INSERT INTO meta (key, value) VALUES ('copying', ?1)";
    ADVANCE = "UPDATE meta SET value = ?2 WHERE key = 'copying' AND value = ?1";
    END = "DELETE FROM meta WHERE key = 'copying' AND value = ?1";
}

/// Tables that a message names, at most.
const MAX_NAMED: usize = 5;
/// What an operator does about a copy that cannot be used.
const ANEW: &str = "stop every server and client that uses either store, delete the target (its file, or the schema haldir of its \
                    database), and copy again";

/// How far the work has come: how many rows, of how many.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Counter {
    pub done: AtomicU64,
    pub total: AtomicU64,
}

impl Counter {
    fn begin(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    fn add(&self, rows: usize) {
        self.done.fetch_add(rows as u64, Ordering::Relaxed);
    }
}

/// What the target keeps while it is copied into.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    /// The schema version of the haldir that has begun.
    schema: i64,
    /// The digest of the source's check of the master key, which no two stores share.
    source: [u8; 32],
    /// Random: see [`Sums`].
    salt: [u8; 32],
    /// Of the rows of each table that were copied.
    copied: BTreeMap<String, Sums>,
    /// The table that is not copied to its end, and the primary key of the last row of it.
    current: Option<(String, Vec<Cell>)>,
}

impl Note {
    /// The note of a copy that was begun, if it is the beginning of the one that this note would begin.
    fn go_on(&self, stored: &[u8]) -> CoreResult<Self> {
        let note: Self = serde_json::from_slice(stored).map_err(CoreError::internal)?;
        if note.source != self.source {
            return Err(conflict(format!("the target holds a part of another store than the source: {ANEW}")));
        }
        if note.schema != self.schema {
            return Err(conflict(format!("another version of haldir has begun this copy: {ANEW}")));
        }
        Ok(note)
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(Error::internal)
    }

    /// Behind which key the rest of the table begins; `None` if there is no rest.
    fn rest_of(&self, table: &Table) -> Option<Vec<Cell>> {
        match &self.current {
            Some((name, last)) if *name == table.name => Some(last.clone()),
            _ if self.copied.contains_key(&table.name) => None,
            _ => Some(table.first_key()),
        }
    }
}

/// Whether this database is copied into, and not to its end.
pub fn is_unfinished(tx: &ReadTx) -> Result<bool> {
    tx.exists(NOTE, &[])
}

/// What a program that opens such a database gets.
pub(crate) fn unfinished() -> Error {
    let message =
        "the store is the target of a copy that has not ended: run the same `haldir migrate copy` again to complete it";
    Error::new(Code::Unavailable, message)
}

fn conflict(message: impl Display) -> CoreError {
    CoreError::new(Code::Conflict, message.to_string())
}

/// The check of the master key of a store that is to be copied; refuses a database in which no store was begun.
pub fn check_of(source: &ReadTx) -> CoreResult<Vec<u8>> {
    source.master_key_check()?.ok_or_else(|| conflict("the source holds no store yet: there is nothing to copy"))
}

/// A copy of one store into another.
pub struct Copy {
    source: Store,
    target: Store,
    tables: Arc<[Table]>,
    note: Note,
    /// The note as it is stored.
    stored: Vec<u8>,
    is_resumed: bool,
    counter: Arc<Counter>,
}

impl Copy {
    /// Begins a copy, or goes on with the one that was begun. Both stores were opened with [`Store::open_unfinished`] or its like, and
    /// the source with its key. Refuses a target that holds anything else than the first rows of this source.
    pub async fn begin(source: Store, target: Store, counter: Arc<Counter>) -> CoreResult<Self> {
        let tables: Arc<[Table]> = table::all()?.into();
        let check = source.read(|tx| {
            if is_unfinished(tx)? {
                return Err(unfinished().into());
            }
            check_of(tx)
        })?;
        let mut salt = [0; 32];
        crypto::fill(&mut salt).map_err(CoreError::internal)?;
        let new = Note {
            schema: Migrator::LATEST,
            source: crypto::digest(&[&check]),
            salt,
            copied: BTreeMap::new(),
            current: None,
        };
        let all = Arc::clone(&tables);
        let work = move |tx: &mut Tx| {
            if let Some(stored) = tx.first::<Vec<u8>>(NOTE, &[])? {
                return Ok((new.go_on(&stored)?, stored, true));
            }
            if tx.master_key_check()?.as_ref() == Some(&check) {
                return Err(conflict("the target is the source itself, or holds a complete copy of it already"));
            }
            for table in &*all {
                if !table.is_empty(tx)? {
                    let name = &table.name;
                    let message =
                        format!("the target is not empty: its table {name} has rows. Name a database without a store");
                    return Err(conflict(message));
                }
            }
            let stored = new.to_bytes()?;
            tx.change(BEGIN, params![stored])?;
            Ok((new.clone(), stored, false))
        };
        let (note, stored, is_resumed) = target.write_for_all(work).await?;
        Ok(Self { source, target, tables, note, stored, is_resumed, counter })
    }

    /// Whether it goes on with a copy that was begun before.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Rows that are copied.
    pub fn rows(&self) -> u64 {
        self.note.copied.values().map(|sums| sums.rows).sum()
    }

    /// Copies all rows that are not copied yet.
    pub async fn run(&mut self) -> CoreResult<()> {
        let tables = Arc::clone(&self.tables);
        let total = self.source.scan(move |tx| {
            let counts: Result<Vec<u64>> = tables.iter().map(|table| table.count(tx)).collect();
            Ok(counts?.iter().sum())
        });
        self.counter.begin(total.await?);
        self.counter.done.store(self.rows(), Ordering::Relaxed);
        while self.copy_table().await? {}
        Ok(())
    }

    /// Copies the rest of one table; `false` if there is none.
    async fn copy_table(&mut self) -> CoreResult<bool> {
        let rest = |(index, table)| Some((index, self.note.rest_of(table)?));
        let Some((index, after)) = self.tables.iter().enumerate().find_map(rest) else { return Ok(false) };
        let mut batch = self.read_batch(index, after).await?;
        loop {
            // The next batch is read while this one is written.
            let next = (!batch.is_last).then(|| tokio::spawn(self.read_batch(index, batch.last_key.clone())));
            self.write(index, batch).await?;
            let Some(next) = next else { return Ok(true) };
            batch = next.await.map_err(CoreError::internal)??;
        }
    }

    fn read_batch(&self, index: usize, after: Vec<Cell>) -> impl Future<Output = CoreResult<Batch>> + use<> {
        let (source, tables) = (self.source.clone(), Arc::clone(&self.tables));
        async move { source.scan(move |tx| Ok(tables[index].read_batch(tx, after)?)).await }
    }

    /// Writes a batch, with the note that says so.
    async fn write(&mut self, index: usize, batch: Batch) -> CoreResult<()> {
        let (tables, before) = (Arc::clone(&self.tables), self.stored.clone());
        let table = &tables[index];
        let is_first = !self.note.copied.contains_key(&table.name);
        let sums = self.note.copied.entry(table.name.clone()).or_default();
        batch.rows.iter().for_each(|row| sums.add(&self.note.salt, row));
        self.note.current = (!batch.is_last).then(|| (table.name.clone(), batch.last_key.clone()));
        let (stored, is_last, rows) = (self.note.to_bytes()?, batch.is_last, batch.rows.len());
        let is_end = is_last && index + 1 == tables.len();
        let (all, after) = (Arc::clone(&tables), stored.clone());
        let work = move |tx: &mut Tx| {
            if tx.change(ADVANCE, params![before, after])? != 1 {
                return Err(conflict("another process copies into the target"));
            }
            let (table, connection) = (&all[index], tx.any_change()?);
            if is_first && DERIVED.contains(&&*table.name) {
                // Triggers have counted the rows that were copied before.
                connection.execute(&table.empty, &[])?;
            }
            batch.rows.iter().try_for_each(|row| table.write(connection, row))?;
            if is_end {
                connection.continue_numbers()?;
            }
            Ok(())
        };
        let written = self.target.write_for_all(work).await;
        written.map_err(|error| {
            let message = format!("the table {} could not be written: {}", table.name, error.message);
            CoreError { message, ..error }
        })?;
        self.counter.add(rows);
        self.stored = stored;
        Ok(())
    }

    /// Reads all tables of both stores again, each store on one snapshot, and compares them with what was copied.
    pub async fn verify_rows(&self) -> CoreResult<()> {
        self.counter.begin(2 * self.rows());
        let sums = |store: &Store| {
            let (store, tables, salt) = (store.clone(), Arc::clone(&self.tables), self.note.salt);
            let counter = Arc::clone(&self.counter);
            tokio::spawn(async move {
                let sums = move |tx: &ReadTx| {
                    let sums = tables.iter().map(|table| table.sums(tx, &salt, &|rows| counter.add(rows)));
                    Ok(sums.collect::<Result<Vec<_>>>()?)
                };
                store.scan(sums).await
            })
        };
        let (source, target) = (sums(&self.source), sums(&self.target));
        let source = source.await.map_err(CoreError::internal)??;
        let target = target.await.map_err(CoreError::internal)??;
        let differing = |sums: &[Sums]| {
            let tables = self.tables.iter().zip(sums);
            let differing = tables.filter(|(table, sums)| self.note.copied.get(&table.name) != Some(sums));
            let named: Vec<_> = differing
                .take(MAX_NAMED)
                .map(|(table, now)| {
                    let copied = self.note.copied.get(&table.name).map_or(0, |copied| copied.rows);
                    format!("{} ({copied} rows were copied, {} are there now)", table.name, now.rows)
                })
                .collect();
            (!named.is_empty()).then(|| named.join(", "))
        };
        if let Some(tables) = differing(&source) {
            return Err(conflict(format!(
                "the source was changed while it was copied, in the tables {tables}: {ANEW}"
            )));
        }
        if let Some(tables) = differing(&target) {
            return Err(conflict(format!("the target does not hold what was copied, in the tables {tables}: {ANEW}")));
        }
        Ok(())
    }

    /// The copy is complete: from now on the target can be opened.
    pub async fn finish(&self) -> CoreResult<()> {
        let stored = self.stored.clone();
        let work = move |tx: &mut Tx| match tx.change(END, params![stored])? {
            1 => Ok(()),
            _ => Err(conflict("another process copies into the target")),
        };
        self.target.write_for_all(work).await
    }
}
