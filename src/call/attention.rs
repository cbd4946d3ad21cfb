//! How a call that is alone is looked after: the thread that serves it does not fall asleep at once when it has to wait for
//! the upstream or for the client's next call, but looks a while for what comes. To be woken takes longer than much of what
//! a call does, above all on a virtual machine whose processors are given back while they are idle. The kernel knows the
//! same by the name of busy polling (<https://docs.kernel.org/networking/napi.html#busy-polling>).
//!
//! It costs processor time: at most [`STAY`] when a call has left, and as much when it is back, and none where several calls
//! are under way, since then there is work.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::runtime::{Handle, Id};

/// How long a thread stays awake for what follows a step: longer than a quick upstream or client takes, on a machine that
/// does other things too (measured: 300 µs spare a quarter less, 1,200 no more).
const STAY: Duration = Duration::from_micros(500);
/// Processors below which it does not: whoever is waited for may want this one (measured: nothing is gained with 2).
const MIN_PROCESSORS: usize = 4;

/// Who stays awake, and for how long.
#[derive(Clone, Debug)]
pub struct Attention {
    enabled: bool,
    // A std mutex: it is held to look at three fields.
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls from the moment on in which they are decided on.
    calls: usize,
    until: Option<Instant>,
    /// The runtime whose thread stays awake.
    awake: Option<Id>,
}

/// A call, until this is dropped where the call is served.
#[derive(Debug)]
pub struct Attended(Attention);

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

    /// A call begins.
    pub fn call(&self) -> Attended {
        let mut state = self.state();
        state.calls += 1;
        if state.calls > 1 {
            state.until = None;
        }
        drop(state);
        Attended(self.clone())
    }

    /// Keeps this thread's runtime awake, and no other one any more.
    fn stay(&self, mut state: MutexGuard<'_, State>) {
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.enabled {
            return;
        }
        state.until = Some(Instant::now() + STAY);
        if state.awake.replace(runtime.id()) == Some(runtime.id()) {
            return;
        }
        drop(state);
        runtime.spawn(Awake { attention: self.clone(), runtime: runtime.id() }.stay());
    }
}

impl Attended {
    /// It has left for its upstream.
    pub fn left(&self) {
        let state = self.0.state();
        if state.calls == 1 {
            self.0.stay(state);
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.calls -= 1;
        if state.calls == 0 {
            self.0.stay(state);
        }
    }
}

/// Whoever stays awake. However that ends, the next step begins anew.
struct Awake {
    attention: Attention,
    runtime: Id,
}

impl Awake {
    async fn stay(self) {
        while self.is_due() {
            // What has come meanwhile is looked for before this goes on.
            tokio::task::yield_now().await;
        }
    }

    fn is_due(&self) -> bool {
        let state = self.attention.state();
        state.awake == Some(self.runtime) && state.until.is_some_and(|until| Instant::now() < until)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        let mut state = self.attention.state();
        if state.awake == Some(self.runtime) {
            state.awake = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn attention() -> Attention {
        Attention::with_processors(MIN_PROCESSORS)
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    fn awake() -> usize {
        Handle::current().metrics().num_alive_tasks()
    }

    /// Everything else that there is to do is done meanwhile.
    async fn falls_asleep() {
        let end = Instant::now() + Duration::from_secs(20);
        while awake() > 0 {
            assert!(Instant::now() < end, "it stays awake for ever");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn whoever_serves_a_lone_call_stays_awake_for_a_moment() {
        let attention = attention();
        let call = attention.call();
        assert_eq!(awake(), 0, "there is something to do until it has left");
        let begun = Instant::now();
        call.left();
        call.left();
        assert_eq!(awake(), 1, "one is enough");
        falls_asleep().await;
        assert!(begun.elapsed() >= STAY, "it does not stay");
        let begun = Instant::now();
        drop(call);
        assert_eq!(awake(), 1, "its client may have another one");
        falls_asleep().await;
        assert!(begun.elapsed() >= STAY, "it does not stay");
    }

    #[tokio::test]
    async fn nobody_does_where_there_is_work_or_no_processor_to_spare() {
        let attention = attention();
        let first = attention.call();
        first.left();
        let second = attention.call();
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(awake(), 0, "a second call ends it, before it has left");
        second.left();
        drop(first);
        assert_eq!(awake(), 0, "the other one is under way");
        drop(second);
        falls_asleep().await;
        let attention = Attention::with_processors(MIN_PROCESSORS - 1);
        let call = attention.call();
        call.left();
        drop(call);
        assert_eq!(awake(), 0);
    }

    #[test]
    fn who_serves_the_next_call_takes_over() {
        let (attention, here, there) = (attention(), runtime(), runtime());
        let serve = |runtime: &Runtime| {
            let _runtime = runtime.enter();
            attention.call().left();
        };
        serve(&here);
        assert!(attention.state().awake == Some(here.handle().id()));
        serve(&there);
        assert!(attention.state().awake == Some(there.handle().id()));
        // Its time is not over yet, but it is somebody else's.
        attention.state().until = Some(Instant::now() + Duration::from_secs(3_600));
        here.block_on(falls_asleep());
        assert!(attention.state().awake == Some(there.handle().id()));
        attention.state().until = None;
        there.block_on(falls_asleep());
        assert!(attention.state().awake.is_none());
    }

    #[test]
    fn a_runtime_that_ends_takes_nothing_along() {
        let attention = attention();
        attention.call().left();
        assert!(attention.state().awake.is_none(), "there is no runtime here");
        let short = runtime();
        short.block_on(async { attention.call().left() });
        drop(short);
        assert!(attention.state().awake.is_none(), "it was never polled");
    }
}
