//! How the outside reaches an operation, and nothing else: interfaces parse, call, and render.

pub mod backend;
pub mod cli;
mod difference;
mod history;
pub mod http;
mod indented;
pub mod mcp;
pub mod otlp;
pub mod owner;
mod readiness;
pub mod remote;
mod responses;
pub mod server;
mod version;
