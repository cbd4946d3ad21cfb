//! Protocol sessions and paused calls are of the process that began them. A client that names one at another process, or after that
//! process has ended, is told to begin again, and the server's log says so.

use std::{
    mem,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// For a status 404, on which a client begins a new session (MCP 2025-11-25, Transports, Session Management).
pub const UNKNOWN_SESSION: &str = "the MCP session is unknown or has ended: initialise again";
/// For an error of the parameters (MCP 2026-07-28, Multi Round-Trip Requests).
pub const UNKNOWN_CALL: &str = "requestState: no such call waits at this server: make the call again, without requestState and \
    inputResponses";

/// Between two log lines; what is noted between them is counted.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What a client names.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    /// By `Mcp-Session-Id`.
    Session,
    /// By `requestState`.
    PausedCall,
}

/// A client named what this process does not have.
pub fn note(named: Named) {
    static TOLD: Mutex<(Option<Instant>, u64)> = Mutex::new((None, 0));
    let mut told = TOLD.lock();
    let (last, times) = &mut *told;
    *times += 1;
    if last.is_some_and(|last| last.elapsed() < TELL_EVERY) {
        return;
    }
    let (what, times) = (if let Named::Session = named { "MCP session" } else { "paused call" }, mem::take(times));
    *last = Some(Instant::now());
    tracing::info!(
        what,
        times,
        "a client named what this server does not have: another server may have it, or it has ended; the client was told to begin again"
    );
}
