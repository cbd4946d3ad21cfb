//! MCP clients: where each keeps the list of its servers, and how such a file is read and edited in place. The commands that
//! change clients' files, `haldir install` and `haldir wrap-config`, share it.

pub mod change;
pub mod document;
pub mod file;
pub mod launch;
pub mod place;
pub mod program;
pub mod servers;
