use std::{sync::Arc, time::Duration};

use rusqlite::Connection;

use super::Writer;
use crate::{
    Store,
    error::{Code, Error},
    model::TenantId,
    row_cache::RowCache,
    sqlite,
};

#[tokio::test]
async fn a_change_that_no_caller_waits_for_is_made_before_those_that_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("h.db")).unwrap();
    let order = Arc::<std::sync::Mutex<Vec<u8>>>::default();
    let note = |number| {
        let order = Arc::clone(&order);
        move || order.lock().unwrap().push(number)
    };
    let (first, second) = (note(1), note(2));
    let (release, held) = std::sync::mpsc::channel::<()>();
    store.write_behind(
        &TenantId::local(),
        move |_| {
            held.recv().map_err(Error::internal)?;
            first();
            Ok(())
        },
        |error| panic!("{error}"),
    );
    assert!(store.is_behind());
    release.send(()).unwrap();
    store
        .write_for_all(move |_| {
            second();
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(*order.lock().unwrap(), [1, 2]);
    assert!(!store.is_behind());
}

#[tokio::test]
async fn changes_that_queue_up_are_committed_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    let store = Store::open(&path).unwrap();
    let row_cache = RowCache::new(sqlite::version_of(&path));
    let commits = || row_cache.version().unwrap().commits;
    let before = commits();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let mut first = Box::pin(store.write_for_all(move |_| Ok(held.recv().map_err(Error::internal)?)));
    assert!(futures::poll!(first.as_mut()).is_pending());
    let mut writes: Vec<_> = (0..5).map(|_| Box::pin(store.write_for_all(|tx| Ok(tx.set_ballast(1)?)))).collect();
    for write in &mut writes {
        assert!(futures::poll!(write.as_mut()).is_pending());
    }
    release.send(()).unwrap();
    first.await.unwrap();
    for write in writes {
        write.await.unwrap();
    }
    assert_eq!(commits(), before + 1);
}

#[tokio::test]
async fn a_closed_store_takes_no_changes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("h.db")).unwrap();
    store.close();
    assert_eq!(store.write_for_all(|_| Ok(())).await.unwrap_err().code, Code::Unavailable);
    let (refused, codes) = std::sync::mpsc::channel();
    store.write_behind(&TenantId::local(), |_| Ok(()), move |error| refused.send(error.code).unwrap());
    assert_eq!(codes.try_recv(), Ok(Code::Unavailable));
}

#[tokio::test]
async fn writes_that_wait_for_a_locked_store_wait_once_not_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    Store::open(&path).unwrap().close();
    let mut connection = Connection::open(&path).unwrap();
    // The time that it waits for another process is over when this test says so; once that is dropped, it tries again.
    let (over, waits) = std::sync::mpsc::channel::<()>();
    connection.busy_handler(Some(move |_| waits.recv().is_err())).unwrap();
    let row_cache = Arc::new(RowCache::new(sqlite::version_of(&path)));
    let writer = Writer::start(sqlite::testing::wrap(connection), row_cache).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(writer.write(None, |_| Ok(())))).collect();
    for write in &mut waiting {
        assert!(futures::poll!(write.as_mut()).is_pending());
    }
    over.send(()).unwrap();
    let mut waiting = waiting.into_iter();
    assert_eq!(waiting.next().unwrap().await.unwrap_err().code, Code::Unavailable);
    // The lock is gone, so that a write that waited for a turn of its own would succeed now.
    other.execute_batch("ROLLBACK").unwrap();
    drop(over);
    for write in waiting {
        assert_eq!(write.await.unwrap_err().code, Code::Unavailable);
    }
    writer.write(None, |_| Ok(())).await.unwrap();
}

#[tokio::test]
async fn a_change_that_no_caller_waits_for_is_made_without_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("h.db")).unwrap();
    for _ in 0..3 {
        let (written, waits) = tokio::sync::oneshot::channel();
        let mut written = Some(written);
        store.write_behind(
            &TenantId::local(),
            move |_| {
                written.take().map(|written: tokio::sync::oneshot::Sender<()>| written.send(()));
                Ok(())
            },
            |error| panic!("{error}"),
        );
        tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap().unwrap();
    }
}

#[test]
fn a_change_that_no_caller_waits_for_is_made_though_its_runtime_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("h.db")).unwrap();
    let (written, waits) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let written = written.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            store.write_behind(
                &TenantId::local(),
                move |_| {
                    let _ = written.send(());
                    Ok(())
                },
                |error| panic!("{error}"),
            );
        });
        drop(runtime);
        waits.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}
