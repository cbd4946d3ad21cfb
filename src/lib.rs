//! haldir governs AI agents: one program between an agent and everything it can spend, read or do.
//!
//! An operator bounds an agent with a *session*: scopes, a budget and a lifetime. The agent works within it, reads
//! secrets through it, asks it before it pays, and logs what it did. Every decision is an entry in an audit log that
//! nobody can rewrite unnoticed.
//!
//! # The rooms
//!
//! A room imports from the floors below it, never from those above; [`watch`], [`gate`] and [`vault`] share a floor.
//! From the ground up:
//!
//! | room | what lives there |
//! |---|---|
//! | [`error`] | the one error type: a machine code, an HTTP status, and a message that names the fix |
//! | [`model`] | the words every room uses: ids, time, money, scopes, callers, records; no I/O |
//! | [`crypto`] | keys, sealing, hashing, the Merkle tree, random ids; knows nothing of tenants |
//! | [`protocol`] | the Model Context Protocol on the wire: messages, revisions, constants, event streams |
//! | [`store`] | the one seam to a database: transactions, group commit, migrations |
//! | [`call`] | what an operation is, and what it is given: caller, time, keys, a transaction |
//! | [`watch`] | the audit log: canonical bytes, chain, head, anomaly rules, verification |
//! | [`gate`] | who may act: API keys, sessions, scopes, delegation, hourly limits |
//! | [`approvals`] | what a person decides first: rules, requests, decisions that serve once |
//! | [`vault`] | secrets sealed at rest; budgets and payments |
//! | [`webhooks`] | who is told when something happens: subscriptions, outbox, signed delivery |
//! | [`compliance`] | evidence packs, the score, schedules |
//! | [`measure`], [`spans`] | what this process measures of itself, and calls on their way to OpenTelemetry |
//! | [`proxy`] | upstream MCP servers: tools and their pins, policies, the governed call |
//! | [`outbound`] | which addresses haldir may call |
//! | [`upstream`] | connections to MCP servers elsewhere, within bounds |
//! | [`operations`] | the one list of everything haldir can do, and the engine that runs it |
//! | [`config`] | flags, environment, config file, the master key |
//! | [`interfaces`] | how the outside reaches an operation: MCP over stdio and HTTP, REST, a remote haldir |
//!
//! The programs in `src/bin` put these together.
//!
//! # The way a call travels
//!
//! 1. An interface parses: [`interfaces::mcp`] a `tools/call`, [`interfaces::http`] a request. It ends up with an
//!    [`Operation`](operations::Operation), a [`Credential`](model::Credential) and the JSON text of the input.
//! 2. [`Haldir::call`](operations::Haldir::call) authenticates ([`gate::authenticate`]), checks role and key scope,
//!    and counts the call against the key's hourly limit ([`gate::rate_limit`]). This is the only such check, for all
//!    interfaces.
//! 3. The operation runs. One that reads gets a [`ReadContext`](call::ReadContext) on a snapshot. One that writes
//!    gets a [`WriteContext`](call::WriteContext) inside [`Store::write`](store::Store::write): it decides, changes,
//!    and appends its audit entry ([`watch::append`](fn@watch::append)), all in one transaction.
//! 4. The transaction is committed and synced. Only then is the call answered.
//! 5. The interface renders the answer, or the [`Error`](error::Error).
//!
//! A refusal is an answer too: what the operation did is taken back, and an entry that says who was refused what,
//! and why, is committed in its place.
//!
//! # Where to begin
//!
//! Read one operation, such as [`gate::check_permission`], then the list in [`operations`]. An operation is a type:
//! its fields are the input, its doc comment is what people and models read about it, and its one function does the
//! work. The MCP tools, the REST routes and the OpenAPI document are derived from it.

// Tests outside of this crate name it so, and some of their helpers serve tests within it.
#[cfg(test)]
extern crate self as haldir;

pub use haldir_core::{crypto, error, measure, model};
pub use haldir_protocol as protocol;
pub use haldir_store as store;
pub use haldir_verify as verify;

pub mod approvals;
pub mod call;
pub mod compliance;
pub mod config;
pub mod gate;
pub mod interfaces;
pub mod jobs;
pub mod operations;
pub mod outbound;
pub mod outbox;
pub mod proxy;
pub mod redact;
pub mod relay;
pub mod spans;
pub mod upstream;
pub mod vault;
pub mod watch;
pub mod webhooks;
