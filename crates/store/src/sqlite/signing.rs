//! The keys that sign tree heads.

use rusqlite::{Row, params};

use super::{
    SqliteTx,
    audit::hash,
    rows::{Columns, rows},
    statements::statements,
};
use crate::{
    error::Result,
    signing::{ReadSigningKeys, StoredSigningKey, WriteSigningKeys},
};

statements! {
    SIGNING_KEYS = "SELECT number, public_key, created_at, retires_at, seed, mac FROM signing_keys
        WHERE number > 0 ORDER BY number DESC LIMIT ?1";
    PUT_SIGNING_KEY = "INSERT INTO signing_keys (number, public_key, created_at, retires_at, seed, mac)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET retires_at = ?4, seed = ?5, mac = ?6";
}

fn signing_key(row: &Row<'_>) -> Result<StoredSigningKey> {
    let mut columns = Columns::of(row);
    Ok(StoredSigningKey {
        number: columns.next()?,
        public_key: hash(columns.next()?),
        created_at: columns.next()?,
        retires_at: columns.next()?,
        seed: columns.next()?,
        mac: hash(columns.next()?),
    })
}

impl ReadSigningKeys for SqliteTx<'_> {
    fn signing_keys(&self, limit: usize) -> Result<Vec<StoredSigningKey>> {
        let mut statement = self.connection()?.prepare_cached(SIGNING_KEYS)?;
        statement.query_and_then([rows(limit)], signing_key)?.collect()
    }
}

impl WriteSigningKeys for SqliteTx<'_> {
    fn put_signing_key(&mut self, key: &StoredSigningKey) -> Result<()> {
        self.change(PUT_SIGNING_KEY)?.execute(params![
            key.number,
            key.public_key,
            key.created_at.0,
            key.retires_at.map(|at| at.0),
            key.seed,
            key.mac,
        ])?;
        Ok(())
    }
}
