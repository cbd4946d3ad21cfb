//! Which tools the upstream has, before one of them is called.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{super::govern, Exchange, OWN_ID, Pins, ToolCall};
use crate::{
    error::{Code, Error},
    operations::proxied::refusal_text,
    protocol::{
        edit, json,
        message::{self, Message},
        meta,
        page::{After, Listing, ToolPage},
    },
};

/// Tools of an upstream: those on further pages are left out.
const MAX_TOOLS: usize = 2_000;

impl Exchange {
    /// Asks the upstream for its tools, in the words of the client's revision.
    pub(super) async fn ask_for_tools(&mut self, context: Option<String>) {
        let id = self.own_id();
        self.pass_on(list_request(&id, context.as_deref(), None)).await;
        self.pins = Pins::Asking { id, listing: Listing::default(), since: Instant::now(), context };
    }

    /// What the upstream listed is not what it has now. Calls that wait for a list wait for a new one: the answer to the
    /// request that may be under way is of the tools as they were.
    pub(super) async fn tools_changed(&mut self) {
        self.pins = Pins::Unknown;
        self.listing = Listing::default();
        if let Some(call) = self.calls.values().find(|call| call.is_listing()) {
            let context = call.message.context();
            self.ask_for_tools(context).await;
        }
    }

    pub(super) fn own_id(&mut self) -> String {
        self.own_ids += 1;
        format!("{OWN_ID}{}\"", self.own_ids)
    }

    /// A page of the tools that haldir asked for itself.
    pub(super) async fn listed(&mut self, answered: &str, result: Option<&RawValue>) {
        let Pins::Asking { id, .. } = &self.pins else { return };
        if id != answered {
            return;
        }
        let next = self.own_id();
        let Pins::Asking { id, listing, context, .. } = &mut self.pins else { return };
        let page = result.and_then(|result| serde_json::from_str::<ToolPage<'_>>(result.get()).ok());
        let Some(page) = page else { return self.pins_unknown("the upstream did not list its tools").await };
        match listing.take(page, MAX_TOOLS) {
            After::Page(cursor) => {
                let request = list_request(&next, context.as_deref(), Some(&cursor));
                *id = next;
                self.pass_on(request).await;
            }
            After::All { tools, cut } => {
                warn_of_cut(cut, tools.len());
                self.know(tools).await;
            }
        }
    }

    /// A page of the list that the client asked for with this cursor. With the last one it is all tools, if they are not
    /// known yet: then haldir need not ask for them, or wait for what it has asked for.
    pub(super) fn client_listed(
        &mut self,
        cursor: Option<String>,
        result: Option<&RawValue>,
    ) -> Option<Vec<Box<RawValue>>> {
        match cursor {
            None => self.listing = Listing::default(),
            // Of another list than the one that is followed.
            Some(cursor) if !self.listing.expects(&cursor) => return None,
            Some(_) => {}
        }
        let page = serde_json::from_str::<ToolPage<'_>>(result?.get()).ok()?;
        let After::All { tools, cut } = self.listing.take(page, MAX_TOOLS) else { return None };
        warn_of_cut(cut, tools.len());
        let is_new = |tool: &RawValue| govern::tool_name(tool).is_some_and(|name| !self.listed_tools.contains(&name));
        (!matches!(self.pins, Pins::Known) || tools.iter().any(|tool| is_new(tool))).then_some(tools)
    }

    /// These are the tools that there are.
    pub(super) async fn know(&mut self, tools: Vec<Box<RawValue>>) {
        let listed = Arc::new(tools.iter().filter_map(|tool| govern::tool_name(tool)).collect());
        match self.governor.observe(tools).await {
            Ok(()) => {
                self.pins = Pins::Known;
                self.listed_tools = listed;
                for id in self.calls_that(ToolCall::is_listing) {
                    self.decide(&id);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the upstream's tools could not be compared with their pins");
                self.pins_unknown("haldir could not look at the upstream's tools").await;
            }
        }
    }

    /// Calls that have waited for the tools too long. The list is waited for further: a late one serves the next call.
    pub(super) async fn unlisted_too_long(&mut self, now: Instant) {
        let late = self.calls_that(|call| call.is_listing() && call.since + self.limits.start_timeout <= now);
        self.refuse_unlisted(late, "the upstream has not listed its tools in time; without its list none is called")
            .await;
    }

    async fn refuse_unlisted(&mut self, ids: Vec<String>, why: &'static str) {
        let problem = refusal_text(&Error::new(Code::Unavailable, why));
        for call in ids.into_iter().filter_map(|id| self.calls.remove(&id)).collect::<Vec<_>>() {
            self.answer(call.message.refusal(&problem)).await;
        }
    }

    /// Without knowing the tools there is no call.
    pub(super) async fn pins_unknown(&mut self, why: &'static str) {
        self.pins = Pins::Unknown;
        self.refuse_unlisted(self.calls_that(ToolCall::is_listing), why).await;
    }

    /// The client's list. What is not as it was accepted is looked at before the next call.
    pub(super) fn shown(&mut self, text: String) -> String {
        match govern::shown_list(&*self.governor, &text) {
            Some(shown) => {
                if shown.hides_tools && matches!(self.pins, Pins::Known) {
                    self.pins = Pins::Unknown;
                }
                shown.text
            }
            None => text,
        }
    }
}

/// What the call says of its client and revision, which a list needs to say too (2026-07-28).
pub(super) fn context_of(message: &Message<'_>) -> Option<String> {
    let context = edit::edited(edit::meta(message.params), |name| name.starts_with(meta::PREFIX), &[]);
    (context != "{}").then_some(context)
}

fn list_request(id: &str, context: Option<&str>, cursor: Option<&str>) -> String {
    let members = context.map(|meta| ("_meta", meta)).into_iter().chain(cursor.map(|cursor| ("cursor", cursor)));
    message::request(id, "tools/list", &json::written(members))
}

fn warn_of_cut(cut: bool, tools: usize) {
    if cut {
        tracing::warn!(tools, "the upstream's list of tools has no end that haldir reaches; what came of it is used");
    }
}
