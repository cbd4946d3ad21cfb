//! Work that takes as long as its text is long, off the threads that serve connections.

use tokio::sync::Semaphore;

/// Texts up to so many bytes take less time than it takes to hand them to another thread and back.
const SMALL_BYTES: usize = 32_768;
/// Large texts that are worked on at a time in this process: each takes a processor, and some times its size.
const MAX_AT_ONCE: usize = 4;

static PLACES: Semaphore = Semaphore::const_new(MAX_AT_ONCE);

/// Does the work on a text of so many bytes: here if it is small, else on a thread of the blocking pool. `None` if the work
/// ended in a panic, or the process is about to end.
pub async fn aside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if bytes <= SMALL_BYTES {
        return Some(work());
    }
    let _place = PLACES.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}
