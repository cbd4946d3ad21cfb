//! Waiting for an event. This is the only place where a test sleeps: a test that sleeps "long enough" fails on a slow
//! machine and wastes time on a fast one.

use std::{
    thread,
    time::{Duration, Instant},
};

/// A condition that never holds fails the test instead of hanging it. No test relies on this time: it is far more than a
/// machine under load needs.
const GIVE_UP: Duration = Duration::from_secs(120);
/// The pause between two looks doubles from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LAST_PAUSE: Duration = Duration::from_millis(25);

/// Waits until `found` returns a value, and returns it.
#[track_caller]
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let (end, mut pause) = (Instant::now() + GIVE_UP, FIRST_PAUSE);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "this did not happen within {GIVE_UP:?}: {what}");
        thread::sleep(pause);
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Waits until `holds` returns true.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || holds().then_some(()));
}

/// What an expensive test does: `usual` by default, `whole` with `HALDIR_TEST_LONG=1`.
pub fn long<T>(usual: T, whole: T) -> T {
    if std::env::var_os("HALDIR_TEST_LONG").is_some_and(|value| value == "1") { whole } else { usual }
}
