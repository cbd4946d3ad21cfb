//! The proxy: upstream MCP servers, the catalogue of their tools and its pins, policies, secrets on their way, and the
//! governed call.
//!
//! # The pipeline
//!
//! session → [`tool`] known and pinned → [`edited`] arguments in place of those that were asked → [`scope`] → [`policy`] → [`flow`] → with the secrets in, the policies
//! once more ([`filled`]) → [`approval`], after the budget was looked at → [`budget`] → [`secret`] in → *the call* → secrets out ([`crate::redact`]) → audit → alerts. Each step stands in its own
//! file, and says no when in doubt. What each saw goes into the entry of the call ([`trace`]).
//!
//! A call crosses two transactions ([`governed`]). The first decides; if the call may leave, it appends the entry that
//! says what is about to be done, takes the cost out of the budget, and is durable before anything leaves. The second
//! settles: it appends the outcome and gives back what a failed call has not used. A call that no process vouches for any
//! more is closed as unknown ([`abandoned`]).
//!
//! # How an interface uses it
//!
//! Interfaces reach it through [`crate::operations`], which names these types again:
//!
//! 1. `haldir.enter_proxy(credential)` → a [`call::OutwardContext`](crate::call::OutwardContext), or the refusal of the
//!    key. Ask again for each call: a key may be revoked in between.
//! 2. Tools: `haldir.observe_tools(&cx, &upstream, &listing)` with each tool as its upstream wrote it; only names that it
//!    answers may be shown. For an upstream that the interface connects to itself, such as a child process, call
//!    `haldir.declare_upstream(&cx, &upstream)` once before.
//! 3. A call: [`governed::begin`]`(&cx, Attempt { … })` → [`Verdict`](governed::Verdict). `Go(going)`: send
//!    `going.arguments()`, exactly as it is, then `going.settle(outcome)`, which gives the answer without the secrets.
//!    The process vouches for it while it lasts. A `going` that is dropped is settled as unknown. `Held(held)`: answer [`Held::text`](crate::model::Held::text), or ask again after the approval. `Refused(error)`:
//!    answer [`refusal_text`](governed::refusal_text).
//! 4. Or all of it: the operation `proxyCall` over a registered HTTP upstream.
//! 5. Connections to registered upstreams: [`target::reach`] gives the [`Link`](crate::upstream::Link).

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
mod mid_call;
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
