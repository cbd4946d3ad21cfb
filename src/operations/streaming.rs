//! Streamed responses: too large for memory, written while the client reads.

use std::time::Instant;

use super::{
    definition::{Operation, Run},
    engine::{AdmittedCall, CallOptions, Haldir, measured},
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
    pub async fn stream(
        &self,
        operation: &'static Operation,
        entered: AdmittedCall,
        input: &str,
        options: &CallOptions,
    ) -> Result<Streamed> {
        let begun = Instant::now();
        let may_lag = operation.may_lag && options.may_lag;
        measured(operation, begun, self.begin_stream(operation, entered, input, may_lag).await, |_| operation.status)
    }

    async fn begin_stream(
        &self,
        operation: &'static Operation,
        entered: AdmittedCall,
        input: &str,
        may_lag: bool,
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
            let (store, services, tenant) = (&this.inner.store, &this.inner.services, &worker_caller.tenant);
            let snapshots = if may_lag { store.lagging_snapshots(tenant) } else { store.snapshots(tenant) };
            let start = start.with_data_age(snapshots.age());
            let cx = StreamContext { snapshots: &snapshots, caller: &worker_caller, now, services };
            run(&cx, &owned_input, start).map(drop)
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
