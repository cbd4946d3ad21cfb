//! What an operation is, and what it is given: its caller, the time, the keys, and a transaction.
//!
//! An operation is a type: its fields are the input, its doc comment is what people and models read about it,
//! and its one function does the work. It is named once, in [`crate::operations`].

mod keyring;
mod meter;
mod page;
mod services;

pub use keyring::{Keyring, TenantKeys};
pub use meter::Meter;
pub use page::page_size;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
pub use services::{AnomalyThresholds, RateLimits, Services, Settings};

use crate::{
    error::Result,
    model::{Caller, UnixMicros},
    store::{ReadTx, Tx},
};

/// An operation that changes nothing.
pub trait ReadOperation: DeserializeOwned + JsonSchema + Send + 'static {
    /// What it answers.
    type Output: Serialize + JsonSchema + 'static;

    /// Answers from one snapshot.
    fn run(self, cx: &ReadContext<'_>) -> Result<Self::Output>;
}

/// An operation that changes something, be it by an audit entry alone.
///
/// An `Err` takes back whatever it did. If it is a refusal, the call leaves an audit entry that says so.
pub trait WriteOperation: DeserializeOwned + JsonSchema + Send + 'static {
    /// What it answers.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Decides, changes, and appends the audit entry, all in one transaction.
    fn run(self, cx: &mut WriteContext<'_>) -> Result<Self::Output>;
}

/// What a reading operation works with.
pub struct ReadContext<'a> {
    /// The snapshot.
    pub tx: &'a dyn ReadTx,
    /// Who asks.
    pub caller: &'a Caller,
    /// The time of the call.
    pub now: UnixMicros,
    /// Keys and settings.
    pub services: &'a Services,
}

/// What a writing operation works with.
pub struct WriteContext<'a> {
    /// The transaction.
    pub tx: &'a mut dyn Tx,
    /// Who asks.
    pub caller: &'a Caller,
    /// The time of the call.
    pub now: UnixMicros,
    /// Keys and settings.
    pub services: &'a Services,
}

impl WriteContext<'_> {
    /// The tenant's keys.
    pub fn keys(&self) -> Result<std::sync::Arc<TenantKeys>> {
        self.services.keyring.tenant(self.tx.as_read(), &self.caller.tenant)
    }
}
