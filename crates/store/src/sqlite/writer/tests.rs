use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::Mutex;

use super::{ALONE, Writer};
use crate::{
    Store, Tx,
    error::{Code, Error},
    sqlite::{connection, memo::Memo, queue::Durable},
};

async fn writing_thread(store: &Store) -> ThreadId {
    store.write(|_| Ok(thread::current().id())).await.unwrap()
}

/// A store with a caller who has been alone for long enough.
async fn alone(store: &Store) {
    let mut tries = 0;
    while writing_thread(store).await != thread::current().id() {
        tries += 1;
        assert!(tries < 100 * ALONE, "a caller who is alone writes by itself");
    }
}

#[tokio::test]
async fn a_caller_who_is_alone_for_a_while_writes_by_itself_also_what_nobody_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("h.db")).unwrap();
    assert_ne!(writing_thread(&store).await, thread::current().id(), "who knows who else is there");
    alone(&store).await;
    let order = Arc::<std::sync::Mutex<Vec<u8>>>::default();
    let note = |number| {
        let order = Arc::clone(&order);
        move || order.lock().unwrap().push(number)
    };
    let (first, second) = (note(1), note(2));
    store.write_behind(
        move |_| {
            first();
            Ok(())
        },
        |error| panic!("{error}"),
    );
    assert!(store.is_behind());
    store
        .write(move |_| {
            second();
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(*order.lock().unwrap(), [1, 2]);
    assert!(!store.is_behind());
}

#[tokio::test]
async fn who_writes_by_itself_may_do_something_else_before_it_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("h.db")).unwrap();
    let done = Arc::<AtomicU32>::default();
    let write = || {
        let done = Arc::clone(&done);
        let then = move |_: &ThreadId| {
            done.fetch_add(1, Ordering::Relaxed);
        };
        Box::pin(store.write_then(|_: &mut dyn Tx| Ok(thread::current().id()), then))
    };
    let finished = || done.swap(0, Ordering::Relaxed);
    // The writer's thread may have something to do just then: what it writes is no part of this.
    let (mut seen, mut left) = (0, 0);
    while seen < 3 || left < 3 {
        alone(&store).await;
        let mut first = write();
        assert!(futures::poll!(first.as_mut()).is_pending());
        // Somebody else who comes meanwhile does not wait for whoever has this one.
        let other = writing_thread(&store).await;
        let before = finished();
        if first.await.unwrap() == thread::current().id() {
            seen += 1;
            assert_ne!(other, thread::current().id());
            assert_eq!((before, finished()), (0, 1), "it is durable once it is polled again");
        }
        finished();
        // Who leaves in between leaves nothing undone.
        alone(&store).await;
        let mut first = write();
        assert!(futures::poll!(first.as_mut()).is_pending());
        drop(first);
        let done = finished();
        if writing_thread(&store).await == thread::current().id() {
            left += 1;
            assert_eq!(done, 0, "nobody waits for it any more");
        }
    }
}

#[tokio::test]
async fn what_follows_the_writes_of_a_batch_is_done_though_nobody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("h.db")).unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    // All that comes meanwhile is one batch with this one.
    let mut first = Box::pin(store.write(move |_| Ok(held.recv().map_err(Error::internal)?)));
    assert!(futures::poll!(first.as_mut()).is_pending());
    let (done, all_done) = std::sync::mpsc::channel();
    let mut writes = Vec::new();
    for number in 0..5 {
        let done = done.clone();
        let then = move |(): &()| {
            assert_ne!(number, 2, "what panics is one's own affair");
            let _ = done.send(number);
        };
        let mut write = Box::pin(store.write_then(|_: &mut dyn Tx| Ok(()), then));
        assert!(futures::poll!(write.as_mut()).is_pending());
        writes.push(write);
    }
    release.send(()).unwrap();
    // This thread, where they are waited for, does nothing of it.
    let done: HashSet<i32> = (0..4).map(|_| all_done.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
    assert_eq!(done, HashSet::from([0, 1, 3, 4]));
    first.await.unwrap();
    for write in writes {
        write.await.unwrap();
    }
}

#[tokio::test]
async fn writes_that_wait_for_a_locked_store_wait_once_not_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    Store::open(&path).unwrap().close();
    let mut connection = connection::open(&path).unwrap();
    // The time that it waits for another process is over when this test says so; once that is dropped, it tries again.
    let (over, waits) = std::sync::mpsc::channel::<()>();
    connection.busy_handler(Some(move |_| waits.recv().is_err())).unwrap();
    let writer = Writer::start(&path, connection, Arc::new(Memo::new(&path))).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting: Vec<_> =
        (0..4).map(|_| Box::pin(writer.write(Durable::First, |_| Ok(()), None::<fn(&())>))).collect();
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
    writer.write(Durable::First, |_| Ok(()), None::<fn(&())>).await.unwrap();
}

#[tokio::test]
async fn what_nobody_waits_for_is_written_without_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("h.db")).unwrap();
    for _ in 0..3 {
        let (written, waits) = tokio::sync::oneshot::channel();
        store.write_behind(
            move |_| {
                let _ = written.send(());
                Ok(())
            },
            |error| panic!("{error}"),
        );
        tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap().unwrap();
    }
}

#[test]
fn what_nobody_waits_for_is_written_when_its_runtime_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("h.db")).unwrap();
    let (written, waits) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let written = written.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            store.write_behind(
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

#[tokio::test]
async fn a_caller_who_is_alone_is_not_held_up_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    let store = Store::open(&path).unwrap();
    alone(&store).await;
    let other = Mutex::new(Connection::open(&path).unwrap());
    other.lock().await.execute_batch("BEGIN IMMEDIATE").unwrap();
    let release = async {
        // Not done if the one thread that there is waited.
        tokio::task::yield_now().await;
        other.lock().await.execute_batch("ROLLBACK").unwrap();
    };
    let (writer, ()) = tokio::join!(writing_thread(&store), release);
    assert_ne!(writer, thread::current().id());
}
