//! In-flight calls, and the counts of upstreams. Both change with every call, so a batch holds them until its commit.

use crate::{
    ReadTx, Tx,
    database::{Connection, Record, params, record},
    error::Result,
    model::{InFlightCall, TenantId, UnixMicros, UpstreamName},
    statements::statements,
};

record! { calls: InFlightCall as in_flight_call { id, upstream, tool, session_id, cost, uses, started_at, lease } }

statements! {
    CALL = concat!("SELECT ", in_flight_call!(), " FROM calls
        WHERE tenant = ?1 AND id = ?2 AND lease IS NOT NULL");
    // Reads all in-flight calls: an index over leases would be written twice for every call, to be read now and then.
    ABANDONED_CALLS = concat!("SELECT tenant, ", in_flight_call!(), " FROM calls WHERE lease < ?1 LIMIT ?2");
    PUT_CALL = concat!("INSERT INTO calls (tenant, ", in_flight_call!(), ")
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET lease = ?9");
    DELETE_CALL = "DELETE FROM calls WHERE tenant = ?1 AND id = ?2 AND lease IS NOT NULL";
    BEGIN_COUNTS = "INSERT INTO calls (tenant, id, calls, errors, latency) VALUES (?1, ?2, 0, 0, 0)
        ON CONFLICT DO NOTHING";
    COUNT_CALLS = "UPDATE calls SET calls = calls + ?3, errors = errors + ?4, latency = latency + ?5
        WHERE tenant = ?1 AND id = ?2";
    DELETE_COUNTS = "DELETE FROM calls WHERE tenant = ?1 AND id = ?2";
}

/// The row of an upstream's counts; no id of a call begins like this.
fn counts_id(upstream: &UpstreamName) -> String {
    format!(":{upstream}")
}

/// A call by its tenant and id.
pub(crate) type CallKey = (TenantId, String);

/// What becomes of a call's row: it is written, or taken away.
#[derive(Clone)]
pub(crate) enum CallChange {
    Open(Box<InFlightCall>),
    Closed,
}

/// What an upstream's counts gain.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    calls: i64,
    errors: i64,
    /// Microseconds of all together.
    latency: i64,
}

#[allow(missing_docs)]
impl ReadTx {
    fn in_flight_call(&self, tenant: &TenantId, id: &str) -> Result<Option<InFlightCall>> {
        match self.buffer_if_writer().and_then(|buffer| buffer.in_flight_calls.get(&(tenant.clone(), id.to_owned()))) {
            Some(CallChange::Open(call)) => Ok(Some(*call)),
            Some(CallChange::Closed) => Ok(None),
            None => self.first(CALL, params![tenant, id]),
        }
    }

    /// Calls of all tenants that no process vouches for any more, at most `limit`, without those that this batch has closed or
    /// renewed.
    pub fn abandoned_calls(&self, before: UnixMicros, limit: usize) -> Result<Vec<(TenantId, InFlightCall)>> {
        let mut found: Vec<(TenantId, InFlightCall)> = self.all(ABANDONED_CALLS, params![before, limit])?;
        if let Some(buffer) = self.buffer_if_writer() {
            let changes = buffer.in_flight_calls.values();
            found.retain(|(tenant, call)| match changes.get(&(tenant.clone(), call.id.clone())) {
                Some(CallChange::Closed) => false,
                Some(CallChange::Open(call)) => call.lease < before,
                None => true,
            });
        }
        Ok(found)
    }
}

#[allow(missing_docs)]
impl Tx {
    pub fn begin_call(&mut self, tenant: &TenantId, call: &InFlightCall) -> Result<()> {
        let change = CallChange::Open(Box::new(call.clone()));
        self.buffer().in_flight_calls.put((tenant.clone(), call.id.clone()), change);
        Ok(())
    }

    /// Whether it was still open.
    pub fn renew_call(&mut self, tenant: &TenantId, id: &str, lease: UnixMicros) -> Result<bool> {
        let Some(call) = self.in_flight_call(tenant, id)? else { return Ok(false) };
        self.begin_call(tenant, &InFlightCall { lease, ..call })?;
        Ok(true)
    }

    /// Whether it was still open.
    pub fn end_call(&mut self, tenant: &TenantId, id: &str) -> Result<bool> {
        let calls = &self.buffer().in_flight_calls;
        let key = (tenant.clone(), id.to_owned());
        let was_open = match calls.look(&key, |change| matches!(change, CallChange::Open(_))) {
            Some(known) => known,
            None => self.exists(CALL, params![tenant, id])?,
        };
        if was_open {
            calls.put(key, CallChange::Closed);
        }
        Ok(was_open)
    }

    /// Counts a call with its time in microseconds, and whether it failed.
    pub fn count_call(&mut self, tenant: &TenantId, name: &UpstreamName, latency: i64, failed: bool) -> Result<()> {
        let key = (tenant.clone(), name.clone());
        let counts = &self.buffer().calls;
        let Counts { calls, errors, latency: before } = counts.get(&key).unwrap_or_default();
        let latency = before.saturating_add(latency);
        counts.put(key, Counts { calls: calls + 1, errors: errors + i64::from(failed), latency });
        Ok(())
    }

    /// From now on the upstream's calls are counted, on top of what was counted before.
    pub(crate) fn begin_counts(&self, tenant: &TenantId, name: &UpstreamName) -> Result<()> {
        self.change(BEGIN_COUNTS, params![tenant, counts_id(name)]).map(drop)
    }

    pub(crate) fn delete_counts(&self, tenant: &TenantId, name: &UpstreamName) -> Result<()> {
        self.change(DELETE_COUNTS, params![tenant, counts_id(name)]).map(drop)
    }
}

pub(crate) fn write_call(db: &dyn Connection, (tenant, id): &CallKey, change: &CallChange) -> Result<()> {
    match change {
        CallChange::Open(call) => db.send(PUT_CALL, &call.params(tenant)),
        CallChange::Closed => db.send(DELETE_CALL, params![tenant, id]),
    }
}

pub(crate) fn write_counts(
    db: &dyn Connection,
    tenant: &TenantId,
    name: &UpstreamName,
    Counts { calls, errors, latency }: Counts,
) -> Result<()> {
    db.send(COUNT_CALLS, params![tenant, counts_id(name), calls, errors, latency])
}
