//! Watching a log from outside: what is needed to notice that a log was rewritten, whoever rewrote it and with
//! whatever keys. Nothing here knows a store or an operation.
//!
//! [`Pin`] is a checkpoint that somebody keeps. [`Witness`] keeps one for each of many logs, and signs the next only if
//! it begins with it (C2SP tlog-witness, <https://c2sp.org/tlog-witness>).

mod pin;
mod server;

pub use pin::{Pin, Pinned};
pub use server::{Answer, Witness, request};
