//! `listSessions`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::session_detail::SessionDetail;
use crate::{
    call::{ReadContext, ReadOperation, cut, page_size},
    error::Result,
    model::{AgentId, TimeCursor, text::Text},
    store::SessionQuery,
};

/// Sessions in one answer.
const MAX_LIMIT: i64 = 1_000;

/// List sessions, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSessions {
    /// Only this agent's.
    agent_id: Option<AgentId>,
    /// Only ids that start with this.
    id_prefix: Option<Text<0, 128>>,
    /// How many at most. Default 100.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 100))]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<TimeCursor>,
}

/// A page of sessions.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SessionList {
    /// How many are in this answer.
    pub count: usize,
    /// Newest first.
    pub sessions: Vec<SessionDetail>,
    /// The cursor of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

impl ReadOperation for ListSessions {
    type Output = SessionList;

    fn run(self, cx: &ReadContext<'_>) -> Result<SessionList> {
        let limit = page_size(self.limit, MAX_LIMIT)?;
        let before = self.cursor.map(|TimeCursor(at, id)| (at, id));
        let id_prefix = self.id_prefix.map_or_else(String::new, Text::into_string);
        let query = SessionQuery { agent_id: self.agent_id, id_prefix, before, limit: limit + 1 };
        let mut sessions = cx.tx.sessions(&cx.caller.tenant, &query)?;
        let next_cursor = cut(&mut sessions, limit, |last| format!("{}.{}", last.created_at.0, last.id));
        let shown = sessions.iter().map(|session| SessionDetail::new(cx.tx, &cx.caller.tenant, session, cx.now));
        let sessions: Vec<_> = shown.collect::<Result<_>>()?;
        Ok(SessionList { count: sessions.len(), sessions, next_cursor })
    }
}
