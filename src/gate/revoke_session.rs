//! `revokeSession`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::session;
use crate::{
    call::{WriteContext, WriteOperation},
    error::Result,
    model::{Session, SessionId},
    watch::{self, Draft},
    webhooks::{self, Happening},
};

/// Descendants that are read at a time.
const PAGE: usize = 500;
/// Descendants that an answer names.
const MAX_NAMED: usize = 1_000;

/// End a session now and for good: it can no longer act, spend or read secrets, and neither can any session that
/// it delegated to. Call this when a task is done, or when something looks wrong. Revoking twice is no error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeSession {
    /// The session to end.
    session_id: SessionId,
    /// Accepted for the sake of clients that ask for it: descendants always end with their parent.
    #[serde(default)]
    #[allow(dead_code)]
    cascade: Option<bool>,
}

/// What was ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SessionRevoked {
    /// Always true.
    revoked: bool,
    /// The session that was ended.
    session_id: SessionId,
    /// The descendants that ended with it, this time; the first 1,000 of them.
    cascade_revoked: Vec<SessionId>,
    /// How many descendants ended with it, this time.
    cascade_revoked_count: usize,
}

impl WriteOperation for RevokeSession {
    type Output = SessionRevoked;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<SessionRevoked> {
        let session = session::require(cx.tx.as_read(), &cx.caller.tenant, &self.session_id)?;
        let (mut cascade_revoked, mut cascade_revoked_count) = (Vec::new(), 0);
        let revoked = session.clone();
        let mut pending = vec![session];
        let root = self.session_id.clone();
        while let Some(session) = pending.pop() {
            // What was revoked before ended with all below it, and nothing can have begun there since.
            if session.revoked_at.is_some() {
                continue;
            }
            cx.tx.revoke_session(&cx.caller.tenant, &session.id, cx.now)?;
            let details = json!({"session_id": session.id, "revoked_with": root});
            watch::append(cx, Draft::governance("session.revoke", Some(&session), &details)?)?;
            if session.id != root {
                cascade_revoked_count += 1;
                if cascade_revoked.len() < MAX_NAMED {
                    cascade_revoked.push(session.id.clone());
                }
            }
            pending.extend(children(cx, &session)?);
        }
        if revoked.revoked_at.is_none() {
            let happening = Happening::SessionRevoked { session: &revoked, cascade_revoked: cascade_revoked_count };
            webhooks::emit(cx, &happening)?;
        }
        Ok(SessionRevoked { revoked: true, session_id: self.session_id, cascade_revoked, cascade_revoked_count })
    }
}

fn children(cx: &WriteContext<'_>, session: &Session) -> Result<Vec<Arc<Session>>> {
    let mut all: Vec<Arc<Session>> = Vec::new();
    loop {
        let after = all.last().map_or("", |child| child.id.as_str());
        let page = cx.tx.child_sessions(&cx.caller.tenant, &session.id, after, PAGE)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
