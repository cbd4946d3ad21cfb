//! What is read and then written is exact, however many processes do it at once.

use haldir_core::model::{Money, PolicyId, PolicyUse, TenantId, UnixMicros};
use haldir_store::{AgentStats, Head, IdempotentResponse};

use super::support::{Database, begun, dollars, id, in_parallel};

const TIMES: i64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_never_overdrawn() {
    let database = Database::new();
    let store = database.open();
    let begin = store.write(&TenantId::local(), |tx| {
        tx.insert_tenant(&TenantId::local(), b"key", UnixMicros(1))?;
        Ok(tx.insert_session(&TenantId::local(), &begun("a", None))?)
    });
    begin.await.unwrap();
    let paid = in_parallel(&database, TIMES, |store, _| async move {
        let work = store.write(&TenantId::local(), |tx| {
            let (tenant, session) = (TenantId::local(), id("a"));
            let spent = tx.session(&tenant, &session)?.unwrap().spent.saturating_add(dollars(1));
            let has_room = spent <= dollars(25);
            if has_room {
                tx.set_spent(&tenant, &session, spent)?;
                tx.add_authorized(&tenant, "agent", dollars(1))?;
                tx.add_daily_spent(&tenant, 7, &[1; 32], dollars(1), 0)?;
            }
            Ok(has_room)
        });
        work.await.unwrap()
    });
    assert_eq!(paid.await.into_iter().filter(|paid| *paid).count(), 25);
    let totals = store.read(|tx| {
        let tenant = TenantId::local();
        let spent = tx.session(&tenant, &id("a"))?.unwrap().spent;
        let of_agent = tx.agent(&tenant, "agent")?.unwrap().authorized;
        Ok([spent, of_agent, tx.authorized_total(&tenant)?, tx.daily_spent(&tenant, 7, &[1; 32])?])
    });
    assert_eq!(totals.unwrap(), [dollars(25); 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_lose_nothing() {
    let database = Database::new();
    in_parallel(&database, TIMES, |store, _| async move {
        let work = store.write(&TenantId::local(), |tx| {
            let tenant = TenantId::local();
            let stats = tx.agent(&tenant, "agent")?.unwrap_or_default();
            tx.put_agent(&tenant, "agent", &AgentStats { actions: stats.actions + 1, ..stats })?;
            let used = PolicyUse { policy: "pol_1".to_owned(), subject: "agent".to_owned(), at: 5 };
            Ok(tx.count_policy_use(&tenant, &used, 1)?)
        });
        work.await.unwrap();
    })
    .await;
    let counted = database.open().read(|tx| {
        let policy = PolicyId::parse("pol_1").unwrap();
        let actions = tx.agent(&TenantId::local(), "agent")?.unwrap().actions;
        Ok((actions, tx.policy_uses(&TenantId::local(), &policy, "agent", 4)?))
    });
    assert_eq!(counted.unwrap(), (2 * TIMES, 2 * TIMES));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hourly_limit_is_shared_out_to_the_last_call() {
    let database = Database::new();
    let taken = in_parallel(&database, TIMES, |store, _| async move {
        let work = store.write(&TenantId::local(), |tx| Ok(tx.take_calls(&[1; 32], 3, 4, 100)?));
        work.await.unwrap().0
    });
    assert_eq!(taken.await.into_iter().sum::<i64>(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_follow_one_another() {
    let database = Database::new();
    let store = database.open();
    store.write(&TenantId::local(), |tx| Ok(tx.begin_log(&TenantId::local(), &Head::default())?)).await.unwrap();
    let seen = in_parallel(&database, TIMES, |store, _| async move {
        let work = store.write(&TenantId::local(), |tx| {
            let head = tx.head(&TenantId::local())?.unwrap();
            tx.begin_log(&TenantId::local(), &Head { seq: head.seq + 1, ..head.clone() })?;
            Ok(head.seq)
        });
        work.await.unwrap()
    });
    let mut seen = seen.await;
    seen.sort_unstable();
    assert_eq!(seen, (0..2 * TIMES).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_equal_calls_is_carried_out() {
    let database = Database::new();
    let first = in_parallel(&database, TIMES, |store, number| async move {
        let work = store.write(&TenantId::local(), move |tx| {
            let tenant = TenantId::local();
            if let Some(earlier) = tx.idempotent_response(&tenant, "caller", "key")? {
                return Ok(earlier.body);
            }
            let response = IdempotentResponse {
                digest: [1; 32],
                status: 200,
                body: Some(format!("{number:02}")),
                created_at: UnixMicros(number),
                session_id: String::new(),
            };
            tx.put_idempotent_response(&tenant, "caller", "key", &response, UnixMicros(0))?;
            Ok(response.body)
        });
        work.await.unwrap().unwrap()
    });
    let first = first.await;
    assert!(first.iter().all(|body| *body == first[0]), "{first:?}");
    let kept = database.open().read(|tx| Ok(tx.kept_responses(&TenantId::local())?)).unwrap();
    assert_eq!(kept, (1, 2));
}

#[tokio::test]
async fn sums_stop_at_the_largest_amount_instead_of_wrapping() {
    let database = Database::new();
    let store = database.open();
    let most = Money::from_nanos(i64::MAX);
    store.write(&TenantId::local(), |tx| Ok(tx.insert_session(&TenantId::local(), &begun("a", None))?)).await.unwrap();
    for _ in 0..2 {
        let write = store.write(&TenantId::local(), move |tx| {
            let tenant = TenantId::local();
            tx.add_authorized(&tenant, "agent", most)?;
            Ok(tx.count_action(&tenant, &begun("a", None), "tool", most)?)
        });
        write.await.unwrap();
    }
    let totals = store.read(|tx| {
        let tenant = TenantId::local();
        Ok((tx.agent(&tenant, "agent")?.unwrap().authorized, tx.session(&tenant, &id("a"))?.unwrap().logged_cost))
    });
    assert_eq!(totals.unwrap(), (most, most));
}
