//! MCP passed on between a client and one upstream server, message by message.
//!
//! What passes stays as it was written, so that nothing of any revision or extension is lost. Three kinds of message
//! are looked into: a `tools/call`, which goes on only if haldir allows it; a list of tools, from which those in
//! quarantine are removed; and a mid-call request, which is counted, logged and named. Client and upstream agree on revision and capabilities with each other, as they would
//! without haldir between them.

pub mod bound_session;
pub mod bridge;
pub mod call;
pub mod dialog;
pub mod elicitation;
pub mod elsewhere;
pub mod exchange;
pub mod forwarding;
pub mod govern;
pub mod governor;
pub mod mid_call;
pub mod multiplexer;
pub mod options;
pub mod policy_file;
pub mod wrap;
