//! Transactions: what stands, what is taken back, what a read sees.

use std::sync::{Arc, mpsc::channel};

use haldir_core::{
    error::{Code, Error},
    model::{Entry, EntryId, EntryKind, Money, TenantId, UnixMicros},
};
use haldir_store::{Append, Head, Store, Tx};

use super::support::{Database, begun, dollars, id};

fn name(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn entry() -> Entry {
    Entry {
        seq: 1,
        id: EntryId::parse("aud_1").unwrap(),
        at: UnixMicros(1),
        kind: EntryKind::Action,
        session_id: String::new(),
        agent_id: String::new(),
        tool: String::new(),
        action: String::new(),
        cost: Money::ZERO,
        flagged: false,
        flag_reason: String::new(),
        actor: String::new(),
        details: None,
        details_salt: None,
        details_digest: None,
        prev_hash: [0; 32],
        entry_hash: [0; 32],
    }
}

async fn begin(store: &Store, tenant: &TenantId, session: &'static str) {
    let of = tenant.clone();
    store.write(tenant, move |tx| Ok(tx.insert_session(&of, &begun(session, None))?)).await.unwrap();
}

fn spent(store: &Store, tenant: &TenantId, session: &str) -> Option<Money> {
    store.read(|tx| Ok(tx.session(tenant, &id(session))?.map(|session| session.spent))).unwrap()
}

#[tokio::test]
async fn what_fails_or_panics_or_starts_over_leaves_nothing() {
    let database = Database::new();
    let (store, tenant) = (database.open(), TenantId::local());
    begin(&store, &tenant, "a").await;
    let change = |tx: &mut Tx| {
        tx.set_spent(&TenantId::local(), &id("a"), dollars(9))?;
        tx.revoke_session(&TenantId::local(), &id("a"), UnixMicros(2))?;
        tx.set_ballast(3)
    };
    let fails = store.write(&tenant, move |tx| {
        change(tx)?;
        Err::<(), _>(Error::new(Code::Conflict, "on purpose"))
    });
    assert_eq!(fails.await.unwrap_err().code, Code::Conflict);
    let panics = store.write(&tenant, move |tx| {
        change(tx)?;
        panic!("on purpose");
        #[allow(unreachable_code)]
        Ok(())
    });
    assert_eq!(panics.await.unwrap_err().code, Code::Internal);
    let starts_over = store.write(&tenant, move |tx| {
        change(tx)?;
        tx.start_over()?;
        assert_eq!(tx.session(&TenantId::local(), &id("a"))?.unwrap().spent, Money::ZERO);
        tx.set_spent(&TenantId::local(), &id("a"), dollars(1))?;
        Ok(())
    });
    starts_over.await.unwrap();
    for store in [&store, &database.open()] {
        assert_eq!(spent(store, &tenant, "a"), Some(dollars(1)));
        let revoked = store.read(|tx| Ok(tx.session(&TenantId::local(), &id("a"))?.unwrap().revoked_at)).unwrap();
        assert_eq!(revoked, None);
    }
}

#[tokio::test]
async fn what_was_answered_is_seen_by_the_next_read_of_every_process() {
    let database = Database::new();
    let (one, other, tenant) = (database.open(), database.open(), TenantId::local());
    begin(&one, &tenant, "a").await;
    for amount in 1..20 {
        // By turns, so that each has cached what the other changes.
        let (writer, reader) = if amount % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let write = writer.write(&tenant, move |tx| Ok(tx.set_spent(&TenantId::local(), &id("a"), dollars(amount))?));
        write.await.unwrap();
        for store in [reader, writer, reader] {
            assert_eq!(spent(store, &tenant, "a"), Some(dollars(amount)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_one_state_while_others_write() {
    let database = Database::new();
    let (store, other, tenant) = (database.open(), database.open(), TenantId::local());
    for session in ["a", "b"] {
        begin(&store, &tenant, session).await;
    }
    let (reads, waits) = channel();
    let (written, read_on) = channel::<()>();
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            let scan = store.scan(move |tx| {
                let before =
                    tx.sessions(&TenantId::local(), &haldir_store::SessionQuery { limit: 9, ..Default::default() })?;
                reads.send(()).map_err(Error::internal)?;
                read_on.recv().map_err(Error::internal)?;
                let after =
                    tx.sessions(&TenantId::local(), &haldir_store::SessionQuery { limit: 9, ..Default::default() })?;
                let sum = |found: &[haldir_core::model::Session]| -> Vec<Money> {
                    found.iter().map(|session| session.spent).collect()
                };
                Ok((sum(&before), sum(&after)))
            });
            scan.await.unwrap()
        }
    });
    tokio::task::spawn_blocking(move || waits.recv().unwrap()).await.unwrap();
    let write = other.write(&tenant, |tx| {
        tx.set_spent(&TenantId::local(), &id("a"), dollars(1))?;
        Ok(tx.set_spent(&TenantId::local(), &id("b"), dollars(2))?)
    });
    write.await.unwrap();
    written.send(()).unwrap();
    let (before, after) = reader.await.unwrap();
    assert_eq!([before, after], [[Money::ZERO; 2]; 2]);
    assert_eq!(spent(&store, &tenant, "b"), Some(dollars(2)));
}

#[tokio::test]
async fn tenants_share_nothing() {
    let database = Database::new();
    let (store, one, other) = (database.open(), name("one"), name("other"));
    begin(&store, &one, "a").await;
    assert_eq!(spent(&store, &one, "a"), Some(Money::ZERO));
    // Also once the row is cached.
    assert_eq!([spent(&store, &other, "a"), spent(&store, &other, "a")], [None; 2]);
    let of = one.clone();
    let counted = store.write(&one, move |tx| {
        tx.add_daily_spent(&of, 1, &[1; 32], dollars(1), 0)?;
        tx.count_action(&of, &begun("a", None), "tool", dollars(1))?;
        Ok(tx.add_authorized(&of, "agent", dollars(1))?)
    });
    counted.await.unwrap();
    let seen = |tenant: &TenantId| {
        store
            .read(|tx| {
                let daily = tx.daily_spent(tenant, 1, &[1; 32])?;
                Ok((daily, tx.agent(tenant, "agent")?.is_some()))
            })
            .unwrap()
    };
    assert_eq!(seen(&one), (dollars(1), true));
    assert_eq!(seen(&other), (Money::ZERO, false));
}

#[tokio::test]
async fn a_write_appends_to_the_log_of_its_tenant_only() {
    let database = Database::new();
    let store = database.open();
    let (one, other) = (name("one"), name("other"));
    let entry = Arc::new(entry());
    let append = move |tx: &mut Tx| {
        let (entry, head) = (Arc::clone(&entry), Head::default());
        let append = Append { entry, leaf: [0; 32], head, leaf_hash: |_, _| [0; 32] };
        Ok(tx.append(&name("other"), append)?)
    };
    assert_eq!(store.write(&one, append.clone()).await.unwrap_err().code, Code::Internal);
    assert_eq!(store.write_for_all(append.clone()).await.unwrap_err().code, Code::Internal);
    assert!(store.read(|tx| Ok(tx.head(&other)?)).unwrap().is_none());
    let makes_it = store.write(&one, move |tx| {
        tx.insert_tenant(&name("other"), b"key", UnixMicros(1))?;
        append.clone()(tx)
    });
    makes_it.await.unwrap();
    assert!(store.read(|tx| Ok(tx.head(&other)?)).unwrap().is_some());
}

#[tokio::test]
async fn changes_are_made_in_the_order_in_which_they_are_handed_over() {
    let database = Database::new();
    let (store, tenant) = (database.open(), TenantId::local());
    begin(&store, &tenant, "a").await;
    for amount in 1..=10 {
        let work = move |tx: &mut Tx| Ok(tx.set_spent(&TenantId::local(), &id("a"), dollars(amount))?);
        store.write_behind(&tenant, work, |error| panic!("{error}"));
    }
    store.caught_up().await;
    assert_eq!(spent(&store, &tenant, "a"), Some(dollars(10)));
    assert_eq!(spent(&database.open(), &tenant, "a"), Some(dollars(10)));
}
