//! Operations that call an upstream: they decide in one transaction, call outside the store, and settle in another.
//!
//! The first transaction is durable before anything is sent. Nothing is locked between the two, and the process may end
//! there: such an operation must find and close what it left open.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    ClientChannel, ReadContext, Services, WriteContext,
    unwritten::{Outcome, Unwritten},
};
use crate::{
    error::Result,
    model::{Caller, ElicitationResponse, PendingApproval, UnixMicros},
    store::{ReadTx, Store},
};

/// An operation with two transactions, and work outside the store between them.
///
/// It records its own refusals: a transaction that does not fail is committed.
pub trait OutwardOperation: DeserializeOwned + JsonSchema + Send + 'static {
    /// Its result.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Decides, calls, and settles. It runs to its end even if the caller disconnects.
    fn run(self, cx: OutwardContext) -> impl Future<Output = Result<Self::Output>> + Send;

    /// Whether a retry with the same idempotency key gets this result again: not if it says "not yet".
    fn is_kept(_output: &Self::Output) -> bool {
        true
    }
}

/// The context of an operation that calls an upstream.
#[derive(Clone)]
pub struct OutwardContext {
    /// The store.
    pub store: Store,
    /// The caller.
    pub caller: Caller,
    /// The time of the call.
    pub now: UnixMicros,
    /// Keys, settings, connections.
    pub services: Arc<Services>,
    /// The client of the call.
    pub client: CallClient,
}

/// The client of a call, as its interface reaches it. No input of a call can set this.
#[derive(Clone, Debug, Default)]
pub struct CallClient {
    /// The consent of the person at the client, if they were just asked.
    pub consent: Option<Arc<ElicitationResponse>>,
    /// Set by a call that waits for a decision.
    pub pending: Option<Arc<OnceLock<PendingApproval>>>,
    /// Cancelled when the client cancels the call.
    pub cancelled: Option<CancellationToken>,
    /// The channel to the client while the call lasts.
    pub channel: Option<ClientChannel>,
}

impl CallClient {
    /// Completes when the client cancels the call.
    pub async fn cancelled(&self) {
        match &self.cancelled {
            Some(cancelled) => cancelled.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

impl OutwardContext {
    /// Reads on one snapshot.
    pub fn read<T>(&self, work: impl FnOnce(&ReadContext<'_>) -> Result<T>) -> Result<T> {
        let now = self.services.clock.now();
        self.store.read(|tx: &ReadTx| work(&ReadContext { tx, caller: &self.caller, now, services: &self.services }))
    }

    /// Runs `work` in a transaction, and returns once it is durable.
    pub async fn write<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut WriteContext<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (caller, services) = (self.caller.clone(), Arc::clone(&self.services));
        let (now, tenant) = (services.clock.now(), caller.tenant.clone());
        self.store
            .write(&tenant, move |tx| work(&mut WriteContext { tx, caller: &caller, now, services: &services }))
            .await
    }

    /// Enqueues the outcome of a call with the writer without waiting. Later writes see it. Until it is durable, a few
    /// milliseconds later, a power failure can lose it. If the store cannot be written, the outcome is retried.
    pub fn write_outcome(
        &self,
        call: &str,
        work: impl Fn(&mut WriteContext<'_>) -> Result<()> + Send + Sync + 'static,
    ) {
        // Without the client's channel, which must close when the call ends.
        let (store, caller, services) = (self.store.clone(), self.caller.clone(), Arc::clone(&self.services));
        let (at, runtime) = (services.clock.now(), Handle::try_current().ok());
        let call = call.to_owned();
        let outcome = Arc::new(Outcome { store, caller, services, call, at, work: Box::new(work), runtime });
        let written = Arc::clone(&outcome);
        let tenant = outcome.caller.tenant.clone();
        self.store.write_behind(&tenant, move |tx| written.write(tx), move |error| Unwritten::keep(&outcome, &error));
    }
}
