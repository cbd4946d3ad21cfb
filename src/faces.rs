//! How the outside reaches an operation, and nothing else: faces parse, call, and render.

pub mod backend;
pub mod cli;
mod difference;
pub mod elicitation;
mod history;
pub mod http;
pub mod mcp;
pub mod otlp;
pub mod owner;
pub mod relay;
pub mod remote;
pub mod server;
