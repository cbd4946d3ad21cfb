//! Keys of `_meta` (specification 2026-07-28, Basic, `_meta`).

/// The prefix of the protocol's own keys.
pub const PREFIX: &str = "io.modelcontextprotocol/";
/// The revision of a request.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The client that sends a request.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// What that client can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The server, in the answer to `server/discover`.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The least level of log messages that a request wants.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The request that began the subscription which a notification belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The token that names a request in progress notifications.
pub const PROGRESS_TOKEN: &str = "progressToken";
/// The haldir session of a call; haldir's own key.
pub const HALDIR_SESSION: &str = "io.haldir/session_id";
