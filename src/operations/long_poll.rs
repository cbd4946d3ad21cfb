//! Long polling: while the response is not final, the engine polls the store, and holds neither a thread nor a transaction
//! between two polls.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    definition::{Operation, Poll, PollResult, ResponseBody},
    engine::{Haldir, permitted},
    quota::QuotaLimits,
};
use crate::{
    call::ReadContext,
    error::Result,
    gate::authenticate::{self, Authenticated},
    model::{Caller, Credential},
};

/// Calls that may wait at a time; the next one gets the present response at once.
pub(super) const MAX_LONG_POLLS: QuotaLimits = QuotaLimits { all: 1_024, per_tenant: 512, per_caller: 128 };
/// The interval between two polls. A poll is one short read; another process may have made the change.
const POLL_EVERY: Duration = Duration::from_millis(200);

impl Haldir {
    /// Ends all long polls with the present response, now and from now on, since the process is about to stop.
    pub fn stop_waiting(&self) {
        self.inner.stopping.cancel();
    }

    /// Polls until the response is final, the caller's time is over, or the process stops. A client that disconnects drops this
    /// future, and with it its unit of the quota.
    pub(super) async fn wait(
        &self,
        operation: &'static Operation,
        poll: Poll,
        caller: &Caller,
        credential: &Credential,
        input: &str,
    ) -> Result<ResponseBody> {
        let PollResult { mut body, wait_seconds } = self.poll(operation, poll, credential, input)?;
        if wait_seconds == 0 {
            return Ok(body);
        }
        let Some(_guard) = self.inner.long_polls.take(caller) else { return Ok(body) };
        let end = Instant::now() + Duration::from_secs(wait_seconds);
        while Instant::now() < end {
            tokio::select! {
                () = self.inner.stopping.cancelled() => break,
                () = tokio::time::sleep_until(end.min(Instant::now() + POLL_EVERY)) => {}
            }
            let polled = self.poll(operation, poll, credential, input)?;
            body = polled.body;
            if polled.wait_seconds == 0 {
                break;
            }
        }
        Ok(body)
    }

    /// One poll, on one snapshot. It authenticates each time: a key that was revoked meanwhile sees nothing more.
    fn poll(
        &self,
        operation: &'static Operation,
        poll: Poll,
        credential: &Credential,
        input: &str,
    ) -> Result<PollResult> {
        let services = &*self.inner.services;
        let now = services.clock.now();
        self.inner.store.read(|tx| {
            let Authenticated { caller, .. } = authenticate::authenticate(tx, services, credential, now)?;
            permitted(operation, &caller)?;
            poll(&ReadContext { tx, caller: &caller, now, services }, input)
        })
    }
}
