//! `getSession`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::session_detail::SessionDetail;
use crate::{
    call::{ReadContext, ReadOperation, session},
    error::Result,
    model::SessionId,
};

/// Look at a session: scopes, budget, what is spent and left, when it expires, and whether it is still valid. A
/// revoked or expired session can still be looked at; `is_valid` is false then, for good.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSession {
    /// The session's id, as createSession answered it.
    session_id: SessionId,
}

impl ReadOperation for GetSession {
    type Output = SessionDetail;

    fn run(self, cx: &ReadContext<'_>) -> Result<SessionDetail> {
        let session = session::require(cx.tx, &cx.caller.tenant, &self.session_id)?;
        SessionDetail::new(cx.tx, &cx.caller.tenant, &session, cx.now)
    }
}
