//! `listDescendants`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::session_detail::SessionDetail;
use crate::{
    call::{ReadContext, ReadOperation, session},
    error::Result,
    model::SessionId,
};

/// Descendants in one response.
const MAX_DESCENDANTS: usize = 1_000;

/// List the sessions that a session has delegated to, and those below them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDescendants {
    /// The session at the top.
    session_id: SessionId,
}

/// The sessions below.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Descendants {
    /// The session at the top.
    pub session_id: SessionId,
    /// How many are in this answer.
    pub count: usize,
    /// Parents before their children.
    #[allow(clippy::struct_field_names)] // the wire's word
    pub descendants: Vec<SessionDetail>,
    /// Whether there are more than one response holds.
    pub truncated: bool,
}

impl ReadOperation for ListDescendants {
    type Output = Descendants;

    fn run(self, cx: &ReadContext<'_>) -> Result<Descendants> {
        let tenant = &cx.caller.tenant;
        session::require(cx.tx, tenant, &self.session_id)?;
        let mut found = Vec::new();
        let mut next = 0;
        let mut parent = self.session_id.clone();
        loop {
            found.extend(cx.tx.child_sessions(tenant, &parent, "", MAX_DESCENDANTS + 1)?);
            if found.len() > MAX_DESCENDANTS || next == found.len() {
                break;
            }
            parent = found[next].id.clone();
            next += 1;
        }
        let truncated = found.len() > MAX_DESCENDANTS;
        found.truncate(MAX_DESCENDANTS);
        let shown = found.iter().map(|session| SessionDetail::new(cx.tx, tenant, session, cx.now));
        let descendants: Vec<_> = shown.collect::<Result<_>>()?;
        Ok(Descendants { session_id: self.session_id, count: descendants.len(), descendants, truncated })
    }
}
