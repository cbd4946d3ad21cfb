//! Calls under way, and the counts of upstreams. Both change with every call, so a batch holds them until its commit.

use rusqlite::{Connection, params};

use super::{
    SqliteTx,
    rows::{Columns, json, rows},
    statements::statements,
};
use crate::{
    error::Result,
    model::{OpenCall, TenantId, UnixMicros, UpstreamName},
};

statements! {
    OPEN_CALL = "SELECT id, upstream, tool, session_id, cost, uses, started_at, lease FROM proxy_calls
        WHERE tenant = ?1 AND id = ?2";
    ABANDONED_CALLS = "SELECT id, upstream, tool, session_id, cost, uses, started_at, lease, tenant FROM proxy_calls
        WHERE lease < ?1 ORDER BY lease LIMIT ?2";
    INSERT_OPEN_CALL = "INSERT INTO proxy_calls (tenant, id, upstream, tool, session_id, cost, uses, started_at, lease)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    RENEW_CALL = "UPDATE proxy_calls SET lease = ?3 WHERE tenant = ?1 AND id = ?2";
    DELETE_OPEN_CALL = "DELETE FROM proxy_calls WHERE tenant = ?1 AND id = ?2";
    COUNT_CALLS = "UPDATE upstreams SET calls = calls + ?3, errors = errors + ?4, latency = latency + ?5
        WHERE tenant = ?1 AND name = ?2";
}

/// A call by its tenant and id.
pub(super) type CallKey = (TenantId, String);

/// What becomes of a call's row: it is written, or taken away.
#[derive(Clone)]
pub(super) enum Held {
    Open(Box<OpenCall>),
    Closed,
}

/// What an upstream's counts gain.
#[derive(Clone, Copy, Default)]
pub(super) struct Calls {
    calls: i64,
    errors: i64,
    /// Microseconds of all together.
    latency: i64,
}

fn read(columns: &mut Columns<'_, '_>) -> Result<OpenCall> {
    Ok(OpenCall {
        id: columns.next()?,
        upstream: columns.next()?,
        tool: columns.next()?,
        session_id: columns.next()?,
        cost: columns.next()?,
        uses: columns.next()?,
        started_at: columns.next()?,
        lease: columns.next()?,
    })
}

impl SqliteTx<'_> {
    pub(super) fn find_call(&self, tenant: &TenantId, id: &str) -> Result<Option<OpenCall>> {
        match self.held().and_then(|held| held.open_calls.get(&(tenant.clone(), id.to_owned()))) {
            Some(Held::Open(call)) => return Ok(Some(*call)),
            Some(Held::Closed) => return Ok(None),
            None => {}
        }
        let mut statement = self.connection()?.prepare_cached(OPEN_CALL)?;
        let mut rows = statement.query([tenant.as_str(), id])?;
        rows.next()?.map(|row| read(&mut Columns::of(row))).transpose()
    }

    /// Calls that nobody vouches for; one that this batch has closed is none of them.
    pub(super) fn find_abandoned(&self, before: UnixMicros, limit: usize) -> Result<Vec<(TenantId, OpenCall)>> {
        let mut statement = self.connection()?.prepare_cached(ABANDONED_CALLS)?;
        let found = statement.query_and_then(params![before.0, rows(limit)], |row| {
            let mut columns = Columns::of(row);
            let call = read(&mut columns)?;
            Ok((columns.next()?, call))
        })?;
        let mut found: Vec<(TenantId, OpenCall)> = found.collect::<Result<_>>()?;
        if let Some(held) = self.held() {
            found.retain(|(tenant, call)| held.open_calls.get(&(tenant.clone(), call.id.clone())).is_none());
        }
        Ok(found)
    }

    pub(super) fn hold_call(&self, tenant: &TenantId, call: &OpenCall) -> Result<()> {
        self.pending()?.open_calls.put((tenant.clone(), call.id.clone()), Held::Open(Box::new(call.clone())));
        Ok(())
    }

    pub(super) fn hold_lease(&self, tenant: &TenantId, id: &str, lease: UnixMicros) -> Result<bool> {
        let calls = &self.pending()?.open_calls;
        let key = (tenant.clone(), id.to_owned());
        // One that this batch has begun has no row yet.
        let held = calls.values().get(&key).cloned();
        match held {
            Some(Held::Open(mut call)) => {
                call.lease = lease;
                calls.put(key, Held::Open(call));
                return Ok(true);
            }
            Some(Held::Closed) => return Ok(false),
            None => {}
        }
        let mut statement = self.aside()?.prepare_cached(RENEW_CALL)?;
        Ok(statement.execute(params![tenant.as_str(), id, lease.0])? > 0)
    }

    /// Answers whether it was open.
    pub(super) fn hold_closing(&self, tenant: &TenantId, id: &str) -> Result<bool> {
        let was_open = self.find_call(tenant, id)?.is_some();
        if was_open {
            self.pending()?.open_calls.put((tenant.clone(), id.to_owned()), Held::Closed);
        }
        Ok(was_open)
    }

    pub(super) fn hold_count(&self, tenant: &TenantId, name: &UpstreamName, latency: i64, failed: bool) -> Result<()> {
        let key = (tenant.clone(), name.clone());
        let counts = &self.pending()?.calls;
        let Calls { calls, errors, latency: before } = counts.get(&key).unwrap_or_default();
        let latency = before.saturating_add(latency);
        counts.put(key, Calls { calls: calls + 1, errors: errors + i64::from(failed), latency });
        Ok(())
    }
}

pub(super) fn write_call(connection: &Connection, (tenant, id): &CallKey, held: &Held) -> Result<()> {
    match held {
        Held::Open(call) => connection.prepare_cached(INSERT_OPEN_CALL)?.execute(params![
            tenant.as_str(),
            id,
            call.upstream.as_str(),
            call.tool,
            call.session_id.as_str(),
            call.cost.nanos(),
            json(&call.uses)?,
            call.started_at.0,
            call.lease.0,
        ])?,
        Held::Closed => connection.prepare_cached(DELETE_OPEN_CALL)?.execute([tenant.as_str(), id])?,
    };
    Ok(())
}

pub(super) fn write_counts(
    connection: &Connection,
    tenant: &TenantId,
    name: &UpstreamName,
    added: Calls,
) -> Result<()> {
    let mut statement = connection.prepare_cached(COUNT_CALLS)?;
    statement.execute(params![tenant.as_str(), name.as_str(), added.calls, added.errors, added.latency])?;
    Ok(())
}
