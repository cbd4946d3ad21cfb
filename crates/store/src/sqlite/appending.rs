//! What an append writes: entries, each at its place, and the head of their log.

use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use super::{
    policy_cache::Lookups,
    statements::{LOG_PLACES, statements},
    write_buffer::Appended,
};
use crate::{
    Head,
    error::{Error, Result},
    model::{Entry, TenantId},
};

statements! {
    PUT_HEAD = "INSERT OR REPLACE INTO audit_heads (tenant, seq, at, entry_hash, tree, mac, actions, cost, flagged)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    BASE = "SELECT base FROM logs WHERE tenant = ?1 AND base % 1099511627776 = 0";
    NEW_LOG = "INSERT INTO logs (base, tenant) SELECT coalesce(max(base) + 1099511627776, 0), ?1 FROM logs RETURNING base";
    INSERT_ENTRY = "INSERT INTO audit_entries (place, id, at, kind, session_id, agent_id, tool, action, cost,
        flagged, flag_reason, actor, details, details_salt, details_digest, prev_hash, entry_hash)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
}

pub(super) fn write_head(connection: &Connection, tenant: &TenantId, head: &Head) -> Result<()> {
    connection.prepare_cached(PUT_HEAD)?.execute(params![
        tenant.as_str(),
        head.seq,
        head.at.0,
        head.entry_hash,
        head.tree,
        head.mac,
        head.actions,
        head.cost.nanos(),
        head.flagged,
    ])?;
    Ok(())
}

pub(super) fn write_entries(
    connection: &Connection,
    entries: &[Appended],
    bases: &Lookups<TenantId, i64>,
) -> Result<()> {
    let mut insert = connection.prepare_cached(INSERT_ENTRY)?;
    entries.chunk_by(|one, next| one.tenant == next.tenant).try_for_each(|of_one_log| {
        let tenant = &of_one_log[0].tenant;
        let base = bases.or_read(tenant.clone(), || base(connection, tenant))?;
        of_one_log.iter().try_for_each(|appended| write_entry(&mut insert, base, &appended.entry))
    })
}

/// Where the places of a log begin; a new log gets some.
fn base(connection: &Connection, tenant: &TenantId) -> Result<i64> {
    let read = |row: &Row<'_>| row.get(0);
    let known = connection.prepare_cached(BASE)?.query_row([tenant.as_str()], read).optional()?;
    Ok(known.map_or_else(|| connection.prepare_cached(NEW_LOG)?.query_row([tenant.as_str()], read), Ok)?)
}

fn write_entry(insert: &mut Statement<'_>, base: i64, entry: &Entry) -> Result<()> {
    if !(1..LOG_PLACES).contains(&entry.seq) {
        return Err(Error::internal("the log is full"));
    }
    insert.execute(params![
        base + entry.seq,
        entry.id.as_str(),
        entry.at.0,
        entry.kind.word(),
        entry.session_id,
        entry.agent_id,
        entry.tool,
        entry.action,
        entry.cost.nanos(),
        entry.flagged,
        entry.flag_reason,
        entry.actor,
        entry.details,
        entry.details_salt,
        entry.details_digest,
        entry.prev_hash,
        entry.entry_hash,
    ])?;
    Ok(())
}
