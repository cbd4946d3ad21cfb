//! haldir
pub mod call;
pub mod config;
pub mod crypto;
pub mod error;
pub mod faces;
pub mod gate;
pub mod model;
pub mod operations;
pub mod store;
pub mod vault;
pub mod watch;
