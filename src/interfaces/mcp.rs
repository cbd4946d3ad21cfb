//! The Model Context Protocol: tools, prompts, completion and resources, each a view of the operations.
//!
//! rmcp carries the protocol in all its revisions. What it cannot give us is a number's own text, without which
//! money is not exact: both transports therefore hand over a tool's arguments as they were written, and put its
//! answer back as it was written.

pub mod client_channel;
pub mod completion;
pub mod elicit;
pub mod exact;
pub mod facts;
mod harmless;
pub mod logging;
pub mod paused;
pub mod prompts;
pub mod resources;
pub mod server;
pub mod session;
pub mod stdio;
pub mod tools;
pub mod upstreams;

pub use server::HaldirMcp;

/// What rmcp hands over with a request.
pub type Context = rmcp::service::RequestContext<rmcp::RoleServer>;

/// The arguments of a `tools/call` as they were written.
#[derive(Clone, Debug)]
pub struct RawArguments(pub std::sync::Arc<str>);
