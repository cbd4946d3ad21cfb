//! Protocol revisions. They are dates, so that text compares as they do (specification, Versioning).

/// The first revision without a handshake and without sessions: each request describes its client in `_meta`.
pub const FIRST_WITHOUT_HANDSHAKE: &str = "2026-07-28";
/// The newest revision that begins with `initialize`; its event streams begin with an event that has no data (SEP-1699).
pub const NEWEST_WITH_HANDSHAKE: &str = "2025-11-25";

/// Whether a revision has no handshake.
pub fn is_without_handshake(revision: &str) -> bool {
    revision >= FIRST_WITHOUT_HANDSHAKE
}
