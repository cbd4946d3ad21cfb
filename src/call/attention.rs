//! How a call that is alone is looked after: the thread that serves it does not fall asleep at once when it has to wait for
//! the upstream or for the client's next call, but looks a while for what comes. To be woken takes longer than much of what
//! a call does, above all on a virtual machine whose processors are given back while they are idle. The kernel knows the
//! same by the name of busy polling (<https://docs.kernel.org/networking/napi.html#busy-polling>).
//!
//! It costs processor time that nobody else wants: at most [`STAY`] a step, and none where several calls are under way,
//! since then there is work.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

/// How long a thread stays awake for what follows a step: longer than a quick upstream or client takes, on a machine that
/// does other things too (measured: 300 µs spare a quarter less, 1,200 no more).
const STAY: Duration = Duration::from_micros(500);
/// Processors below which it does not: whoever is waited for may want this one (measured: nothing is gained with 2).
const MIN_PROCESSORS: usize = 4;

/// Whether somebody stays awake, and for how long.
#[derive(Clone, Debug)]
pub struct Attention {
    enabled: bool,
    // A std mutex: it is held to look at two fields.
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    is_awake: bool,
}

impl Default for Attention {
    fn default() -> Self {
        Self::with_processors(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Attention {
    fn with_processors(count: usize) -> Self {
        Self { enabled: count >= MIN_PROCESSORS, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call has left or is back, and so many are under way now. To be called where it is served: the runtime of that
    /// thread is kept awake.
    pub fn step(&self, calls: usize) {
        if !self.enabled {
            return;
        }
        let mut state = self.state();
        state.until = (calls <= 1).then(|| Instant::now() + STAY);
        if state.until.is_some()
            && !state.is_awake
            && let Ok(runtime) = Handle::try_current()
        {
            state.is_awake = true;
            let awake = Awake(self.clone());
            drop(state);
            runtime.spawn(awake.stay());
        }
    }
}

/// Whoever stays awake. However that ends, the next step begins anew.
struct Awake(Attention);

impl Awake {
    async fn stay(self) {
        while self.0.state().until.is_some_and(|until| Instant::now() < until) {
            // What has come meanwhile is looked for before this goes on.
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.state().is_awake = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody_is_awake() -> bool {
        Handle::current().metrics().num_alive_tasks() > 0
    }

    /// Everything else that there is to do is done meanwhile.
    async fn falls_asleep() {
        let end = Instant::now() + Duration::from_secs(20);
        while somebody_is_awake() {
            assert!(Instant::now() < end, "it stays awake for ever");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn whoever_serves_a_lone_call_stays_awake_for_a_moment() {
        let attention = Attention::with_processors(MIN_PROCESSORS);
        for calls in [1, 0] {
            let begun = Instant::now();
            attention.step(calls);
            attention.step(calls);
            assert_eq!(Handle::current().metrics().num_alive_tasks(), 1, "one is enough");
            falls_asleep().await;
            assert!(begun.elapsed() >= STAY, "it does not stay");
        }
    }

    #[tokio::test]
    async fn nobody_does_where_there_is_work_or_no_processor_to_spare() {
        let attention = Attention::with_processors(MIN_PROCESSORS);
        attention.step(2);
        assert!(!somebody_is_awake());
        attention.step(1);
        attention.step(2);
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        assert!(!somebody_is_awake(), "a second call ends it");
        Attention::with_processors(MIN_PROCESSORS - 1).step(1);
        assert!(!somebody_is_awake());
    }

    #[test]
    fn a_runtime_that_ends_takes_nothing_along() {
        let attention = Attention::with_processors(MIN_PROCESSORS);
        attention.step(1);
        assert!(!attention.state().is_awake, "there is no runtime here");
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime().block_on(async { attention.step(1) });
        runtime().block_on(async {
            attention.step(1);
            assert!(somebody_is_awake(), "the first one was never polled");
        });
    }
}
