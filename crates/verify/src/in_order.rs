//! Work that threads share, and whose results are taken in its order.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use crate::error::{Error, Result};

/// Parts that are under way for each thread: enough to keep it busy, few enough to hold.
const PARTS_PER_THREAD: u64 = 2;

/// Hands what `next` gives to `threads` threads, and what they make of it to `follow`, in order, until that has seen
/// enough or there is no more. A panic of `work` is an error.
pub fn in_order<W: Send, R: Send>(
    threads: usize,
    next: &mut dyn FnMut() -> Result<Option<W>>,
    work: &(dyn Fn(W) -> R + Sync),
    follow: &mut dyn FnMut(R) -> Result<bool>,
) -> Result<()> {
    let threads = threads.max(1);
    thread::scope(|scope| {
        let (parts, waiting) = mpsc::channel::<(u64, W)>();
        let (done, results) = mpsc::channel::<(u64, Option<R>)>();
        // A lock around the receiver: std's channels have one.
        let waiting = std::sync::Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let (waiting, done) = (std::sync::Arc::clone(&waiting), done.clone());
            scope.spawn(move || {
                loop {
                    let part = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((number, part)) = part else { return };
                    // A thread that ends by a panic sends nothing, and the part would be awaited for ever.
                    let result = catch_unwind(AssertUnwindSafe(|| work(part))).ok();
                    if done.send((number, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let (mut sent, mut followed, mut at_end) = (0, 0, false);
        let mut early = BTreeMap::new();
        loop {
            while !at_end && sent - followed < threads as u64 * PARTS_PER_THREAD {
                match next()? {
                    Some(part) => {
                        parts.send((sent, part)).map_err(|_| ended())?;
                        sent += 1;
                    }
                    None => at_end = true,
                }
            }
            if followed == sent {
                return Ok(());
            }
            let (number, result) = results.recv().map_err(|_| ended())?;
            early.insert(number, result.ok_or_else(ended)?);
            while let Some(result) = early.remove(&followed) {
                followed += 1;
                if !follow(result)? {
                    return Ok(());
                }
            }
        }
        // `parts` ends here, and with it the threads.
    })
}

fn ended() -> Error {
    Error::internal("a thread of the check ended early")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_panic_of_the_work_is_an_error() {
        let (done, ended) = mpsc::channel();
        thread::spawn(move || {
            let mut parts = 0..100;
            let work = |part| assert!(part != 3, "as this test wants it");
            done.send(in_order(2, &mut || Ok(parts.next()), &work, &mut |()| Ok(true)))
        });
        let outcome = ended.recv_timeout(Duration::from_secs(60)).expect("it waits for a part that is never done");
        assert_eq!(outcome.unwrap_err().code, crate::error::Code::Internal);
    }

    #[test]
    fn results_are_handed_on_in_order_until_enough_is_seen() {
        let (mut parts, mut seen) = (0..1_000, Vec::new());
        in_order(3, &mut || Ok(parts.next()), &|part| part * 2, &mut |double| {
            seen.push(double);
            Ok(seen.len() < 100)
        })
        .unwrap();
        assert_eq!(seen, (0..100).map(|part| part * 2).collect::<Vec<_>>());
    }
}
