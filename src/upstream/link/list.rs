//! The tools of an upstream, as it lists them.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::value::RawValue;

use super::{Link, dial::Wanted};
use crate::{
    protocol::{
        edit,
        page::{After, Listing, ToolPage},
    },
    upstream::{Failure, FailureKind, Place, connection::Connection},
};

/// Tools of an upstream: more is no catalogue.
const MAX_TOOLS: usize = 1_000;
/// The age at which the list of a child that announces no changes is fetched again while clients listen for changes.
const CHILD_LIST_AGE: Duration = Duration::from_secs(10);
/// How old the list may be when a tool is called that is not in it.
const UNKNOWN_AGE: Duration = Duration::from_secs(2);

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
        let listed = slot.made().filter(|made| made.connection.is_usable()).and_then(|made| made.listed);
        listed.is_none_or(|listed| listed.elapsed() > age || self.tools_changed.load(Ordering::Acquire))
    }

    /// A client has seen an unknown tool of it: its tools are listed before the next call.
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
        let _turn = self.gate.call().await?;
        let listed = self.list().await;
        self.gate.judged(listed)
    }

    async fn list(&self) -> Result<Vec<Box<RawValue>>, Failure> {
        let connection = self.connection(Wanted::Any).await?;
        // Before the list is asked for: a change during it is heard, and it is asked for again.
        self.tools_changed.store(false, Ordering::Release);
        let within = self.limits.start_timeout;
        let tools = match tokio::time::timeout(within, self.pages(connection)).await {
            Ok(tools) => tools?,
            Err(_) => return Err(Failure::timed_out(within)),
        };
        if let Some(connected) = self.state.lock().await.made_mut() {
            connected.listed = Some(Instant::now());
        }
        Ok(tools)
    }

    /// The pages of a list.
    async fn pages(&self, mut connection: Connection) -> Result<Vec<Box<RawValue>>, Failure> {
        let unreadable = || Failure::new(FailureKind::Unavailable, "its list of tools is none that can be read");
        let (mut listing, mut params, mut repeated) = (Listing::default(), "{}".to_owned(), false);
        loop {
            let page = match connection.request("tools/list", &params, None).await {
                // A new session has the list too.
                Err(Failure { kind: FailureKind::SessionOver, .. }) if !repeated => {
                    (repeated, listing, params) = (true, Listing::default(), "{}".to_owned());
                    connection = self.connection(Wanted::Any).await?;
                    continue;
                }
                page => page?,
            };
            if edit::member(Some(&*page), "tools").is_none() {
                return Err(unreadable());
            }
            let page: ToolPage<'_> = serde_json::from_str(page.get()).map_err(|_| unreadable())?;
            match listing.take(page, MAX_TOOLS) {
                After::Page(cursor) => params = format!("{{\"cursor\":{cursor}}}"),
                After::All { tools, cut } if tools.len() > MAX_TOOLS || cut && tools.len() == MAX_TOOLS => {
                    return Err(Failure::new(FailureKind::TooLarge, format!("it offers more than {MAX_TOOLS} tools")));
                }
                After::All { tools, cut } => {
                    if cut {
                        tracing::warn!(upstream = %self.target.name, tools = tools.len(), "{ENDLESS}");
                    }
                    return Ok(tools);
                }
            }
        }
    }
}

const ENDLESS: &str =
    "an upstream's list of tools does not end: its cursors repeat, or are too many; what came of it is used";
