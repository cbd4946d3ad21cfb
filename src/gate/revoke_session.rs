//! `revokeSession`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ending;
use crate::{
    call::{OutwardContext, OutwardOperation, session},
    error::Result,
    model::SessionId,
};

/// Descendants that the response names.
const MAX_NAMED: usize = 1_000;

/// End a session now and for good: it can no longer act, spend or read secrets, and neither can any session that
/// it delegated to. Call this when a task is done, or when something looks wrong. Revoking twice is no error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeSession {
    /// The session to end.
    session_id: SessionId,
    /// Accepted for compatibility: descendants always end with their parent.
    #[allow(dead_code)]
    cascade: Option<bool>,
}

/// The sessions that ended.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SessionRevoked {
    /// Always true.
    pub revoked: bool,
    /// The session that was ended.
    pub session_id: SessionId,
    /// The descendants that this call ended; the first 1,000 of them.
    pub cascade_revoked: Vec<SessionId>,
    /// How many descendants this call ended.
    pub cascade_revoked_count: usize,
}

impl OutwardOperation for RevokeSession {
    type Output = SessionRevoked;

    async fn run(self, cx: OutwardContext) -> Result<SessionRevoked> {
        cx.read(|cx| session::require(cx.tx, &cx.caller.tenant, &self.session_id).map(drop))?;
        let mut cascade_revoked = ending::end(&cx, &self.session_id).await?;
        let cascade_revoked_count = cascade_revoked.len();
        cascade_revoked.truncate(MAX_NAMED);
        Ok(SessionRevoked { revoked: true, session_id: self.session_id, cascade_revoked, cascade_revoked_count })
    }
}
