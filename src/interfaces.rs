//! How the outside reaches an operation, and nothing else: interfaces parse, call, and render.

pub mod backend;
pub mod cli;
mod difference;
mod history;
pub mod http;
pub mod mcp;
pub mod otlp;
pub mod owner;
pub mod remote;
pub mod server;
