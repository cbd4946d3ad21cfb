//! Answers that are waited for: while there is only a "not yet", the engine looks again, and holds neither a thread
//! nor a transaction meanwhile.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    definition::{Answer, Look, Looked, Operation},
    engine::{Haldir, permitted},
    places::{Bounds, Places},
};
use crate::{
    call::ReadContext,
    error::Result,
    gate::authenticate::{self, Authenticated},
    model::{Caller, Credential},
};

/// Calls that may wait at a time; one more is answered at once.
const MAX_WAITING: Bounds = Bounds { all: 1_024, of_tenant: 512, of_caller: 128 };
/// How long until the next look. A look is one short read; another process may have made the change.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Who waits.
pub(super) struct Waiting {
    places: Arc<Places>,
    stopped: CancellationToken,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { places: Places::new(MAX_WAITING), stopped: CancellationToken::new() }
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
        let Some(_place) = self.inner.waiting.places.take(caller) else { return Ok(answer) };
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
