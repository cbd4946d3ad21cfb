//! haldir governs AI agents: one program between an agent and everything it can spend, read or do.
//!
//! An operator bounds an agent with a *session*: scopes, a budget and a lifetime. The agent works within it, reads
//! secrets through it, asks it before it pays, and logs what it did. Every decision is an entry in an audit log that
//! cannot be rewritten unnoticed.
//!
//! # The rooms
//!
//! A room imports from the rooms above it in this table, never from those below it.
//!
//! | room | contents |
//! |---|---|
//! | [`error`] | the error type: a machine code, an HTTP status, and a message that names the fix |
//! | [`model`] | the types that every room uses: ids, time, money, scopes, callers, records; no I/O |
//! | [`crypto`] | keys, sealing, hashing, the Merkle tree, random ids |
//! | [`verify`] | what an auditor needs: canonical bytes, bundles, packs, pins, witness |
//! | [`protocol`] | the Model Context Protocol on the wire: messages, revisions, constants, event streams |
//! | [`metrics`], [`traces`] | counters and histograms of the process; calls as OpenTelemetry spans |
//! | [`store`] | the seam to a database: transactions, group commit, migrations |
//! | [`files`] | private files, bounded reads |
//! | [`outbound`], [`redact`] | which addresses haldir may call; secrets in upstreams' responses |
//! | [`upstream`] | connections to upstream MCP servers, within bounds |
//! | [`call`] | what an operation is, and what it is given: caller, session, time, keys, a transaction |
//! | [`outbox`] | events for webhooks, stored in the transaction that causes them |
//! | [`watch`] | the audit log: appending, chain, anomaly rules, exports, proofs, verification |
//! | [`gate`] | authentication and authorization: API keys, sessions, scopes, delegation, hourly limits |
//! | [`approvals`] | decisions of a person: rules, requests, approvals that serve once |
//! | [`vault`] | sealed secrets; budgets and payments |
//! | [`webhooks`] | subscriptions, and the signed delivery of events |
//! | [`compliance`] | evidence packs, the score, schedules |
//! | [`proxy`] | upstream tools and their pins, policies, the governed call |
//! | [`operations`] | the list of all operations, and the engine that runs them |
//! | [`jobs`] | background jobs, and work on a whole store: backup, key rotation |
//! | [`config`] | flags, environment, config file, the master key |
//! | [`relay`] | wrapped MCP servers, and upstreams that are passed through |
//! | [`interfaces`] | MCP over stdio and HTTP, REST, the dashboard, the terminal client |
//!
//! The programs in `src/bin` put these together.
//!
//! # The way a call travels
//!
//! 1. An interface parses: [`interfaces::mcp`] a `tools/call`, [`interfaces::http`] a request. The result is an
//!    [`Operation`](operations::Operation), a [`Credential`](model::Credential) and the JSON text of the input.
//! 2. [`Haldir::call`](operations::Haldir::call) authenticates ([`gate::authenticate`]), counts the call against the
//!    key's hourly limit ([`gate::rate_limit`]), and checks role and key scope. Every interface goes through these checks.
//! 3. The operation runs. One that reads gets a [`ReadContext`](call::ReadContext) on a snapshot. One that writes gets a
//!    [`WriteContext`](call::WriteContext) inside [`Store::write`](store::Store::write): it decides, changes, and appends its
//!    audit entry ([`watch::append`](fn@watch::append)), all in one transaction.
//! 4. The transaction is committed and synced. Only then does the call return.
//! 5. The interface renders the response, or the [`Error`](error::Error).
//!
//! A refusal is recorded too: the operation's changes are rolled back, and an entry with the caller, the operation and the reason
//! is committed in their place.
//!
//! # Where to begin
//!
//! Read one operation, such as [`gate::check_permission`], then the list in [`operations`]. An operation is a type: its fields are
//! the input, its doc comment is what people and models read about it, and its one function does the work. The MCP tools, the
//! REST routes and the OpenAPI document are derived from it.

// Integration tests use this name, and unit tests share some of their helpers.
#[cfg(test)]
extern crate self as haldir;

pub use haldir_core::{crypto, error, metrics, model};
pub use haldir_protocol as protocol;
pub use haldir_store as store;
pub use haldir_verify as verify;

pub mod approvals;
pub mod call;
pub mod compliance;
pub mod config;
pub mod files;
pub mod gate;
pub mod interfaces;
pub mod jobs;
pub mod operations;
pub mod outbound;
pub mod outbox;
pub mod proxy;
pub mod redact;
pub mod relay;
pub mod traces;
pub mod upstream;
pub mod vault;
pub mod watch;
pub mod webhooks;
