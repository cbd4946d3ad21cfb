//! What transactions can do, one file per table or group of tables: the SQL, and the methods of [`ReadTx`](crate::ReadTx) and
//! [`Tx`](crate::Tx). It is the same for every backend.

pub(crate) mod appending;
pub(crate) mod approvals;
pub(crate) mod audit;
pub mod compliance;
pub(crate) mod counters;
pub mod erasing;
pub(crate) mod flagged;
pub(crate) mod fold;
pub(crate) mod in_flight_calls;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod payments;
pub(crate) mod posting_lists;
pub(crate) mod proxy;
pub mod retention;
pub(crate) mod secrets;
pub(crate) mod sessions;
pub mod signing;
pub mod stats;
pub mod tree;
pub(crate) mod usage;
pub(crate) mod webhooks;

/// All statements, with their names.
#[cfg(test)]
pub(crate) const ALL: [&[(&str, &str)]; 24] = [
    crate::copying::ALL,
    appending::ALL,
    approvals::ALL,
    audit::ALL,
    compliance::ALL,
    counters::ALL,
    erasing::ALL,
    erasing::RECORDS,
    flagged::ALL,
    fold::ALL,
    keys::ALL,
    in_flight_calls::ALL,
    jobs::ALL,
    payments::ALL,
    posting_lists::ALL,
    proxy::ALL,
    retention::ALL,
    secrets::ALL,
    sessions::ALL,
    signing::ALL,
    stats::ALL,
    tree::ALL,
    usage::ALL,
    webhooks::ALL,
];
