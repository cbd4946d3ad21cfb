//! Answers that are waited for: while there is only a "not yet", the engine looks again, and holds neither a thread
//! nor a transaction meanwhile.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    definition::{Answer, Look, Looked, Operation},
    engine::{Haldir, permitted},
};
use crate::{
    call::ReadContext,
    error::Result,
    gate::authenticate::{self, Authenticated},
    model::{Caller, Credential, TenantId},
};

/// Calls that may wait at a time; one more is answered at once.
const MAX_WAITING: usize = 1_024;
/// Of these, calls of one caller: nobody takes the place of all others.
const MAX_WAITING_OF_CALLER: usize = 128;
/// How long until the next look. A look is one short read; another process may have made the change.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Who waits.
#[derive(Default)]
pub(super) struct Waiting {
    // A std mutex: it is held to count, never across a wait.
    taken: Mutex<Taken>,
    stopped: CancellationToken,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_caller: HashMap<Who, usize>,
}

/// A caller, by tenant and principal.
type Who = (TenantId, String);

/// A place among those who wait; dropping it gives it back.
struct Place<'w> {
    waiting: &'w Waiting,
    who: Who,
}

impl Waiting {
    /// A place for this caller, if there is one.
    fn place(&self, caller: &Caller) -> Option<Place<'_>> {
        let who = (caller.tenant.clone(), caller.principal.clone());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_caller.get(&who).copied().unwrap_or(0);
        if taken.all >= MAX_WAITING || own >= MAX_WAITING_OF_CALLER {
            return None;
        }
        taken.all += 1;
        taken.by_caller.insert(who.clone(), own + 1);
        Some(Place { waiting: self, who })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.waiting.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        let own = taken.by_caller.remove(&self.who).unwrap_or(1);
        if own > 1 {
            taken.by_caller.insert(self.who.clone(), own - 1);
        }
    }
}

impl Haldir {
    /// Answers everybody who waits with what there is, now and from now on: the process is about to stop.
    pub fn stop_waiting(&self) {
        self.inner.waiting.stopped.cancel();
    }

    /// Looks until the answer is final, the caller's time has run out, or the process stops. A caller who hangs up
    /// drops this future, and with it the place among those who wait.
    pub(super) async fn wait(
        &self,
        operation: &'static Operation,
        look: Look,
        caller: &Caller,
        credential: &Credential,
        input: &str,
    ) -> Result<Answer> {
        let Looked { mut answer, wait_seconds } = self.look(operation, look, credential, input)?;
        if wait_seconds == 0 {
            return Ok(answer);
        }
        let Some(_place) = self.inner.waiting.place(caller) else { return Ok(answer) };
        let end = Instant::now() + Duration::from_secs(wait_seconds);
        while Instant::now() < end {
            tokio::select! {
                () = self.inner.waiting.stopped.cancelled() => break,
                () = tokio::time::sleep_until(end.min(Instant::now() + LOOK_AGAIN)) => {}
            }
            let looked = self.look(operation, look, credential, input)?;
            answer = looked.answer;
            if looked.wait_seconds == 0 {
                break;
            }
        }
        Ok(answer)
    }

    /// One look, on one snapshot. Who waits is asked for again each time: a key that was revoked sees nothing more.
    fn look(&self, operation: &'static Operation, look: Look, credential: &Credential, input: &str) -> Result<Looked> {
        let services = &*self.inner.services;
        let now = services.clock.now();
        self.inner.store.read(|tx| {
            let Authenticated { caller, .. } = authenticate::authenticate(tx, services, credential, now)?;
            permitted(operation, &caller)?;
            look(&ReadContext { tx, caller: &caller, now, services }, input)
        })
    }
}
