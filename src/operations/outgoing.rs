//! Operations that call out. They run to their end even if the client disconnects, and reserve their idempotency key before the
//! outgoing request.

use std::sync::Arc;

use super::{
    definition::{Operation, OutwardFuture, ResponseBody},
    engine::{CallOptions, Haldir},
    idempotency::IdempotentCall,
};
use crate::{
    call::{CallClient, OutwardContext},
    error::{Error, Result},
    model::{Caller, UnixMicros},
};

impl Haldir {
    pub(super) async fn call_out(
        &self,
        operation: &'static Operation,
        run_outward: fn(&str, OutwardContext) -> Result<OutwardFuture>,
        caller: Caller,
        input: &str,
        options: CallOptions,
        now: UnixMicros,
    ) -> Result<(u16, ResponseBody)> {
        let cx = OutwardContext { client: options.client, ..self.outward(caller, now) };
        let work = run_outward(input, cx.clone())?;
        self.check_address(operation, input).await?;
        let idempotent = match options.idempotency_key {
            Some(key) if operation.takes_idempotency_key() => {
                Some(Arc::new(IdempotentCall::new(operation, &key, input)?))
            }
            _ => None,
        };
        // A separate task: an outgoing request must be settled, also after the client has disconnected.
        let running = tokio::spawn(async move {
            match idempotent {
                None => work.await.map(|(answer, _)| (operation.status, answer)),
                Some(idempotent) => once(&cx, operation, idempotent, work).await,
            }
        });
        running.await.map_err(Error::internal)?
    }

    /// The context of an operation of this caller, outside of any transaction.
    pub(crate) fn outward(&self, caller: Caller, now: UnixMicros) -> OutwardContext {
        let services = Arc::clone(&self.inner.services);
        OutwardContext { store: self.inner.store.clone(), caller, now, services, client: CallClient::default() }
    }
}

async fn once(
    cx: &OutwardContext,
    operation: &'static Operation,
    idempotent: Arc<IdempotentCall>,
    work: OutwardFuture,
) -> Result<(u16, ResponseBody)> {
    let call = Arc::clone(&idempotent);
    let earlier = cx.write(move |cx| {
        let earlier = call.earlier(cx)?;
        if earlier.is_none() {
            call.reserve(cx)?;
        }
        Ok(earlier)
    });
    if let Some(earlier) = earlier.await? {
        return earlier;
    }
    let outcome = work.await;
    let kept = match &outcome {
        Ok((answer, true)) => Some((operation.status, answer.to_string())),
        Err(error) if error.is_refusal() => Some((error.code.status(), error.body(None))),
        _ => None,
    };
    let kept = cx.write(move |cx| match &kept {
        Some((status, body)) => idempotent.keep(cx, operation, *status, body),
        None => idempotent.release(cx),
    });
    if let Err(error) = kept.await {
        // The outgoing request was made, so the response must not say otherwise. The key stays reserved: a retry is then a
        // conflict, not a second request.
        tracing::error!(%error, operation = operation.name, "an answer could not be kept for its idempotency key");
    }
    outcome.map(|(answer, _)| (operation.status, answer))
}
