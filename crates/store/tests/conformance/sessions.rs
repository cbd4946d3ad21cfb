//! Sessions and payments.

use std::sync::mpsc::channel;

use haldir_core::{
    error::{Error, Result},
    model::{AgentId, Authorization, AuthorizationId, AuthorizationStatus, Money, TenantId, UnixMicros},
};
use haldir_store::{ReadTx, Store, Tx};

use super::support::{Database, begun, dollars, id};

type Work = Box<dyn FnMut(&mut Tx) -> Result<()> + Send>;

/// Runs these in one batch; answers which of them stand.
async fn in_one_batch(store: &Store, jobs: Vec<Work>) -> Vec<bool> {
    let (release, held) = channel::<()>();
    // All that comes while this one runs is in its batch.
    let mut first = Box::pin(store.write(&TenantId::local(), move |_| held.recv().map_err(Error::internal)));
    assert!(futures::poll!(first.as_mut()).is_pending());
    let mut writes: Vec<_> = jobs.into_iter().map(|job| Box::pin(store.write(&TenantId::local(), job))).collect();
    for write in &mut writes {
        assert!(futures::poll!(write.as_mut()).is_pending());
    }
    release.send(()).unwrap();
    first.await.unwrap();
    futures::future::join_all(writes).await.into_iter().map(|outcome| outcome.is_ok()).collect()
}

fn children(tx: &ReadTx, after: &str, limit: usize) -> Vec<String> {
    let found = tx.child_sessions(&TenantId::local(), &id("parent"), after, limit).unwrap();
    found.iter().map(|session| session.id.to_string()).collect()
}

#[tokio::test]
async fn a_session_is_found_changed_and_listed_by_the_rest_of_the_batch_in_which_it_begins() {
    let database = Database::new();
    let (store, other) = (database.open(), database.open());
    let tenant = TenantId::local;
    let begin = |name: &'static str, parent: Option<&'static str>| -> Work {
        Box::new(move |tx| Ok(tx.insert_session(&tenant(), &begun(name, parent))?))
    };
    assert_eq!(in_one_batch(&store, vec![begin("parent", None), begin("c", Some("parent"))]).await, [true; 2]);
    let jobs: Vec<Work> = vec![
        begin("d", Some("parent")),
        Box::new(move |tx| {
            tx.insert_session(&tenant(), &begun("b", Some("parent")))?;
            tx.set_spent(&tenant(), &id("parent"), dollars(7))?;
            tx.revoke_session(&tenant(), &id("d"), UnixMicros(5))?;
            Err(Error::internal("on purpose"))
        }),
        begin("a", Some("parent")),
        Box::new(move |tx| {
            assert!(tx.session(&tenant(), &id("b"))?.is_none(), "what failed left something");
            assert_eq!(children(tx, "", 9), ["ses_a", "ses_c", "ses_d"]);
            assert_eq!(children(tx, "ses_a", 1), ["ses_c"]);
            tx.set_spent(&tenant(), &id("parent"), dollars(3))?;
            tx.set_spent(&tenant(), &id("a"), dollars(2))?;
            tx.count_action(&tenant(), &begun("a", Some("parent")), "tool", dollars(1))?;
            tx.revoke_session(&tenant(), &id("a"), UnixMicros(6))?;
            tx.revoke_session(&tenant(), &id("a"), UnixMicros(7))?;
            Ok(tx.revoke_session(&tenant(), &id("c"), UnixMicros(8))?)
        }),
        Box::new(move |tx| {
            let found = |name| tx.session(&tenant(), &id(name)).unwrap().unwrap();
            assert_eq!((found("parent").spent, found("a").spent), (dollars(3), dollars(2)));
            assert_eq!((found("a").revoked_at, found("d").revoked_at), (Some(UnixMicros(6)), None));
            Ok(())
        }),
    ];
    assert_eq!(in_one_batch(&store, jobs).await, [true, false, true, true, true]);
    for store in [&store, &other] {
        let read = |name| store.read(|tx| Ok(tx.session(&tenant(), &id(name))?)).unwrap();
        assert!(read("b").is_none());
        let [parent, a, c, d] = ["parent", "a", "c", "d"].map(|name| read(name).unwrap());
        assert_eq!((parent.spent, a.spent, a.logged_cost, a.action_count), (dollars(3), dollars(2), dollars(1), 1));
        assert_eq!([&a, &c, &d].map(|child| child.revoked_at), [Some(UnixMicros(6)), Some(UnixMicros(8)), None]);
        let all = store.read(|tx| Ok(children(tx, "", 9))).unwrap();
        assert_eq!(all, ["ses_a", "ses_c", "ses_d"]);
    }
}

#[tokio::test]
async fn a_payment_is_settled_in_its_own_batch_or_later_and_totals_are_those_of_every_process() {
    let database = Database::new();
    let (store, other) = (database.open(), database.open());
    let tenant = TenantId::local;
    store.write(&TenantId::local(), move |tx| Ok(tx.insert_tenant(&tenant(), b"key", UnixMicros(1))?)).await.unwrap();
    let payment = |name: &str| Authorization {
        id: AuthorizationId::parse(name).unwrap(),
        session_id: id("a"),
        agent_id: AgentId::parse("agent").unwrap(),
        amount: dollars(2),
        captured: Money::ZERO,
        currency: "USD".to_owned(),
        description: String::new(),
        status: AuthorizationStatus::Authorized,
        created_at: UnixMicros(1),
        settled_at: None,
    };
    let authorize = |name: &'static str, amount: i32| -> Work {
        Box::new(move |tx| {
            tx.insert_authorization(&tenant(), &payment(name))?;
            tx.add_authorized(&tenant(), "agent", dollars(amount))?;
            if name == "fails" { Err(Error::internal("on purpose")) } else { Ok(()) }
        })
    };
    let void = |name: &'static str| -> Work {
        Box::new(move |tx| {
            let mut found = tx.authorization(&tenant(), &AuthorizationId::parse(name).unwrap())?.unwrap();
            found.status = AuthorizationStatus::Voided;
            found.settled_at = Some(UnixMicros(9));
            Ok(tx.settle_authorization(&tenant(), &found)?)
        })
    };
    let jobs = vec![authorize("one", 2), authorize("fails", 2), authorize("two", 3), void("one")];
    assert_eq!(in_one_batch(&store, jobs).await, [true, false, true, true]);
    // Another process, whose batch the first one has not seen.
    assert_eq!(in_one_batch(&other, vec![authorize("three", 4), void("two")]).await, [true; 2]);
    assert_eq!(in_one_batch(&store, vec![authorize("four", 1), authorize("five", -3)]).await, [true; 2]);
    assert_eq!(in_one_batch(&store, vec![authorize("six", -100), authorize("seven", 5)]).await, [true; 2]);
    for store in [&store, &other] {
        let read =
            |name| store.read(|tx| Ok(tx.authorization(&tenant(), &AuthorizationId::parse(name).unwrap())?)).unwrap();
        assert!(read("fails").is_none());
        let settled = ["one", "two", "three"].map(|name| read(name).unwrap().settled_at);
        assert_eq!(settled, [Some(UnixMicros(9)), Some(UnixMicros(9)), None]);
        assert_eq!(store.read(|tx| Ok(tx.authorized_total(&tenant())?)).unwrap(), dollars(5), "it stops at nothing");
    }
}
