//! Operations that call out: they decide in one transaction, work outside of the store, and settle in another.
//!
//! What the first transaction has written is durable before anything leaves. Nothing is held between the two, so the
//! process may end there; who writes such an operation sees to it that what it left open is found and closed.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    Line, ReadContext, Services, WriteContext,
    unwritten::{Outcome, Unwritten},
};
use crate::{
    error::Result,
    model::{Caller, Held, Person, UnixMicros},
    store::{ReadTx, Store},
};

/// An operation that crosses two transactions, with work outside of the store between them.
///
/// It records its own refusals: what one of its transactions did is committed unless that transaction failed.
pub trait OutwardOperation: DeserializeOwned + JsonSchema + Send + 'static {
    /// What it answers.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Decides, calls out, and settles. It runs to its end also if the caller has hung up.
    fn run(self, cx: OutwardContext) -> impl Future<Output = Result<Self::Output>> + Send;

    /// Whether a repetition with the same idempotency key gets this answer again: not if it is a "not yet".
    fn is_kept(_output: &Self::Output) -> bool {
        true
    }
}

/// What an operation that calls out works with.
#[derive(Clone)]
pub struct OutwardContext {
    /// The store.
    pub store: Store,
    /// Who asks.
    pub caller: Caller,
    /// The time of the call.
    pub now: UnixMicros,
    /// Keys, settings, connections.
    pub services: Arc<Services>,
    /// What the interface has heard of the person at the agent's client.
    pub hearing: Hearing,
}

/// What passes between a call and the interface that can ask the person at the agent's client. No input of any call says so.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    /// Their yes, if they were asked just now.
    pub person: Option<Arc<Person>>,
    /// Where a call that waits for a decision says so.
    pub held: Option<Arc<OnceLock<Held>>>,
    /// Cancelled once the client takes the call back.
    pub taken_back: Option<CancellationToken>,
    /// What the client hears of the upstream while the call lasts.
    pub line: Option<Line>,
}

impl Hearing {
    /// Ends when the client takes the call back.
    pub async fn taken_back(&self) {
        match &self.taken_back {
            Some(taken_back) => taken_back.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

impl OutwardContext {
    /// Looks something up on one snapshot.
    pub fn read<T>(&self, work: impl FnOnce(&ReadContext<'_>) -> Result<T>) -> Result<T> {
        let now = self.services.clock.now();
        self.store
            .read(|tx: &dyn ReadTx| work(&ReadContext { tx, caller: &self.caller, now, services: &self.services }))
    }

    /// Runs `work` in a transaction of its own, and answers once that is durable.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteContext<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (caller, services) = (self.caller.clone(), Arc::clone(&self.services));
        let now = services.clock.now();
        self.store.write(move |tx| work(&mut WriteContext { tx, caller: &caller, now, services: &services })).await
    }

    /// Hands what became of a call to the writer, and does not wait for it. What is written later finds it written; until it
    /// is durable, a few milliseconds later, a power failure can take it back. Where nothing can be written it is kept.
    pub fn write_outcome(
        &self,
        call: &str,
        work: impl Fn(&mut WriteContext<'_>) -> Result<()> + Send + Sync + 'static,
    ) {
        // Nothing of the client's: what it hears ends with the call, whenever this is written.
        let (store, caller, services) = (self.store.clone(), self.caller.clone(), Arc::clone(&self.services));
        let (at, runtime) = (services.clock.now(), Handle::try_current().ok());
        let call = call.to_owned();
        let outcome = Arc::new(Outcome { store, caller, services, call, at, work: Box::new(work), runtime });
        let written = Arc::clone(&outcome);
        self.store.write_behind(move |tx| written.write(tx), move |error| Unwritten::keep(&outcome, &error));
    }
}
