//! The answers to what an upstream asks, on their way to it: one after the other, each within a time, and no more of them
//! waiting than allowed. While there is no room the upstream is not listened to; one that does not take its answers is left.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{sync::mpsc, task::AbortHandle, time::timeout};

use super::floor::{Asked, Floor};

/// Answers that wait to be sent.
const MAX_WAITING: usize = 64;
/// How long an upstream has to take one.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// What an upstream is owed.
pub(super) enum Owed {
    /// An answer.
    Now(String),
    /// The answer to a question, once its client has given it.
    Later(Asked),
}

/// The way of answers to one connection; `T` says where each of them goes.
pub(super) struct Replies<T>(Arc<Inner<T>>);

impl<T> Clone for Replies<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<T> {
    queue: mpsc::Sender<(T, Owed)>,
    task: AbortHandle,
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Send + 'static> Replies<T> {
    /// For what `send` sends.
    pub(super) fn new<F>(floor: Floor, send: impl Fn(T, String) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        Self::within(floor, TAKEN_WITHIN, send)
    }

    fn within<F>(floor: Floor, within: Duration, send: impl Fn(T, String) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let (queue, mut owed) = mpsc::channel(MAX_WAITING);
        let task = tokio::spawn(async move {
            // As many as there are places for questions on the floor.
            let mut later = FuturesUnordered::new();
            loop {
                // The place of a question is given up once its answer is sent.
                let (to, text, _place) = tokio::select! {
                    Some((to, answer)) = later.next() => match answer {
                        Some((text, place)) => (to, text, Some(place)),
                        None => continue,
                    },
                    owed = owed.recv() => match owed {
                        None => return,
                        Some((to, Owed::Now(text))) => (to, text, None),
                        Some((to, Owed::Later(asked))) => {
                            later.push(async move { (to, asked.response().await) });
                            continue;
                        }
                    },
                };
                if timeout(within, send(to, text)).await.is_err() {
                    tracing::warn!("an upstream does not take the answers to its questions; its connection is ended");
                    return floor.give_up();
                }
            }
        });
        Self(Arc::new(Inner { queue, task: task.abort_handle() }))
    }

    /// Waits until there is room for one more; `false` if there will be none.
    pub(super) async fn room(&self) -> bool {
        self.0.queue.reserve().await.is_ok()
    }

    /// Takes one more once there is room; `false` if there will be none.
    pub(super) async fn put(&self, to: T, owed: Owed) -> bool {
        self.0.queue.send((to, owed)).await.is_ok()
    }

    /// Takes one more; `false` if there is no room.
    pub(super) fn take(&self, to: T, owed: Owed) -> bool {
        self.0.queue.try_send((to, owed)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn an_upstream_that_does_not_take_its_answers_gets_one_at_a_time_and_is_left() {
        let floor = Floor::default();
        let sending = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sending);
        let replies = Replies::within(floor.clone(), Duration::from_millis(300), move |(), _| {
            count.fetch_add(1, Ordering::AcqRel);
            std::future::pending()
        });
        let mut taken = 0;
        while replies.take((), Owed::Now("{}".to_owned())) {
            taken += 1;
            tokio::task::yield_now().await;
        }
        assert_eq!((taken, sending.load(Ordering::Acquire)), (MAX_WAITING + 1, 1));
        // Nobody listens to it until it is left.
        assert!(!replies.room().await);
        floor.given_up().await;
        assert_eq!(sending.load(Ordering::Acquire), 1);
    }
}
