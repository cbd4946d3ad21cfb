//! Runs work whose time grows with its text away from the worker threads.

use tokio::sync::Semaphore;

/// Texts up to this size take less time than a change of threads.
const SMALL_BYTES: usize = 32_768;
/// Large texts at a time in this process: each takes a processor, and several times its size in memory.
const MAX_AT_ONCE: usize = 4;

static PLACES: Semaphore = Semaphore::const_new(MAX_AT_ONCE);

/// Runs the work on a text of `bytes` bytes: here if it is small, else on the blocking pool. `None` if the work panicked, or the
/// process is stopping.
pub async fn aside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if bytes <= SMALL_BYTES {
        return Some(work());
    }
    let _place = PLACES.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}
