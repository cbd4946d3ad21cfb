//! A circuit breaker: after failures in a row an upstream is left alone for a while, longer each time, and then tried by
//! one call first.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row that are taken as they come.
const TOLERATED: u32 = 3;

pub(super) struct Breaker {
    first_pause: Duration,
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    closed_until: Option<Instant>,
}

impl Breaker {
    /// The pauses double from the first to the longest.
    pub(super) fn new(first_pause: Duration, longest: Duration) -> Self {
        Self { first_pause, longest, state: Mutex::default() }
    }

    /// Whether a call may be tried; else how long to wait. The one that is let through after a pause holds back the
    /// others until it is known how it ended.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock();
        match state.closed_until {
            Some(end) if now < end => Err(end - now),
            Some(_) => {
                state.closed_until = Some(now + self.pause(state.failures));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether it has not succeeded since it failed too often.
    pub(super) fn is_open(&self) -> bool {
        self.state.lock().closed_until.is_some()
    }

    pub(super) fn succeeded(&self) {
        *self.state.lock() = State::default();
    }

    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= TOLERATED {
            state.closed_until = Some(now + self.pause(state.failures));
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(TOLERATED).min(16);
        self.first_pause.saturating_mul(1 << doublings).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_one_call_tries_first() {
        let breaker = Breaker::new(Duration::from_secs(1), Duration::from_secs(60));
        let start = Instant::now();
        for _ in 0..TOLERATED {
            assert!(breaker.admit(start).is_ok());
            breaker.failed(start);
        }
        assert_eq!(breaker.admit(start), Err(Duration::from_secs(1)));
        let later = start + Duration::from_secs(1);
        assert!(breaker.admit(later).is_ok() && breaker.admit(later).is_err());
        breaker.failed(later);
        assert_eq!(breaker.admit(later), Err(Duration::from_secs(2)));
        breaker.succeeded();
        assert!(breaker.admit(later).is_ok() && breaker.admit(later).is_ok());
    }

    #[test]
    fn pauses_have_an_end() {
        let breaker = Breaker::new(Duration::from_secs(1), Duration::from_secs(60));
        let now = Instant::now();
        (0..100).for_each(|_| breaker.failed(now));
        assert_eq!(breaker.admit(now), Err(Duration::from_secs(60)));
    }
}
