//! A call on the point of leaving: made ready while the entry that says so is on its way to the disk, so that nothing is
//! left to do then but to send it. It is sent on the thread that made the entry durable, which nobody has to be woken for.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::route::Route;
use crate::{
    outbound::carrier::{Carrier, Ready, Sent},
    relay::govern::Leave,
    upstream::{Link, Turn},
};

/// A request as the upstream gets it.
pub(super) struct Outgoing {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The time for it and its answer.
    pub within: Duration,
}

impl Outgoing {
    pub fn request(&self) -> (Method, HeaderMap, Bytes) {
        (self.method.clone(), self.headers.clone(), self.body.clone())
    }
}

/// A request that goes on.
pub(super) enum Leaving {
    /// It is still to be sent.
    Later(Outgoing),
    /// It is on its way.
    Left { outgoing: Outgoing, sent: Box<Sent>, turn: Option<Turn> },
}

/// A call that may leave soon.
#[derive(Default)]
pub(super) struct Departure(Arc<Mutex<Stage>>);

#[derive(Default)]
enum Stage {
    /// It is not ready, or went another way.
    #[default]
    Unready,
    Ready(Box<Prepared>),
    Left(Box<Leaving>),
}

struct Prepared {
    outgoing: Outgoing,
    ready: Ready,
    /// The arguments that stand in it: with others it is another call.
    arguments: String,
    link: Arc<Link>,
}

impl Departure {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the call, if it is ready: to be called once it may leave.
    pub fn leave(&self) -> Leave {
        let this = Self(Arc::clone(&self.0));
        Box::new(move |arguments| {
            let mut stage = this.stage();
            *stage = match std::mem::take(&mut *stage) {
                Stage::Ready(prepared) => prepared.leave(arguments),
                other => other,
            };
        })
    }

    /// Makes it ready, if a connection is at hand.
    pub fn prepare(&self, upstreams: &Carrier, route: &Route, outgoing: Outgoing, arguments: &str) {
        let Some(ready) = upstreams.ready(&route.place.url, outgoing.request(), outgoing.within) else { return };
        let (arguments, link) = (arguments.to_owned(), Arc::clone(&route.link));
        *self.stage() = Stage::Ready(Box::new(Prepared { outgoing, ready, arguments, link }));
    }

    /// The call, which may leave with these arguments: it has left, or does so now if it is ready.
    pub fn left(&self, arguments: &str) -> Option<Leaving> {
        let stage = std::mem::take(&mut *self.stage());
        match stage {
            Stage::Left(leaving) => Some(*leaving),
            // It was made ready when it could have left already.
            Stage::Ready(prepared) => match prepared.leave(arguments) {
                Stage::Left(leaving) => Some(*leaving),
                Stage::Ready(_) | Stage::Unready => None,
            },
            Stage::Unready => None,
        }
    }
}

impl Prepared {
    /// What needs waiting, or is not what was prepared, goes the other way.
    fn leave(self, arguments: &str) -> Stage {
        if arguments != self.arguments {
            return Stage::Unready;
        }
        let Some(turn) = self.link.try_enter() else { return Stage::Unready };
        // Asked last: who is let through has to say what came of it.
        if self.link.admit().is_err() {
            return Stage::Unready;
        }
        let sent = Box::new(self.ready.send());
        Stage::Left(Box::new(Leaving::Left { outgoing: self.outgoing, sent, turn: Some(turn) }))
    }
}
