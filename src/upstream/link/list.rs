//! The tools of an upstream, as it lists them.

use std::{
    collections::HashSet,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rmcp::{
    RoleClient,
    model::{ClientRequest, ListToolsRequest, PaginatedRequestParams},
    service::Peer,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Link, connect::Beginning};
use crate::upstream::{Failure, FailureKind, Place, capture::Exact, failed::timed_out};

/// Pages of a list of tools, and tools in it: more is no catalogue.
const MAX_PAGES: usize = 100;
const MAX_TOOLS: usize = 1_000;
/// How old the list of a child may be that says nothing of changes, while somebody would be told of them.
const CHILD_LIST_AGE: Duration = Duration::from_secs(10);
/// How old the list may be when a tool is called that is not in it.
const UNKNOWN_AGE: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Box<RawValue>>,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Link {
    /// Whether its tools must be listed before the next call: it is not connected, the list is old, or it said that it
    /// changed.
    pub async fn must_list(&self) -> bool {
        self.has_older_list(self.limits.list_age).await
    }

    /// The same for a tool that is not known: it may have been added since.
    pub async fn must_list_unknown(&self) -> bool {
        self.has_older_list(UNKNOWN_AGE).await
    }

    async fn has_older_list(&self, age: Duration) -> bool {
        let slot = self.state.lock().await;
        let listed = slot.made().filter(|made| made.is_usable()).and_then(|made| made.listed);
        listed.is_none_or(|listed| listed.elapsed() > age || self.tools_changed.load(Ordering::Acquire))
    }

    /// Somebody has seen a tool of it that is not known: it is asked for its tools before the next call.
    pub fn list_is_old(&self) {
        self.tools_changed.store(true, Ordering::Release);
    }

    /// Whether it has said that its tools are other ones than it listed, or has to be asked whether they are.
    pub fn has_changed(&self) -> bool {
        // While the connection is made nothing was listed over it.
        let Ok(slot) = self.state.try_lock() else { return false };
        let Some(connected) = slot.made() else { return false };
        let modern = self.known_revisions().is_some_and(|known| known.modern);
        let says_nothing = matches!(self.target.place, Place::Child(_)) && modern;
        let is_old = says_nothing && connected.listed.is_some_and(|listed| listed.elapsed() > CHILD_LIST_AGE);
        is_old || self.tools_changed.load(Ordering::Acquire)
    }

    /// All its tools, each as it was written.
    pub async fn list_tools(&self) -> Result<Vec<Box<RawValue>>, Failure> {
        let _turn = self.turn().await?;
        let listed = self.list().await;
        self.judged(listed)
    }

    async fn list(&self) -> Result<Vec<Box<RawValue>>, Failure> {
        let (peer, _) = self.peer(Beginning::Any).await?;
        // Before the list is asked for: a change during it is heard, and it is asked for again.
        self.tools_changed.store(false, Ordering::Release);
        let within = self.limits.start_timeout;
        let tools = match tokio::time::timeout(within, self.pages(&peer)).await {
            Ok(tools) => tools?,
            Err(_) => return Err(timed_out(within)),
        };
        if let Some(connected) = self.state.lock().await.made_mut() {
            connected.listed = Some(Instant::now());
        }
        Ok(tools)
    }

    /// The pages of a list. One whose cursors lead nowhere ends where that is seen.
    async fn pages(&self, peer: &Peer<RoleClient>) -> Result<Vec<Box<RawValue>>, Failure> {
        let (mut tools, mut cursors) = (Vec::new(), HashSet::new());
        let mut cursor: Option<String> = None;
        loop {
            let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
            let exact = Exact::default();
            let mut request = ListToolsRequest::with_param(params);
            request.extensions.insert(exact.clone());
            let page = self.ask(peer, ClientRequest::ListToolsRequest(request), &exact, None, None).await?;
            let page: Page = serde_json::from_str(page.get())
                .map_err(|_| Failure::new(FailureKind::Unavailable, "its list of tools is none that can be read"))?;
            tools.extend(page.tools);
            if tools.len() > MAX_TOOLS {
                return Err(Failure::new(FailureKind::TooLarge, format!("it offers more than {MAX_TOOLS} tools")));
            }
            cursor = page.next_cursor.filter(|cursor| !cursor.is_empty());
            let Some(next) = &cursor else { return Ok(tools) };
            if !cursors.insert(next.clone()) || cursors.len() >= MAX_PAGES {
                tracing::warn!(
                    upstream = %self.target.name,
                    pages = cursors.len(),
                    "an upstream's list of tools does not end: its cursors repeat, or are too many; what came of it is used"
                );
                return Ok(tools);
            }
        }
    }
}
