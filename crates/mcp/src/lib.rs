//! The Model Context Protocol on the wire, as every part of haldir that carries it reads and writes it: `/mcp`, standard
//! input and output, wrapped servers, `/mcp/{upstream}` and haldir's own connections to upstreams.
//!
//! Everything here is pure but [`lines`], which reads a pipe, and [`bounded`], which queues messages. Specification:
//! <https://modelcontextprotocol.io/specification> and <https://www.jsonrpc.org/specification>.
//!
//! | module | what it has |
//! |---|---|
//! | [`message`] | the JSON-RPC envelope, its parts as they were written, and ids in their one form |
//! | [`json`], [`edit`] | JSON that no two readers understand differently; text with members replaced |
//! | [`code`], [`revision`], [`header`], [`meta`] | error codes, protocol revisions, header names, `_meta` keys |
//! | [`request`] | requests from a server to its client during a call: sampling, elicitation, roots |
//! | [`client`] | what a client says of itself |
//! | [`page`] | pages of a list of tools |
//! | [`event_stream`] | server-sent events |
//! | [`lines`] | messages as lines, with a bound |
//! | [`bounded`] | a queue that is bounded by messages and by bytes |

pub mod bounded;
pub mod client;
pub mod code;
pub mod edit;
pub mod event_stream;
pub mod header;
pub mod json;
pub mod lines;
pub mod message;
pub mod meta;
pub mod page;
pub mod request;
pub mod revision;

pub use client::Client;
pub use message::Message;
