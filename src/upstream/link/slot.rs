//! A place for one connection: none, one that is being made, or one that there is.

use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;

use super::{
    Revisions,
    dial::{Connected, Dialer, Wanted},
};
use crate::upstream::{Failure, FailureKind, connection::Connection};

/// The place. A connection is made by its own task: it is made even if every waiting task gives up.
#[derive(Default)]
pub(super) struct Slot {
    phase: Phase,
    /// The newest failed attempt: tasks that waited for it fail with it, and do not try again each.
    failed: Option<(Instant, Failure)>,
}

#[derive(Default)]
enum Phase {
    #[default]
    Empty,
    Starting {
        task: AbortOnDropHandle<Result<(Connected, Revisions), Failure>>,
        since: Instant,
    },
    Made(Connected),
}

impl Slot {
    /// The connection that there is, whether or not it can still be used.
    pub(super) fn made(&self) -> Option<&Connected> {
        let Phase::Made(connected) = &self.phase else { return None };
        Some(connected)
    }

    /// The same.
    pub(super) fn made_mut(&mut self) -> Option<&mut Connected> {
        let Phase::Made(connected) = &mut self.phase else { return None };
        Some(connected)
    }

    /// One that can be used, if there is one.
    pub(super) fn usable(&self) -> Option<Connection> {
        self.made().map(|made| made.connection.clone()).filter(Connection::is_usable)
    }

    /// One that can be used: made now, if there is none. `entered` is since when it was waited for; `patience` is how long
    /// an attempt is, from its beginning. It goes on after that.
    pub(super) async fn connected(
        &mut self,
        dialer: impl FnOnce() -> Dialer,
        wanted: Wanted,
        (entered, patience): (Instant, Duration),
    ) -> Result<Option<Revisions>, Failure> {
        if self.usable().is_some() {
            return Ok(None);
        }
        if let Some((_, failure)) = self.failed.as_ref().filter(|(at, _)| *at >= entered) {
            return Err(failure.clone());
        }
        if let Phase::Made(_) = &self.phase
            && let Phase::Made(ended) = std::mem::take(&mut self.phase)
        {
            ended.connection.end().await;
        }
        if let Phase::Empty = &self.phase {
            let task = AbortOnDropHandle::new(tokio::spawn(dialer().connect(wanted)));
            self.phase = Phase::Starting { task, since: Instant::now() };
        }
        let Phase::Starting { task, since } = &mut self.phase else { return Ok(None) };
        let Ok(ended) = tokio::time::timeout(patience.saturating_sub(since.elapsed()), task).await else {
            let message = format!("it has not answered yet, {} s after it was started", since.elapsed().as_secs());
            return Err(Failure::unsent(FailureKind::Starting, message));
        };
        self.phase = Phase::Empty;
        let made = ended.unwrap_or_else(|_| {
            Err(Failure::unsent(FailureKind::Unavailable, "the attempt to connect to it was given up"))
        });
        let (connected, revisions) =
            made.inspect_err(|failure| self.failed = Some((Instant::now(), failure.clone())))?;
        self.phase = Phase::Made(connected);
        Ok(Some(revisions))
    }

    /// Ends the connection, or the attempt to make one.
    pub(super) async fn close(&mut self) {
        if let Phase::Made(connected) = std::mem::take(&mut self.phase) {
            connected.connection.end().await;
        }
    }
}
