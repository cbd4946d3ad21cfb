//! A request in flight, and what ends it before its answer: its client disconnects, or its time is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{sync::mpsc, time::sleep};

use super::{Request, Routes};
use crate::{
    protocol::{code::INTERNAL_ERROR, message},
    upstream::{LONGEST, Turn, transport::Incoming},
};

/// One request. It is known by its number: a client may give the id of one that is over to another.
#[derive(Clone)]
pub(super) struct InFlight {
    pub(super) number: u64,
    pub(super) input: mpsc::Sender<Incoming>,
    pub(super) routes: Arc<Mutex<Routes>>,
}

impl InFlight {
    /// Cancels it, if it is still in flight.
    pub(super) fn take_back(&self) -> Option<Request> {
        let open = {
            let mut routes = self.routes.lock();
            let at = routes.open.iter().position(|open| open.number == self.number)?;
            routes.open.remove(at)
        };
        // Fails if the connection has ended, or has no time: then the request runs to its end.
        let _ = self.input.try_send(Incoming::message(message::cancelled(&open.id, None)));
        Some(open)
    }

    /// How long it may still be silent; `None` if it was for too long, or is over.
    fn left(&self, time: Duration) -> Option<Duration> {
        let routes = self.routes.lock();
        let open = routes.open.iter().find(|open| open.number == self.number)?;
        time.checked_sub(open.progressed.elapsed()).filter(|left| !left.is_zero())
    }

    /// Ends the turn after `turn_time`, however long the client reads or the person there takes to decide, and the request after
    /// `time`.
    pub(super) async fn watch(self, (turn, turn_time): (Option<Turn>, Duration), time: Duration) {
        let began = Instant::now();
        sleep(turn_time.min(time)).await;
        drop(turn);
        // What is said of its progress gives it all its time again.
        while let Some(left) = self.left(time).filter(|_| began.elapsed() < LONGEST.max(time)) {
            sleep(left).await;
        }
        let Some(open) = self.take_back() else { return };
        let id = open.client.as_ref().map_or(&open.id, |client| &client.id);
        // A client that has not read what came before sees the stream end.
        let _ = open.sender.try_send(message::error(Some(id), INTERNAL_ERROR, "the upstream did not answer in time"));
    }
}
