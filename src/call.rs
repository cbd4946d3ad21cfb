//! Operations and their contexts: the caller, the time, the keys, and a transaction.
//!
//! An operation is a type. Its fields are the input, its doc comment is the description that users and models read, and its
//! one function does the work. [`crate::operations`] lists it once.

mod client_channel;
mod in_flight;
mod job_lease;
mod keyring;
mod meter;
mod outward;
mod page;
mod services;
pub mod session;
mod signing;
mod stream;
mod unwritten;

pub use client_channel::ClientChannel;
pub use in_flight::{InFlightCalls, LEASE_SECONDS, Lease};
pub use job_lease::{JOB_LEASE, Job, alone};
pub use keyring::{Keyring, TenantKeys};
pub use meter::Meter;
pub use outward::{CallClient, OutwardContext, OutwardOperation};
pub use page::{cut, page_size};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
pub use services::{AnomalyThresholds, RateLimits, Services, Settings, ToolNames, WebhookPace};
pub use signing::{MAX_PUBLISHED, PublishedKey, SigningKeys, has_retired};
pub use stream::{Finished, Head, Pieces, Sink, Start, StreamOperation, channel};
pub use unwritten::Unwritten;

use crate::{
    error::Result,
    model::{Caller, Month, UnixMicros},
    store::{ReadTx, Snapshots, Tx, Usage},
};

/// An operation that changes nothing.
pub trait ReadOperation: DeserializeOwned + JsonSchema + Send + 'static {
    /// Its result.
    type Output: Serialize + JsonSchema + 'static;

    /// Answers from one snapshot.
    fn run(self, cx: &ReadContext<'_>) -> Result<Self::Output>;
}

/// The longest that a caller may wait for a final answer, in seconds.
pub const MAX_WAIT_SECONDS: i64 = 30;

/// An operation that changes nothing, and that may wait for its result.
///
/// The engine looks again and again, each time on a snapshot of its own, until the answer is final or the time has
/// run out.
pub trait LongPollOperation: DeserializeOwned + JsonSchema + Send + 'static {
    /// What it answers.
    type Output: Serialize + JsonSchema + 'static;

    /// How long the caller is ready to wait, in whole seconds; at most [`MAX_WAIT_SECONDS`].
    fn wait_seconds(&self) -> Result<i64>;

    /// Answers from one snapshot.
    fn poll(&self, cx: &ReadContext<'_>) -> Result<PollOutcome<Self::Output>>;
}

/// An answer that may be waited for.
pub enum PollOutcome<T> {
    /// Waiting longer would change nothing.
    Final(T),
    /// What there is so far.
    Pending(T),
}

/// An operation that writes, if only an audit entry.
///
/// An `Err` rolls its changes back. A refusal leaves an audit entry.
pub trait WriteOperation: DeserializeOwned + JsonSchema + Send + 'static {
    /// Its result.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Decides, changes, and appends the audit entry, all in one transaction.
    fn run(self, cx: &mut WriteContext<'_>) -> Result<Self::Output>;
}

/// The context of a read operation.
pub struct ReadContext<'a> {
    /// The snapshot.
    pub tx: &'a ReadTx,
    /// The caller.
    pub caller: &'a Caller,
    /// The time of the call.
    pub now: UnixMicros,
    /// Keys and settings.
    pub services: &'a Services,
}

impl ReadContext<'_> {
    /// The tenant's usage of a month: what is stored, and what this process has counted since.
    pub fn usage(&self, month: Month) -> Result<Usage> {
        let tenant = &self.caller.tenant;
        let unstored = Usage { calls: self.services.meter.unstored(tenant, month), secret_reads: 0 };
        Ok(self.tx.usage(tenant, month)?.plus(unstored))
    }
}

/// What an operation works with whose answer is a stream. It reads a part at a time, each on a snapshot of its own.
pub struct StreamContext<'a> {
    /// The snapshots.
    pub snapshots: &'a Snapshots,
    /// The caller.
    pub caller: &'a Caller,
    /// The time of the call.
    pub now: UnixMicros,
    /// Keys and settings.
    pub services: &'a Services,
}

/// The context of a write operation.
pub struct WriteContext<'a> {
    /// The transaction.
    pub tx: &'a mut Tx,
    /// The caller.
    pub caller: &'a Caller,
    /// The time of the call.
    pub now: UnixMicros,
    /// Keys and settings.
    pub services: &'a Services,
}

impl WriteContext<'_> {
    /// The tenant's keys.
    pub fn keys(&self) -> Result<std::sync::Arc<TenantKeys>> {
        self.services.keyring.tenant(self.tx, &self.caller.tenant)
    }
}
