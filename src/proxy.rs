//! The proxy: upstream MCP servers, the catalogue of their tools and its pins, policies, secret injection, and the governed
//! call.
//!
//! # The pipeline
//!
//! session → [`tool`] known and pinned → [`edited`] arguments → [`scope`] → [`policy`] → [`flow`] → policies again with the secrets
//! filled in ([`filled`]) → [`approval`] → [`budget`] → [`secret`] injection → *the call* → redaction ([`crate::redact`]) → audit →
//! alerts. Each step has its own file, and refuses when in doubt. The audit entry of the call has what each step saw ([`trace`]).
//!
//! A call crosses two transactions ([`governed`]). The first decides; if the call is allowed, it appends the audit entry, takes
//! the cost from the budget, and is durable before anything is sent. The second settles: it appends the outcome and gives back
//! what an unsent call has not used. A call whose lease has expired is closed as unknown ([`abandoned`]).
//!
//! # How an interface uses it
//!
//! Interfaces reach it through [`crate::operations`], which re-exports these types:
//!
//! 1. `haldir.enter_proxy(credential)` returns a [`call::OutwardContext`](crate::call::OutwardContext), or refuses the key. Call
//!    it again for each call: the key may be revoked in between.
//! 2. Tools: `haldir.observe_tools(&cx, &upstream, &listing)` with each tool as the upstream wrote it; only the names that it
//!    returns may be shown. For an upstream that the interface connects to itself, such as a child process, call
//!    `haldir.declare_upstream(&cx, &upstream)` once before.
//! 3. A call: [`governed::begin`]`(&cx, CallRequest { … })` returns a [`Verdict`](governed::Verdict). `Allowed(call)`: send
//!    `call.arguments()` unchanged, then `call.settle(outcome)`, which returns the redacted result. The process renews the call's
//!    lease meanwhile; a call that is dropped is settled as unknown. `Pending(approval)`: return
//!    [`PendingApproval::text`](crate::model::PendingApproval::text), or try again after the approval. `Refused(error)`: return
//!    [`refusal_text`](governed::refusal_text).
//! 4. Or all of it: the operation `proxyCall` over a registered HTTP upstream.
//! 5. Connections to registered upstreams: [`target::reach`] returns the [`Link`](crate::upstream::Link).

pub mod abandoned;
pub mod accept_tool;
pub mod add_policy;
pub mod approval;
pub mod budget;
pub mod callable;
pub mod catalogue;
pub mod delete_policy;
pub mod delete_upstream;
pub mod edited;
pub mod filled;
pub mod flow;
pub mod governed;
pub mod list_policies;
pub mod list_tools;
pub mod list_upstreams;
pub mod listed_name;
pub mod mark_tool;
pub mod mid_call;
mod pointer;
pub mod policy;
pub mod proxy_call;
pub mod question;
mod record;
pub mod register_upstream;
pub mod scope;
pub mod secret;
mod settle;
mod suspicion;
pub mod target;
pub mod test_policy;
pub mod tool;
pub mod trace;
pub mod uncounted;
