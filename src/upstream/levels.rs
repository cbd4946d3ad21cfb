//! The log messages that clients want of an upstream. Before 2026-07-28 a level is set for a whole connection, which is
//! many clients' here: it is told the least that any of them wants, and each client gets no more than it asked for. From
//! then on each call has its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use super::connection::Connection;
use crate::model::LogLevel;

/// How long an upstream has to answer that it was told.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// How soon it is told that less is wanted than before: clients that want different things take turns.
const LESS_AFTER: Duration = Duration::from_secs(30);

/// How many clients want which level.
#[derive(Clone, Default)]
pub(super) struct Levels(Arc<[AtomicUsize; LogLevel::ALL.len()]>);

impl Levels {
    /// One more, for as long as the answer is kept.
    pub(super) fn want(&self, level: LogLevel) -> Wanted {
        self.0[level as usize].fetch_add(1, Ordering::AcqRel);
        Wanted { levels: self.clone(), level }
    }

    /// The lowest level that any client wants.
    fn least(&self) -> Option<LogLevel> {
        LogLevel::at(self.0.iter().position(|wanting| wanting.load(Ordering::Acquire) > 0)?)
    }
}

/// A client's wish for log messages; it ends when this is dropped.
pub struct Wanted {
    levels: Levels,
    level: LogLevel,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.levels.0[self.level as usize].fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a connection was told.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// 0 is nothing; else the level's place, counted from 1.
    level: AtomicUsize,
    // Tokio's mutex: held while it is told, so that it is told one thing after the other.
    when: tokio::sync::Mutex<Option<Instant>>,
}

impl Told {
    fn level(&self) -> Option<LogLevel> {
        LogLevel::at(self.0.level.load(Ordering::Acquire).checked_sub(1)?)
    }

    /// The level to set, if any: a lower one at once, a higher one after a while, and none while no client wants log messages.
    fn next(&self, levels: &Levels, when: Option<Instant>) -> Option<LogLevel> {
        let least = levels.least()?;
        let is_due = match self.level() {
            None => true,
            Some(told) if least < told => true,
            Some(told) => least > told && when.is_none_or(|when| when.elapsed() >= LESS_AFTER),
        };
        is_due.then_some(least)
    }

    /// Tells the upstream, if that is to be done, and waits for its answer, whatever it is: one that takes no level says what
    /// it likes.
    pub(super) async fn tell(&self, connection: &Connection, levels: &Levels) {
        if levels.least() == self.level() || connection.is_modern() || !connection.declares("/logging") {
            return;
        }
        let mut when = self.0.when.lock().await;
        let Some(level) = self.next(levels, *when) else { return };
        let params = json!({"level": level}).to_string();
        let asked = connection.request("logging/setLevel", &params, None);
        if !matches!(tokio::time::timeout(TOLD_WITHIN, asked).await, Ok(Ok(_))) {
            tracing::debug!(?level, "an upstream did not take a log level");
        }
        *when = Some(Instant::now());
        self.0.level.store(level as usize + 1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_the_least_that_anybody_wants_and_less_only_after_a_while() {
        let (levels, told) = (Levels::default(), Told::default());
        let now = Instant::now();
        let is_told = |level: LogLevel| told.0.level.store(level as usize + 1, Ordering::Release);
        assert_eq!(told.next(&levels, None), None);
        let error = levels.want(LogLevel::Error);
        assert_eq!(told.next(&levels, None), Some(LogLevel::Error));
        is_told(LogLevel::Error);
        let debug = levels.want(LogLevel::Debug);
        assert_eq!(told.next(&levels, Some(now)), Some(LogLevel::Debug));
        is_told(LogLevel::Debug);
        drop(debug);
        assert_eq!(told.next(&levels, Some(now)), None);
        assert_eq!(told.next(&levels, now.checked_sub(LESS_AFTER)), Some(LogLevel::Error));
        drop(error);
        assert_eq!(told.next(&levels, now.checked_sub(LESS_AFTER)), None);
    }
}
