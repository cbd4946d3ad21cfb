//! Work that threads share, and whose results are taken in its order.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use crate::error::{Error, Result};

/// Parts that are under way for each thread: enough to keep it busy, few enough to hold.
const PARTS_PER_THREAD: u64 = 2;

/// Hands what `next` gives to `threads` threads, and what they make of it to `follow`, in order, until that has seen
/// enough or there is no more.
pub fn in_order<W: Send, R: Send>(
    threads: usize,
    next: &mut dyn FnMut() -> Result<Option<W>>,
    work: &(dyn Fn(W) -> R + Sync),
    follow: &mut dyn FnMut(R) -> Result<bool>,
) -> Result<()> {
    let threads = threads.max(1);
    thread::scope(|scope| {
        let (parts, waiting) = mpsc::channel::<(u64, W)>();
        let (done, results) = mpsc::channel::<(u64, R)>();
        // A lock around the receiver: std's channels have one.
        let waiting = std::sync::Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let (waiting, done) = (std::sync::Arc::clone(&waiting), done.clone());
            scope.spawn(move || {
                loop {
                    let part = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((number, part)) = part else { return };
                    if done.send((number, work(part))).is_err() {
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
            early.insert(number, result);
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
