//! Error codes: JSON-RPC 2.0, section 5.1; those of MCP: specification 2026-07-28, Basic, Error handling.

/// The text is not JSON.
pub const PARSE_ERROR: i32 = -32_700;
/// The text is not a JSON-RPC message.
pub const INVALID_REQUEST: i32 = -32_600;
/// The method does not exist.
pub const METHOD_NOT_FOUND: i32 = -32_601;
/// The parameters do not fit the method.
pub const INVALID_PARAMS: i32 = -32_602;
/// The server failed.
pub const INTERNAL_ERROR: i32 = -32_603;
/// A header and the body differ (SEP-2243).
pub const HEADER_MISMATCH: i32 = -32_020;
/// The request needs a capability that its client did not declare.
pub const MISSING_CAPABILITY: i32 = -32_021;
/// The server does not know the request's revision.
pub const UNSUPPORTED_VERSION: i32 = -32_022;

/// Errors that only a server of a revision without handshake writes; over HTTP their status is 400.
pub const WITHOUT_HANDSHAKE: [i32; 3] = [HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION];
