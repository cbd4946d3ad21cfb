//! Which tools the upstream has, before one of them is called.

use tokio::time::Instant;

use super::{
    super::{
        govern::{self, Decision, ToolPage},
        json,
        message::{self, Message},
    },
    Exchange, LIST_TIMEOUT, MAX_PAGES, MAX_TOOLS, OWN_ID, Pins, Stage, ToolCall, is_modern,
};
use crate::error::{Code, Error};

impl Exchange {
    /// Asks the upstream for its tools, in the words of the client's revision.
    pub(super) async fn ask_for_tools(&mut self, context: Option<String>) {
        let id = self.own_id();
        self.pass_on(list_request(&id, context.as_deref(), None)).await;
        self.pins = Pins::Asking { id, tools: Vec::new(), pages: 0, until: Instant::now() + LIST_TIMEOUT, context };
    }

    pub(super) fn own_id(&mut self) -> String {
        self.own_ids += 1;
        format!("{OWN_ID}{}\"", self.own_ids)
    }

    /// A page of the tools that haldir asked for itself.
    pub(super) async fn listed(&mut self, answered: &str, result: Option<String>) {
        let Pins::Asking { id, .. } = &self.pins else { return };
        if id != answered {
            return;
        }
        let next = self.own_id();
        let Pins::Asking { id, tools, pages, context, .. } = &mut self.pins else { return };
        let page = result.as_deref().and_then(|result| serde_json::from_str::<ToolPage<'_>>(result).ok());
        let Some(page) = page else { return self.pins_unknown("the upstream did not list its tools").await };
        tools.extend(page.tools.into_iter().map(ToOwned::to_owned));
        *pages += 1;
        if *pages > MAX_PAGES || tools.len() > MAX_TOOLS {
            return self.pins_unknown("the upstream has more tools than haldir looks through").await;
        }
        if let Some(cursor) = page.next_cursor.filter(|cursor| cursor.get() != "null") {
            let request = list_request(&next, context.as_deref(), Some(cursor.get()));
            *id = next;
            return self.pass_on(request).await;
        }
        let tools = std::mem::take(tools);
        let offered = tools.iter().filter_map(|tool| govern::tool_name(tool)).collect();
        match self.governor.observe(tools).await {
            Ok(()) => {
                self.pins = Pins::Known;
                self.offered = offered;
                let waiting = |call: &ToolCall| matches!(call.stage, Stage::Listing);
                let waiting: Vec<_> =
                    self.calls.iter().filter(|(_, call)| waiting(call)).map(|(id, _)| id.clone()).collect();
                for id in waiting {
                    self.decide(&id);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the upstream's tools could not be compared with their pins");
                self.pins_unknown("haldir could not look at the upstream's tools").await;
            }
        }
    }

    /// Without knowing the tools there is no call.
    pub(super) async fn pins_unknown(&mut self, why: &'static str) {
        self.pins = Pins::Unknown;
        let waiting: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| matches!(call.stage, Stage::Listing))
            .map(|(id, _)| id.clone())
            .collect();
        for id in waiting {
            let Some(call) = self.calls.remove(&id) else { continue };
            let told = Decision::of(&Error::new(Code::Unavailable, why));
            if let Err(response) = told.admitted(&id, is_modern(&call.text)) {
                self.answer(response).await;
            }
        }
    }

    /// The client's list. What is not as it was accepted is looked at before the next call.
    pub(super) fn shown(&mut self, text: String) -> String {
        match govern::shown_tools(&*self.governor, &text) {
            Some(shown) => {
                if matches!(self.pins, Pins::Known) {
                    self.pins = Pins::Unknown;
                }
                shown
            }
            None => text,
        }
    }
}

/// What the call says of its client and revision, which a list needs to say too (2026-07-28).
pub(super) fn context_of(message: &Message<'_>) -> Option<String> {
    let params = json::object(message.params?).ok()?;
    let meta = json::object(params.get("_meta")?).ok()?;
    let members = meta.0.iter().filter(|(name, _)| name.starts_with("io.modelcontextprotocol/"));
    let members: Vec<_> = members.map(|(name, value)| format!("{}:{}", message::quoted(name), value.get())).collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}

fn list_request(id: &str, context: Option<&str>, cursor: Option<&str>) -> String {
    let members =
        [context.map(|meta| format!("\"_meta\":{meta}")), cursor.map(|cursor| format!("\"cursor\":{cursor}"))];
    let members: Vec<_> = members.into_iter().flatten().collect();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{{}}}}}"#, members.join(","))
}
