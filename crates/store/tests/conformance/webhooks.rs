//! Webhooks: what is forgotten, numbers, leases.

use haldir_core::model::{Money, TenantId, UnixMicros};
use haldir_store::{Attempt, DeadLetter, QueuedEvent, Webhook, WebhookState};

use super::support::{Database, id, in_parallel};

#[tokio::test]
async fn what_is_old_is_forgotten_in_steps_and_the_rest_stays() {
    let database = Database::new();
    let store = database.open();
    let tenant = TenantId::local();
    let attempt = |at| Attempt {
        seq: 0,
        webhook_id: 1,
        url: "http://r/".into(),
        event_id: "evt".into(),
        event_type: "ping".into(),
        attempt: 1,
        status: 200,
        excerpt: String::new(),
        error: String::new(),
        duration_ms: 1,
        at: UnixMicros(at),
        retry_at: None,
    };
    let event = |seq| QueuedEvent {
        seq,
        event_id: "evt".into(),
        event_type: "ping".into(),
        body: "{}".into(),
        queued_at: UnixMicros(0),
        attempts: 1,
    };
    let write = store.write(&TenantId::local(), move |tx| {
        let tenant = TenantId::local();
        for at in [10, 20, 30, 90] {
            tx.insert_attempt(&tenant, &attempt(at))?;
            let letter = DeadLetter { webhook_id: 1, event: event(at), died_at: UnixMicros(at), reason: String::new() };
            tx.put_dead_letter(&tenant, &letter, 0, 2)?;
        }
        let before = UnixMicros(50);
        Ok([2; 3].map(|limit| tx.forget_deliveries(before, limit).unwrap()))
    });
    assert_eq!(write.await.unwrap(), [4, 2, 0]);
    let left = store.read(|tx| {
        let (attempts, letters) = (tx.attempts(&tenant, None, i64::MAX, 10)?, tx.dead_letters(&tenant, 1, 0, 10)?);
        Ok((
            attempts[0].at,
            attempts.len(),
            letters[0].died_at,
            letters.len(),
            tx.attempt_counts(&tenant, UnixMicros(0))?,
        ))
    });
    assert_eq!(left.unwrap(), (UnixMicros(90), 1, UnixMicros(90), 1, (4, 4)));
}

fn webhook(id: i64) -> Webhook {
    Webhook {
        id,
        url: "http://r/".into(),
        name: String::new(),
        events: vec!["ping".into()],
        state: WebhookState::Active,
        secret: vec![1],
        secret_version: 1,
        previous: None,
        delivered: 0,
        failed: 0,
        failures: 0,
        waiting: 0,
        last_seq: 0,
        due_at: Some(UnixMicros(1)),
        lease: None,
        created_at: UnixMicros(1),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_events_have_no_gap_and_no_repetition_whichever_process_gives_them_out() {
    let database = Database::new();
    let store = database.open();
    store.write(&TenantId::local(), |tx| Ok(tx.put_webhook(&TenantId::local(), &webhook(1))?)).await.unwrap();
    let taken = in_parallel(&database, 20, |store, _| async move {
        let work = store.write(&TenantId::local(), |tx| {
            let tenant = TenantId::local();
            let mut webhook = tx.webhook(&tenant, 1)?.unwrap();
            webhook.last_seq += 1;
            tx.put_webhook(&tenant, &webhook)?;
            Ok((webhook.last_seq, tx.next_webhook_id(&tenant)?))
        });
        work.await.unwrap()
    });
    let (mut events, mut webhooks): (Vec<i64>, Vec<i64>) = taken.await.into_iter().unzip();
    events.sort_unstable();
    webhooks.sort_unstable();
    assert_eq!(events, (1..=40).collect::<Vec<_>>());
    assert_eq!(webhooks, (1..=40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_takes_the_lease_of_a_webhook_and_an_exhausted_budget_is_told_once() {
    let database = Database::new();
    let store = database.open();
    store.write(&TenantId::local(), |tx| Ok(tx.put_webhook(&TenantId::local(), &webhook(1))?)).await.unwrap();
    let taken = in_parallel(&database, 8, |store, number| async move {
        let work = store.write(&TenantId::local(), move |tx| {
            let tenant = TenantId::local();
            let mut webhook = tx.webhook(&tenant, 1)?.unwrap();
            let is_free = webhook.lease.is_none();
            if is_free {
                webhook.lease = Some(number);
                webhook.due_at = Some(UnixMicros(100));
                tx.put_webhook(&tenant, &webhook)?;
            }
            Ok((is_free, tx.record_exhaustion(&tenant, &id("a"), Money::from_units(5), UnixMicros(number))?))
        });
        work.await.unwrap()
    });
    let taken = taken.await;
    assert_eq!(taken.iter().filter(|(is_free, _)| *is_free).count(), 1);
    assert_eq!(taken.iter().filter(|(_, told)| *told).count(), 1);
    let due = store.read(|tx| Ok((tx.due_webhooks(UnixMicros(99), 9)?, tx.next_due()?))).unwrap();
    assert_eq!(due, (Vec::new(), Some(UnixMicros(100))));
}
