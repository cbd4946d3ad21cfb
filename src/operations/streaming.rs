//! Answers that are too large to hold: they are written while the client reads.

use std::time::Instant;

use super::{
    definition::{Operation, Run},
    engine::{Entered, Haldir, measured},
    places::{Bounds, Place},
};
use crate::{
    call::{self, Head, Pieces, StreamContext},
    error::{Code, Error, Result},
    model::Caller,
};

/// Streams at a time: each holds a thread and a snapshot for as long as its client reads.
pub(super) const MAX_STREAMS: Bounds = Bounds { all: 16, of_tenant: 12, of_caller: 8 };

/// An answer that is written while it is read.
pub struct Streamed {
    /// What stands before it.
    pub head: Head,
    /// The answer itself.
    pub pieces: Pieces,
}

impl Haldir {
    /// The second half of a call whose answer is a stream.
    pub async fn stream(&self, operation: &'static Operation, entered: Entered, input: &str) -> Result<Streamed> {
        let begun = Instant::now();
        measured(operation, begun, self.begin_stream(operation, entered, input).await, |_| operation.status)
    }

    async fn begin_stream(&self, operation: &'static Operation, entered: Entered, input: &str) -> Result<Streamed> {
        let Entered { caller, now, .. } = entered;
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
            // Whatever happens to the work from here on, the pieces tell.
            Ok(head) => Ok(Streamed { head, pieces }),
            Err(_) => match work.await.map_err(Error::internal)? {
                Ok(()) => Err(Error::internal(format!("{} ended before it began", operation.name))),
                Err(error) => Err(self.refused(operation, caller, input, error, now).await?),
            },
        }
    }

    fn stream_place(&self, caller: &Caller) -> Result<Place> {
        self.inner.streams.take(caller).ok_or_else(|| {
            let Bounds { all, of_tenant, of_caller } = MAX_STREAMS;
            let message = format!(
                "too many streams are being read already: {of_caller} of one caller, {of_tenant} of a tenant or {all} \
                 together; try again"
            );
            Error::new(Code::Unavailable, message)
        })
    }
}
