//! Erasing details: the setting, the record, and the erasing itself.

use rusqlite::{OptionalExtension, Row, params};

use super::{
    SqliteTx,
    audit::hash,
    connection,
    rows::{Columns, rows},
    statements::{place, statements},
};
use crate::{
    error::Result,
    model::{TenantId, UnixMicros},
    retention::{Erasure, ReadRetention, Retention, WriteRetention},
};

statements! {
    RETENTION = "SELECT retain_days, updated_at, updated_by, mac FROM audit_retention WHERE tenant = ?1";
    PUT_RETENTION = "INSERT INTO audit_retention (tenant, retain_days, updated_at, updated_by, mac)
        VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET retain_days = ?2, updated_at = ?3, updated_by = ?4, mac = ?5";
    TENANTS = "SELECT tenant FROM audit_retention WHERE tenant > ?1 ORDER BY tenant LIMIT ?2";
    ERASURES = "SELECT number, created_at, actor, retain_days, before, up_to_seq, done_seq, erased, tree_size, root_hash,
        mac FROM audit_erasures WHERE tenant = ?1 ORDER BY number DESC LIMIT ?2";
    PUT_ERASURE = "INSERT INTO audit_erasures (tenant, number, created_at, actor, retain_days, before, up_to_seq,
        done_seq, erased, tree_size, root_hash, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
        ON CONFLICT DO UPDATE SET up_to_seq = ?7, done_seq = ?8, erased = ?9, mac = ?12";
    ENTRY_TIME = concat!("SELECT at FROM audit_entries WHERE place = ", place!("?2"));
    DETAILS_BETWEEN = concat!("SELECT count(*) FROM audit_entries WHERE place >= ", place!("?2"), " AND place < ",
        place!("?3"), " AND details IS NOT NULL");
    ERASE = concat!("UPDATE audit_entries SET details = NULL, details_salt = NULL WHERE place >= ", place!("?2"),
        " AND place < ", place!("?3"), " AND (details IS NOT NULL OR details_salt IS NOT NULL)");
}

fn erasure(row: &Row<'_>) -> Result<Erasure> {
    let mut columns = Columns::of(row);
    Ok(Erasure {
        number: columns.next()?,
        created_at: columns.next()?,
        actor: columns.next()?,
        retain_days: columns.next()?,
        before: columns.next()?,
        up_to_seq: columns.next()?,
        done_seq: columns.next()?,
        erased: columns.next()?,
        tree_size: columns.next()?,
        root_hash: hash(columns.next()?),
        mac: hash(columns.next()?),
    })
}

impl ReadRetention for SqliteTx<'_> {
    fn retention(&self, tenant: &TenantId) -> Result<Option<Retention>> {
        let mut statement = self.connection()?.prepare_cached(RETENTION)?;
        let mut rows = statement.query([tenant.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut columns = Columns::of(row);
        Ok(Some(Retention {
            retain_days: columns.next()?,
            updated_at: columns.next()?,
            updated_by: columns.next()?,
            mac: hash(columns.next()?),
        }))
    }

    fn tenants_with_retention(&self, after: &str, limit: usize) -> Result<Vec<TenantId>> {
        let mut statement = self.connection()?.prepare_cached(TENANTS)?;
        statement.query_and_then(params![after, rows(limit)], |row| Columns::of(row).next())?.collect()
    }

    fn erasures(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Erasure>> {
        let mut statement = self.connection()?.prepare_cached(ERASURES)?;
        statement.query_and_then(params![tenant.as_str(), rows(limit)], erasure)?.collect()
    }

    fn entry_time(&self, tenant: &TenantId, seq: i64) -> Result<Option<UnixMicros>> {
        let mut statement = self.connection()?.prepare_cached(ENTRY_TIME)?;
        Ok(statement.query_row(params![tenant.as_str(), seq], |row| row.get(0)).optional()?.map(UnixMicros))
    }

    fn details_between(&self, tenant: &TenantId, first: i64, end: i64) -> Result<i64> {
        let mut statement = self.connection()?.prepare_cached(DETAILS_BETWEEN)?;
        Ok(statement.query_row(params![tenant.as_str(), first, end], |row| row.get(0))?)
    }
}

impl WriteRetention for SqliteTx<'_> {
    fn put_retention(&mut self, tenant: &TenantId, retention: &Retention) -> Result<()> {
        self.change(PUT_RETENTION)?.execute(params![
            tenant.as_str(),
            retention.retain_days,
            retention.updated_at.0,
            retention.updated_by,
            retention.mac,
        ])?;
        Ok(())
    }

    fn put_erasure(&mut self, tenant: &TenantId, erasure: &Erasure) -> Result<()> {
        self.change(PUT_ERASURE)?.execute(params![
            tenant.as_str(),
            erasure.number,
            erasure.created_at.0,
            erasure.actor,
            erasure.retain_days,
            erasure.before.0,
            erasure.up_to_seq,
            erasure.done_seq,
            erasure.erased,
            erasure.tree_size,
            erasure.root_hash,
            erasure.mac,
        ])?;
        Ok(())
    }

    fn erase_details(&mut self, tenant: &TenantId, first: i64, end: i64) -> Result<i64> {
        let count = self.details_between(tenant, first, end)?;
        let connection = self.any_change()?;
        connection::overwriting(connection, || {
            Ok(connection.prepare_cached(ERASE)?.execute(params![tenant.as_str(), first, end])?)
        })?;
        Ok(count)
    }
}
