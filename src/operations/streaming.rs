//! Streamed responses: too large for memory, written while the client reads.

use std::time::Instant;

use super::{
    definition::{Operation, Run},
    engine::{AdmittedCall, Haldir, measured},
    quota::{QuotaGuard, QuotaLimits},
};
use crate::{
    call::{self, Head, Pieces, StreamContext},
    error::{Code, Error, Result},
    model::Caller,
};

/// Streams at a time: each holds a thread and a snapshot while its client reads.
pub(super) const MAX_STREAMS: QuotaLimits = QuotaLimits { all: 16, per_tenant: 12, per_caller: 8 };

/// A response that is written while the client reads it.
pub struct Streamed {
    /// Its headers.
    pub head: Head,
    /// Its body.
    pub pieces: Pieces,
}

impl Haldir {
    /// The second half of a call with a streamed response.
    pub async fn stream(&self, operation: &'static Operation, entered: AdmittedCall, input: &str) -> Result<Streamed> {
        let begun = Instant::now();
        measured(operation, begun, self.begin_stream(operation, entered, input).await, |_| operation.status)
    }

    async fn begin_stream(
        &self,
        operation: &'static Operation,
        entered: AdmittedCall,
        input: &str,
    ) -> Result<Streamed> {
        let AdmittedCall { caller, now, .. } = entered;
        self.permit(operation, &caller, input, now).await?;
        let Run::Stream(run) = operation.run else {
            return Err(Error::internal(format!("{} does not answer with a stream", operation.name)));
        };
        let place = self.stream_place(&caller)?;
        self.inner.store.caught_up().await;
        let (start, begun, pieces) = call::channel();
        let (this, owned_input) = (self.clone(), input.to_owned());
        let worker_caller = caller.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _held = place;
            let (store, services) = (&this.inner.store, &this.inner.services);
            run(&StreamContext { store, caller: &worker_caller, now, services }, &owned_input, start).map(drop)
        });
        match begun.await {
            // The body reports every later failure.
            Ok(head) => Ok(Streamed { head, pieces }),
            Err(_) => match work.await.map_err(Error::internal)? {
                Ok(()) => Err(Error::internal(format!("{} ended before it began", operation.name))),
                Err(error) => Err(self.refused(operation, caller, input, error, now).await?),
            },
        }
    }

    fn stream_place(&self, caller: &Caller) -> Result<QuotaGuard> {
        self.inner.streams.take(caller).ok_or_else(|| {
            let QuotaLimits { all, per_tenant, per_caller } = MAX_STREAMS;
            let message = format!(
                "too many streams are being read already: {per_caller} of one caller, {per_tenant} of a tenant or {all} \
                 together; try again"
            );
            Error::new(Code::Unavailable, message)
        })
    }
}
