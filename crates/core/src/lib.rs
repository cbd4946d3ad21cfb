//! What every layer of haldir uses: the error type, ids, time, money, scopes, records, cryptography and counters.
//! Pure: no I/O, no database, no clock but the injected one.

pub mod crypto;
pub mod error;
pub mod metrics;
pub mod model;
