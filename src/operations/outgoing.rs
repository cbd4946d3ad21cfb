//! Calls that leave haldir: they run to their end whoever hangs up, and an idempotency key is taken before they leave.

use std::sync::Arc;

use super::{
    definition::{Answer, Operation, Outgoing},
    engine::{CallOptions, Haldir},
    idempotency::Repeatable,
};
use crate::{
    call::{Hearing, OutwardContext},
    error::{Error, Result},
    model::{Caller, UnixMicros},
};

impl Haldir {
    pub(super) async fn call_out(
        &self,
        operation: &'static Operation,
        set_out: fn(&str, OutwardContext) -> Result<Outgoing>,
        caller: Caller,
        input: &str,
        options: CallOptions,
        now: UnixMicros,
    ) -> Result<(u16, Answer)> {
        let cx = OutwardContext { hearing: options.hearing, ..self.outward(caller, now) };
        let work = set_out(input, cx.clone())?;
        self.check_address(operation, input).await?;
        let repeatable = match options.idempotency_key {
            Some(key) if operation.takes_idempotency_key() => Some(Arc::new(Repeatable::new(operation, &key, input)?)),
            _ => None,
        };
        // A task of its own: what has left is settled, also if nobody waits for it any more.
        let running = tokio::spawn(async move {
            match repeatable {
                None => work.await.map(|(answer, _)| (operation.status, answer)),
                Some(repeatable) => once(&cx, operation, repeatable, work).await,
            }
        });
        running.await.map_err(Error::internal)?
    }

    /// What an operation of this caller works with, outside of any transaction.
    pub(crate) fn outward(&self, caller: Caller, now: UnixMicros) -> OutwardContext {
        let services = Arc::clone(&self.inner.services);
        OutwardContext { store: self.inner.store.clone(), caller, now, services, hearing: Hearing::default() }
    }
}

async fn once(
    cx: &OutwardContext,
    operation: &'static Operation,
    repeatable: Arc<Repeatable>,
    work: Outgoing,
) -> Result<(u16, Answer)> {
    let call = Arc::clone(&repeatable);
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
    let kept = cx.write(move |cx| match kept {
        Some((status, body)) => repeatable.keep(cx, operation, status, &body),
        None => repeatable.release(cx),
    });
    if let Err(error) = kept.await {
        // What was called has been: its caller is not told that nothing was. The key stays taken, so that a repetition is a
        // conflict, and not another call.
        tracing::error!(%error, operation = operation.name, "an answer could not be kept for its idempotency key");
    }
    outcome.map(|(answer, _)| (operation.status, answer))
}
