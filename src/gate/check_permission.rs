//! `checkPermission`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation, session},
    error::Result,
    model::{SessionId, text::Text},
};

/// Check whether a session may do something, before doing it. `allowed` is true only if the session is valid and holds
/// the scope; for an unknown, expired or revoked session it is false. The check changes nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckPermission {
    /// The session to check.
    session_id: SessionId,
    /// The scope that the action needs, such as read, files:write or spend.
    scope: Text<1, 128>,
}

/// The result of the check.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PermissionChecked {
    /// Whether the session may.
    allowed: bool,
    /// The session that was checked.
    session_id: SessionId,
    /// The scope that was checked.
    scope: String,
}

impl ReadOperation for CheckPermission {
    type Output = PermissionChecked;

    fn run(self, cx: &ReadContext<'_>) -> Result<PermissionChecked> {
        let allowed = match cx.tx.session(&cx.caller.tenant, &self.session_id)? {
            Some(session) => {
                session.scopes.hold_named(self.scope.as_str())
                    && session::may_act(cx.tx, &cx.caller.tenant, &session, cx.now)?
            }
            None => false,
        };
        Ok(PermissionChecked { allowed, session_id: self.session_id, scope: self.scope.into_string() })
    }
}
