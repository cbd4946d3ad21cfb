//! In-flight calls, and the counts of upstreams. Both change with every call, so a batch holds them until its commit.

use rusqlite::{Connection, params};

use super::{
    SqliteTx,
    rows::{Columns, json, rows},
    statements::statements,
};
use crate::{
    error::Result,
    model::{InFlightCall, TenantId, UnixMicros, UpstreamName},
};

statements! {
    CALL = "SELECT id, upstream, tool, session_id, cost, uses, started_at, lease FROM calls
        WHERE tenant = ?1 AND id = ?2 AND lease IS NOT NULL";
    // Reads all in-flight calls: an index over leases would be written twice for every call, to be read now and then.
    ABANDONED_CALLS = "SELECT id, upstream, tool, session_id, cost, uses, started_at, lease, tenant FROM calls
        WHERE lease < ?1 LIMIT ?2";
    PUT_CALL = "INSERT INTO calls (tenant, id, upstream, tool, session_id, cost, uses, started_at, lease)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET lease = ?9";
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
pub(super) type CallKey = (TenantId, String);

/// What becomes of a call's row: it is written, or taken away.
#[derive(Clone)]
pub(super) enum CallChange {
    Open(Box<InFlightCall>),
    Closed,
}

/// What an upstream's counts gain.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    calls: i64,
    errors: i64,
    /// Microseconds of all together.
    latency: i64,
}

fn read(columns: &mut Columns<'_, '_>) -> Result<InFlightCall> {
    Ok(InFlightCall {
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
    pub(super) fn find_call(&self, tenant: &TenantId, id: &str) -> Result<Option<InFlightCall>> {
        match self.buffer_if_writer().and_then(|buffer| buffer.in_flight_calls.get(&(tenant.clone(), id.to_owned()))) {
            Some(CallChange::Open(call)) => return Ok(Some(*call)),
            Some(CallChange::Closed) => return Ok(None),
            None => {}
        }
        let mut statement = self.connection()?.prepare_cached(CALL)?;
        let mut rows = statement.query([tenant.as_str(), id])?;
        rows.next()?.map(|row| read(&mut Columns::of(row))).transpose()
    }

    /// Calls whose lease has ended, without those that this batch has closed or renewed.
    pub(super) fn find_abandoned(&self, before: UnixMicros, limit: usize) -> Result<Vec<(TenantId, InFlightCall)>> {
        let mut statement = self.connection()?.prepare_cached(ABANDONED_CALLS)?;
        let found = statement.query_and_then(params![before.0, rows(limit)], |row| {
            let mut columns = Columns::of(row);
            let call = read(&mut columns)?;
            Ok((columns.next()?, call))
        })?;
        let mut found: Vec<(TenantId, InFlightCall)> = found.collect::<Result<_>>()?;
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

    pub(super) fn buffer_call(&self, tenant: &TenantId, call: &InFlightCall) -> Result<()> {
        self.buffer()?.in_flight_calls.put((tenant.clone(), call.id.clone()), CallChange::Open(Box::new(call.clone())));
        Ok(())
    }

    /// Answers whether it was open.
    pub(super) fn buffer_lease(&self, tenant: &TenantId, id: &str, lease: UnixMicros) -> Result<bool> {
        let Some(mut call) = self.find_call(tenant, id)? else { return Ok(false) };
        call.lease = lease;
        self.buffer_call(tenant, &call)?;
        Ok(true)
    }

    /// Answers whether it was open.
    pub(super) fn buffer_closing(&self, tenant: &TenantId, id: &str) -> Result<bool> {
        let calls = &self.buffer()?.in_flight_calls;
        let key = (tenant.clone(), id.to_owned());
        let was_open = match calls.look(&key, |change| matches!(change, CallChange::Open(_))) {
            Some(known) => known,
            None => self.connection()?.prepare_cached(CALL)?.exists([tenant.as_str(), id])?,
        };
        if was_open {
            calls.put(key, CallChange::Closed);
        }
        Ok(was_open)
    }

    pub(super) fn buffer_count(
        &self,
        tenant: &TenantId,
        name: &UpstreamName,
        latency: i64,
        failed: bool,
    ) -> Result<()> {
        let key = (tenant.clone(), name.clone());
        let counts = &self.buffer()?.calls;
        let Counts { calls, errors, latency: before } = counts.get(&key).unwrap_or_default();
        let latency = before.saturating_add(latency);
        counts.put(key, Counts { calls: calls + 1, errors: errors + i64::from(failed), latency });
        Ok(())
    }

    /// From now on the upstream's calls are counted, on top of what was counted before.
    pub(super) fn begin_counts(&self, tenant: &TenantId, name: &UpstreamName) -> Result<()> {
        self.change(BEGIN_COUNTS)?.execute([tenant.as_str(), &counts_id(name)])?;
        Ok(())
    }

    pub(super) fn delete_counts(&self, tenant: &TenantId, name: &UpstreamName) -> Result<()> {
        self.change(DELETE_COUNTS)?.execute([tenant.as_str(), &counts_id(name)])?;
        Ok(())
    }
}

pub(super) fn write_call(connection: &Connection, (tenant, id): &CallKey, change: &CallChange) -> Result<()> {
    match change {
        CallChange::Open(call) => connection.prepare_cached(PUT_CALL)?.execute(params![
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
        CallChange::Closed => connection.prepare_cached(DELETE_CALL)?.execute([tenant.as_str(), id])?,
    };
    Ok(())
}

pub(super) fn write_counts(
    connection: &Connection,
    tenant: &TenantId,
    name: &UpstreamName,
    added: Counts,
) -> Result<()> {
    let mut statement = connection.prepare_cached(COUNT_CALLS)?;
    statement.execute(params![tenant.as_str(), counts_id(name), added.calls, added.errors, added.latency])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{
        Store,
        error::{CoreError, CoreResult},
        model::{InFlightCall, Money, SessionId, TenantId, UnixMicros, Upstream, UpstreamName, UpstreamSettings},
    };

    fn name() -> UpstreamName {
        UpstreamName::parse("up").unwrap()
    }

    fn call(id: &str) -> InFlightCall {
        InFlightCall {
            id: id.to_owned(),
            upstream: name(),
            tool: "echo".to_owned(),
            session_id: SessionId::parse("ses_1").unwrap(),
            cost: Money::ZERO,
            uses: Vec::new(),
            started_at: UnixMicros(1),
            lease: UnixMicros(10),
        }
    }

    async fn opened(store: &Store, id: &'static str) {
        store.write(move |tx| Ok(tx.begin_call(&TenantId::local(), &call(id))?)).await.unwrap();
    }

    async fn closed(store: &Store, id: &'static str) -> bool {
        store.write(move |tx| Ok(tx.end_call(&TenantId::local(), id)?)).await.unwrap()
    }

    fn open(store: &Store) -> Vec<String> {
        let found = store.read(|tx| Ok(tx.abandoned_calls(UnixMicros(i64::MAX), 9)?)).unwrap();
        found.into_iter().map(|(_, call)| call.id).collect()
    }

    /// The lease of the one call.
    fn lease(store: &Store) -> UnixMicros {
        let found = store.read(|tx| Ok(tx.abandoned_calls(UnixMicros(i64::MAX), 9)?)).unwrap();
        found[0].1.lease
    }

    #[tokio::test]
    async fn a_call_is_closed_once_by_whichever_process() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [(), ()].map(|()| Store::open(&folder.path().join("h.db")).unwrap());
        for id in ["a", "b", "c"] {
            opened(&one, id).await;
        }
        assert_eq!(open(&two), ["a", "b", "c"]);
        let seen = one.write(|tx| Ok(tx.abandoned_calls(UnixMicros(i64::MAX), 9)?.len())).await.unwrap();
        assert_eq!(seen, 3, "its own calls can be abandoned as well");
        assert!(closed(&one, "a").await, "by the process that has it in memory");
        assert!(closed(&two, "b").await, "by another one");
        assert_eq!([closed(&one, "a").await, closed(&one, "b").await, closed(&two, "a").await], [false; 3]);
        assert_eq!(open(&one), ["c"]);
    }

    #[tokio::test]
    async fn within_one_batch_a_call_is_opened_renewed_closed_and_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("h.db")).unwrap();
        let renewed = store.write(|tx| {
            tx.begin_call(&TenantId::local(), &call("a"))?;
            tx.begin_call(&TenantId::local(), &call("b"))?;
            assert!(tx.end_call(&TenantId::local(), "b")?);
            assert!(!tx.renew_call(&TenantId::local(), "b", UnixMicros(99))?);
            Ok(tx.renew_call(&TenantId::local(), "a", UnixMicros(99))?)
        });
        assert!(renewed.await.unwrap());
        assert_eq!(lease(&store), UnixMicros(99));
        let failed: CoreResult<()> = store
            .write(|tx| {
                assert!(tx.end_call(&TenantId::local(), "a")?);
                assert_eq!(tx.abandoned_calls(UnixMicros(i64::MAX), 9)?.len(), 0, "it is closed for this batch");
                Err(CoreError::internal("on purpose"))
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(open(&store), ["a"]);
        let renewed = store.write(|tx| {
            let is_open = tx.renew_call(&TenantId::local(), "a", UnixMicros(100))?;
            assert!(tx.abandoned_calls(UnixMicros(100), 9)?.is_empty(), "the row has the old lease");
            Ok(is_open)
        });
        assert!(renewed.await.unwrap());
        assert_eq!(lease(&store), UnixMicros(100));
    }

    #[tokio::test]
    async fn what_an_upstream_was_called_adds_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("h.db")).unwrap();
        let upstream = Upstream {
            name: name(),
            url: String::new(),
            headers: std::collections::BTreeMap::new(),
            limits: UpstreamSettings::default(),
            generation: 1,
            healthy: true,
            problem: String::new(),
            checked_at: None,
            calls: 0,
            errors: 0,
            latency: 0,
            created_at: UnixMicros(1),
            created_by: "test".to_owned(),
        };
        store.write(move |tx| Ok(tx.put_upstream(&TenantId::local(), &upstream)?)).await.unwrap();
        for (latency, failed) in [(5, false), (7, true)] {
            let count = move |tx: &mut dyn crate::Tx| {
                tx.count_call(&TenantId::local(), &name(), latency, failed)?;
                Ok(tx.count_call(&TenantId::local(), &name(), latency, false)?)
            };
            store.write(count).await.unwrap();
        }
        let counted = store.read(|tx| Ok(tx.upstreams(&TenantId::local(), 9)?)).unwrap().remove(0);
        assert_eq!((counted.calls, counted.errors, counted.latency), (4, 1, 24));
    }
}
