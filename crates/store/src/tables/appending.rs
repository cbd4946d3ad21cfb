//! What an append writes: entries, each at its place, and the head of their log.

use crate::{
    Head,
    database::{Connection, Record, params},
    error::{Error, Result},
    model::{Entry, TenantId},
    policy_cache::Lookups,
    statements::{LOG_PLACES, statements},
    write_buffer::Appended,
};

statements! {
    PUT_HEAD = Head::PUT;
    BASE = "SELECT base FROM logs WHERE tenant = ?1 AND base % 1099511627776 = 0";
    NEW_LOG = "INSERT INTO logs (base, tenant) SELECT coalesce(max(base) + 1099511627776, 0), ?1 FROM logs RETURNING base";
    INSERT_ENTRY = "INSERT INTO audit_entries (place, id, at, kind, session_id, agent_id, tool, action, cost,
        flagged, flag_reason, actor, details, details_salt, details_digest, prev_hash, entry_hash)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
}

pub(crate) fn write_head(db: &dyn Connection, tenant: &TenantId, head: &Head) -> Result<()> {
    db.send_row(PUT_HEAD, &head.params(tenant))
}

pub(crate) fn write_entries(db: &dyn Connection, entries: &[Appended], bases: &Lookups<TenantId, i64>) -> Result<()> {
    entries.chunk_by(|one, next| one.tenant == next.tenant).try_for_each(|of_one_log| {
        let tenant = &of_one_log[0].tenant;
        let base = bases.or_read(tenant.clone(), || base(db, tenant))?;
        of_one_log.iter().try_for_each(|appended| write_entry(db, base, &appended.entry))
    })
}

/// Where the places of a log begin; a new log gets some.
fn base(db: &dyn Connection, tenant: &TenantId) -> Result<i64> {
    match db.first(BASE, params![tenant])? {
        Some(known) => Ok(known),
        None => db.one(NEW_LOG, params![tenant]),
    }
}

fn write_entry(db: &dyn Connection, base: i64, entry: &Entry) -> Result<()> {
    if !(1..LOG_PLACES).contains(&entry.seq) {
        return Err(Error::internal("the log is full"));
    }
    let e = entry;
    let params = params![
        base + e.seq,
        e.id,
        e.at,
        e.kind.word(),
        e.session_id,
        e.agent_id,
        e.tool,
        e.action,
        e.cost,
        e.flagged,
        e.flag_reason,
        e.actor,
        e.details,
        e.details_salt,
        e.details_digest,
        e.prev_hash,
        e.entry_hash,
    ];
    db.send_row(INSERT_ENTRY, params)
}
