//! What the relay asks of the part of haldir that decides.

mod beside;
pub mod changes;

use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::{
    call::Call,
    elicitation::{AskSettings, ElicitedDecision},
    mid_call,
};
use crate::{
    error::{Error, Result},
    operations::proxied::{ApprovalQuestion, Edited, MidCallRequests, Outcome, PendingApproval, refusal_text},
    protocol::{
        code::{INTERNAL_ERROR, INVALID_PARAMS},
        json,
        message::{self, Message},
        page::ToolPage,
    },
    redact::{Audience, Carry, Known, Redactor, Told, aside},
};

/// A `tools/call`, as a client asked for it.
pub struct CallAttempt {
    /// The tool, by the upstream's own name.
    pub tool: String,
    /// JSON text of its arguments: an object in which no name stands twice.
    pub arguments: String,
    /// The session that the call or its request names.
    pub session: Option<String>,
    /// What the person at the client has decided on it, if they were asked.
    pub decided: Option<ElicitedDecision>,
    /// Whether the connection offers the tool, if its tools were listed over it.
    pub is_listed: Option<bool>,
    /// Whether the person at the client can be asked about it now.
    pub asks: bool,
    /// Whether they were asked, and did not decide.
    pub is_undecided: bool,
}

/// A call that may go on. The entry that says so is durable.
pub struct Admitted {
    /// JSON text of the arguments to send: secrets stand in it.
    pub arguments: zeroize::Zeroizing<String>,
    /// Where its outcome is reported. If it never is, the outcome is recorded as unknown.
    pub report: Report,
}

/// What becomes of a call that a client asked for.
pub enum Decision {
    /// It may go on.
    Go(Admitted),
    /// It may not, or not yet: this text is the client's result instead, as an error. A result that is none would have to
    /// fit the tool's output schema, and the client's library would refuse it before the model sees why.
    Told(String),
    /// The person at the client may decide; a client that cannot ask them is told that the call waits.
    Ask(HeldCall),
    /// The upstream has no such tool.
    Unknown(String),
}

/// A call about which the person at the client may decide.
pub struct HeldCall {
    /// What to ask.
    pub question: ApprovalQuestion,
    /// What the model is told if the person does not decide.
    pub held: PendingApproval,
    /// How long the call waits for them, and how often its client is told so.
    pub asking: AskSettings,
}

impl Decision {
    /// What a client is told of an error.
    pub fn of(error: &Error) -> Self {
        Self::Told(refusal_text(error))
    }

    /// The call, or the response to it that says why there is none. From 2026-07-28 on (`modern`), the response asks the
    /// person, if they may decide.
    pub fn admitted(self, id: &str, call: &Call<'_>, modern: bool) -> Result<Admitted, String> {
        match self {
            Self::Go(admitted) => Ok(admitted),
            Self::Ask(HeldCall { question, held, .. }) => Err(match call.asking(&question).filter(|_| modern) {
                Some(result) => message::response(id, &result),
                None => told(id, &held.text(), modern),
            }),
            Self::Told(text) => Err(told(id, &text, modern)),
            Self::Unknown(problem) => Err(message::error(Some(id), INVALID_PARAMS, &problem)),
        }
    }
}

/// The response to a call that tells the model why it is not made.
pub fn told(id: &str, text: &str, modern: bool) -> String {
    let kind = if modern { r#""resultType":"complete","# } else { "" };
    let part = format!(r#"{{"type":"text","text":{}}}"#, message::quoted(text));
    message::response(id, &format!(r#"{{{kind}"content":[{part}],"isError":true}}"#))
}

/// Where the outcome of a call is reported, and what of its response is changed.
pub struct Report {
    outcome: Box<dyn FnOnce(Outcome) + Send + Sync>,
    edited: Option<Arc<Edited>>,
    requests: Option<Arc<MidCallRequests>>,
}

impl Report {
    /// `outcome` takes the outcome without waiting; `edited` is what an operator changed of the call; `requests` counts and
    /// logs the upstream's requests, which are refused without it.
    pub fn new(
        outcome: impl FnOnce(Outcome) + Send + Sync + 'static,
        edited: Option<Arc<Edited>>,
        requests: Option<Arc<MidCallRequests>>,
    ) -> Self {
        Self { outcome: Box::new(outcome), edited, requests }
    }

    /// What counts and logs the upstream's requests during the call.
    pub fn requests(&self) -> Option<Arc<MidCallRequests>> {
        self.requests.clone()
    }

    /// Reports what came of it.
    pub fn send(self, outcome: Outcome) {
        (self.outcome)(outcome);
    }

    /// Reports the upstream's response to the call; returns it as the client gets it, if anything is changed. `unsure` is why
    /// an error in it does not mean that the call was not carried out.
    pub async fn answer(self, message: &Message<'_>, unsure: Option<&'static str>) -> Option<String> {
        let asks = match message.result {
            Some(result) => mid_call::in_result(|| self.requests(), result).await,
            None => Ok(None),
        };
        let (outcome, changed) = match asks {
            Err(why) => {
                let problem = mid_call::not_answered(why);
                (Outcome::unknown(why), Some(message::error(message.answers(), INTERNAL_ERROR, &problem)))
            }
            Ok(asks) => {
                let shown = message.with_result(asks.as_deref().or(message.result));
                let unsure = unsure.filter(|_| shown.result.is_none());
                let outcome = unsure.map_or_else(|| Outcome::of(&shown), Outcome::unknown);
                (outcome, self.edited(&shown).or_else(|| asks.is_some().then(|| shown.text())))
            }
        };
        self.send(outcome);
        changed
    }

    /// The response with what an operator changed of the call; `None` if that is nothing.
    fn edited(&self, message: &Message<'_>) -> Option<String> {
        let edited = self.edited.as_ref()?;
        let result = message.result.map(|result| edited.told_with(result.to_owned()));
        let error = message.error.map(|error| edited.told_with_error(error.to_owned()));
        Some(Message { error: error.as_deref(), ..message.with_result(result.as_deref()) }.text())
    }
}

/// Takes secrets out of what an upstream sends over one connection.
#[derive(Clone, Default)]
pub struct Redact {
    known: Arc<Known>,
    /// What was told so far.
    told: Arc<Mutex<Carry>>,
}

impl Redact {
    /// Takes out everything that the upstream can have received.
    pub fn new(known: Arc<Known>) -> Self {
        Self { known, told: Arc::default() }
    }

    /// Whether a message may be a list of tools: it answers, and no call.
    pub fn may_list(text: &str, is_call: impl FnOnce(&str) -> bool) -> bool {
        let read = || Message::read(text).ok().filter(|message| message.result.is_some());
        text.contains("\"tools\"") && read().is_some_and(|message| message.answers().is_some_and(|id| !is_call(id)))
    }

    /// A message written anew, without secrets. Values that agents stored stay in the tools of a list. `None` if the message
    /// cannot be read, or if its id or method holds a secret: without the secret it would mean something else.
    pub async fn message(&self, text: String, may_list: bool) -> Option<String> {
        // An error is met again below.
        drop(self.known.redactor_aside().await);
        let redact = self.clone();
        aside(text.len(), move || redact.clean(&text, may_list)).await.flatten()
    }

    /// A list of tools without secrets; `None` if it is none that can be read.
    fn listing(&self, result: &RawValue, redactor: &Redactor) -> Option<Box<RawValue>> {
        let members = json::object(result).ok()?;
        let tools: Vec<&RawValue> = serde_json::from_str(members.get("tools")?.get()).ok()?;
        let definitions = self.known.to(Audience::Definitions).redactor().ok()?;
        let definition = |tool: &RawValue| match &definitions {
            Some(definitions) => definitions.json(tool.to_owned()),
            None => tool.to_owned(),
        };
        let tools: Vec<_> = tools.into_iter().map(|tool| definition(tool).get().to_owned()).collect();
        if members.0.iter().any(|(name, _)| name != "tools" && redactor.finds(name)) {
            return None;
        }
        let clean = members.0.iter().map(|(name, value)| match name.as_ref() {
            "tools" => ("tools", format!("[{}]", tools.join(","))),
            name => (name, redactor.json((*value).to_owned()).get().to_owned()),
        });
        RawValue::from_string(json::written(clean)).ok()
    }

    fn clean(&self, text: &str, may_list: bool) -> Option<String> {
        let message = Message::read(text).ok().filter(Message::is_one)?;
        let Some(redactor) = self.known.redactor().ok()? else { return Some(message.text()) };
        let names = [message.id.as_deref().map(RawValue::get), message.method.as_deref()];
        if names.into_iter().flatten().any(|name| redactor.finds(name)) {
            tracing::warn!("an upstream sent a message whose id or method holds a secret; it was dropped");
            return None;
        }
        let before = self.told.lock().clone();
        let clean = |part: Option<&RawValue>| part.map(|part| redactor.answer(part.to_owned(), &before));
        let kind = match message.method.as_deref() {
            Some("notifications/progress") => Some(Told::Progress),
            Some("notifications/message") => Some(Told::Log),
            _ => None,
        };
        let params = match (message.params, kind) {
            (Some(params), Some(kind)) => Some(redactor.told(params.to_owned(), kind, &mut self.told.lock())),
            (params, _) => clean(params),
        };
        let listing = message.result.filter(|_| may_list).and_then(|result| self.listing(result, &redactor));
        let (result, error) = (listing.or_else(|| clean(message.result)), clean(message.error));
        let (params, result, error) = (params.as_deref(), result.as_deref(), error.as_deref());
        Some(Message { params, result, error, ..message }.text())
    }

    /// A text that is no message, such as a page that says what is wrong, without secrets and control characters.
    pub async fn text(&self, bytes: Vec<u8>) -> String {
        let (known, length) = (Arc::clone(&self.known), bytes.len());
        let clean = move || {
            let text = String::from_utf8_lossy(&bytes);
            let visible: String = text.chars().filter(|c| !c.is_control() || c.is_whitespace()).collect();
            known.text(&visible)
        };
        aside(length, clean).await.unwrap_or_default()
    }

    /// Whether a secret stands in a short text, such as a header.
    pub fn finds(&self, text: &str) -> bool {
        self.known.redactor().map_or(true, |redactor| redactor.is_some_and(|redactor| redactor.finds(text)))
    }
}

/// Decides on the calls of one upstream for one client.
pub trait Govern: Send + Sync + 'static {
    /// Holds all tools of the upstream against their pins, and remembers those that are new.
    fn observe(&self, tools: Vec<Box<RawValue>>) -> BoxFuture<'_, Result<()>>;

    /// Whether the client may see each of these tools: not those that are not as they were accepted.
    fn visible(&self, tools: &[&RawValue]) -> Result<Vec<bool>>;

    /// Decides on a call. An `Err` is why haldir could not decide; then there is no call either.
    fn admit(&self, asked: CallAttempt) -> BoxFuture<'_, Result<Decision>>;

    /// Waits until all outcomes that were reported are recorded.
    fn recorded(&self) -> BoxFuture<'_, ()>;

    /// Counts and logs those requests of the upstream to the client that belong to no call.
    fn requests_outside_calls(&self) -> Result<MidCallRequests>;

    /// Tells of every change of what the client may call from now on; `None` where nothing does.
    fn changes(&self) -> BoxFuture<'_, Option<watch::Receiver<u64>>>;
}

/// The name of a tool as it stands in a list.
pub fn tool_name(tool: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    serde_json::from_str::<Named>(tool.get()).ok().map(|named| named.name)
}

/// A list as the client may see it, where it may not see all of it.
pub struct ShownList {
    /// The answer.
    pub text: String,
    /// Whether tools are missing in it, or it could not be looked at.
    pub hides_tools: bool,
}

/// An answer without the tools that the client may not see, if it lists tools, and without what stands beside a list; `None`
/// if it may see all of it.
pub fn shown_list(governor: &dyn Govern, text: &str) -> Option<ShownList> {
    let Ok(Message { id: Some(id), result: Some(result), .. }) = Message::read(text) else { return None };
    let failed = |why: &str| {
        let text = message::error(Some(id.get()), INTERNAL_ERROR, why);
        Some(ShownList { text, hides_tools: true })
    };
    // Some readers do not mind the case of a name, and others take the last of two.
    let members = match json::object(result) {
        Ok(members) if !members.0.iter().any(|(name, _)| name.eq_ignore_ascii_case("tools")) => {
            let text = beside::without_meta(&members).map(|result| message::response(id.get(), &result))?;
            return Some(ShownList { text, hides_tools: false });
        }
        Ok(members) if members.get("tools").is_some() => members,
        _ if !result.get().starts_with('{') => return None,
        _ => return failed("the upstream's list of tools could not be read"),
    };
    let Ok(page) = serde_json::from_str::<ToolPage<'_>>(result.get()) else {
        return failed("the upstream's list of tools could not be read");
    };
    let visible = match governor.visible(&page.tools) {
        Ok(visible) => visible,
        Err(error) => {
            tracing::error!(%error, "the upstream's tools could not be compared with their pins");
            return failed("haldir could not look at the upstream's tools");
        }
    };
    let hides_tools = visible.len() != page.tools.len() || !visible.iter().all(|visible| *visible);
    if !hides_tools && !beside::is_unaccepted(&members) {
        return None;
    }
    let kept = page.tools.iter().zip(visible).filter(|(_, visible)| *visible);
    let kept: Vec<_> = kept.map(|(tool, _)| tool.get()).collect();
    let result = beside::with_tools(&members, &format!("[{}]", kept.join(",")));
    Some(ShownList { text: message::response(id.get(), &result), hides_tools })
}
