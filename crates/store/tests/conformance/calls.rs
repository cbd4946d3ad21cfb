//! In-flight calls and the counts of upstreams.

use haldir_core::{
    error::{Error, Result},
    model::{InFlightCall, Money, SessionId, TenantId, UnixMicros, Upstream, UpstreamName, UpstreamSettings},
};
use haldir_store::{Store, Tx};

use super::support::Database;

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
    store.write(&TenantId::local(), move |tx| Ok(tx.begin_call(&TenantId::local(), &call(id))?)).await.unwrap();
}

async fn closed(store: &Store, id: &'static str) -> bool {
    store.write(&TenantId::local(), move |tx| Ok(tx.end_call(&TenantId::local(), id)?)).await.unwrap()
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
    let database = Database::new();
    let [one, two] = [(), ()].map(|()| database.open());
    for id in ["a", "b", "c"] {
        opened(&one, id).await;
    }
    assert_eq!(open(&two), ["a", "b", "c"]);
    let seen =
        one.write(&TenantId::local(), |tx| Ok(tx.abandoned_calls(UnixMicros(i64::MAX), 9)?.len())).await.unwrap();
    assert_eq!(seen, 3, "its own calls can be abandoned as well");
    assert!(closed(&one, "a").await, "by the process that has it in memory");
    assert!(closed(&two, "b").await, "by another one");
    assert_eq!([closed(&one, "a").await, closed(&one, "b").await, closed(&two, "a").await], [false; 3]);
    assert_eq!(open(&one), ["c"]);
}

#[tokio::test]
async fn within_one_batch_a_call_is_opened_renewed_closed_and_taken_back() {
    let database = Database::new();
    let store = database.open();
    let renewed = store.write(&TenantId::local(), |tx| {
        tx.begin_call(&TenantId::local(), &call("a"))?;
        tx.begin_call(&TenantId::local(), &call("b"))?;
        assert!(tx.end_call(&TenantId::local(), "b")?);
        assert!(!tx.renew_call(&TenantId::local(), "b", UnixMicros(99))?);
        Ok(tx.renew_call(&TenantId::local(), "a", UnixMicros(99))?)
    });
    assert!(renewed.await.unwrap());
    assert_eq!(lease(&store), UnixMicros(99));
    let failed: Result<()> = store
        .write(&TenantId::local(), |tx| {
            assert!(tx.end_call(&TenantId::local(), "a")?);
            assert_eq!(tx.abandoned_calls(UnixMicros(i64::MAX), 9)?.len(), 0, "it is closed for this batch");
            Err(Error::internal("on purpose"))
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(open(&store), ["a"]);
    let renewed = store.write(&TenantId::local(), |tx| {
        let is_open = tx.renew_call(&TenantId::local(), "a", UnixMicros(100))?;
        assert!(tx.abandoned_calls(UnixMicros(100), 9)?.is_empty(), "the row has the old lease");
        Ok(is_open)
    });
    assert!(renewed.await.unwrap());
    assert_eq!(lease(&store), UnixMicros(100));
}

#[tokio::test]
async fn what_an_upstream_was_called_adds_up() {
    let database = Database::new();
    let store = database.open();
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
    store.write(&TenantId::local(), move |tx| Ok(tx.put_upstream(&TenantId::local(), &upstream)?)).await.unwrap();
    for (latency, failed) in [(5, false), (7, true)] {
        let count = move |tx: &mut Tx| {
            tx.count_call(&TenantId::local(), &name(), latency, failed)?;
            Ok(tx.count_call(&TenantId::local(), &name(), latency, false)?)
        };
        store.write(&TenantId::local(), count).await.unwrap();
    }
    let counted = store.read(|tx| Ok(tx.upstreams(&TenantId::local(), 9)?)).unwrap().remove(0);
    assert_eq!((counted.calls, counted.errors, counted.latency), (4, 1, 24));
}
