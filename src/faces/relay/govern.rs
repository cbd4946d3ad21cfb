//! What the relay asks of the part of haldir that decides.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    json,
    message::{self, Message},
};
use crate::{
    error::{Error, Result},
    faces::elicitation::Decided,
    operations::proxied::{Edited, Held, Question, refusal_text},
};

/// A `tools/call`, as a client asked for it.
pub struct Asked {
    /// The tool, by the upstream's own name.
    pub tool: String,
    /// JSON text of its arguments: an object in which no name stands twice.
    pub arguments: String,
    /// The session that the call or its request names.
    pub session: Option<String>,
    /// What the person at the client has decided on it, if they were asked.
    pub decided: Option<Decided>,
    /// Whether the connection offers the tool, if its tools were listed over it.
    pub offered: Option<bool>,
    /// Whether somebody at the client can be asked about it now.
    pub asks: bool,
    /// What is done at once when the call may go on.
    pub leave: Option<Leave>,
}

/// Called with the arguments to send once the entry is durable that says that the call may go on, unless nobody waits for
/// that any more; on whatever thread, so it waits for nothing. What it has not sent is sent by who has asked.
pub use crate::operations::proxied::Leave;

/// A call that may go on. The entry that says so is durable.
pub struct Admitted {
    /// JSON text of the arguments to send: secrets stand in it.
    pub arguments: zeroize::Zeroizing<String>,
    /// Takes secrets out of what comes back; `None` if there are none in the call.
    pub redact: Option<Redact>,
    /// Where its outcome is reported. If it never is, the outcome is recorded as unknown.
    pub report: Report,
}

/// What becomes of a call that a client asked for.
pub enum Decision {
    /// It may go on.
    Go(Admitted),
    /// It may not; this is what the client is told instead.
    Told {
        /// For the model.
        text: String,
        /// Whether it is an error, rather than a "not yet".
        is_error: bool,
    },
    /// The person at the client may decide; a client that cannot ask them is told that the call waits.
    Ask {
        /// What to ask.
        question: Question,
        /// What the model is told if nobody decides.
        held: Held,
        /// How long the call waits for them.
        within: Duration,
    },
    /// The upstream has no such tool.
    Unknown(String),
}

impl Decision {
    /// What a client is told of an error.
    pub fn of(error: &Error) -> Self {
        Self::Told { text: refusal_text(error), is_error: true }
    }

    /// The call, or the response to it that says why there is none; `modern` from 2026-07-28 on.
    pub fn admitted(self, id: &str, modern: bool) -> Result<Admitted, String> {
        match self {
            Self::Go(admitted) => Ok(admitted),
            Self::Ask { held, .. } => Self::Told { text: held.text(), is_error: false }.admitted(id, modern),
            Self::Told { text, is_error } => {
                let kind = if modern { r#""resultType":"complete","# } else { "" };
                let part = format!(r#"{{"type":"text","text":{}}}"#, message::quoted(&text));
                let result = format!(r#"{{{kind}"content":[{part}],"isError":{is_error}}}"#);
                Err(message::response(id, &result))
            }
            Self::Unknown(problem) => Err(message::error(Some(id), message::INVALID_PARAMS, &problem)),
        }
    }
}

/// Where the outcome of a call is reported, and what its answer has to say besides.
pub struct Report {
    outcome: Box<dyn FnOnce(Outcome) + Send + Sync>,
    edited: Option<Arc<Edited>>,
}

impl Report {
    /// `outcome` takes what came of it, and waits for nothing; `edited` is what an operator changed of the call.
    pub fn new(outcome: impl FnOnce(Outcome) + Send + Sync + 'static, edited: Option<Arc<Edited>>) -> Self {
        Self { outcome: Box::new(outcome), edited }
    }

    /// Reports what came of it.
    pub fn send(self, outcome: Outcome) {
        (self.outcome)(outcome);
    }

    /// The answer to the call with what the client has to be told besides; `None` if there is nothing.
    pub fn told(&self, text: &str) -> Option<String> {
        let edited = self.edited.as_ref()?;
        let message = Message::read(text).ok()?;
        let result = message.result.map(|result| edited.told_with(result.to_owned()));
        let error = message.error.map(|error| edited.told_with_error(error.to_owned()));
        Some(Message { result: result.as_deref(), error: error.as_deref(), ..message }.text())
    }
}

/// The secrets of a call.
#[derive(Clone)]
pub struct Redact {
    /// The same for the same secrets.
    id: [u8; 32],
    redact: Arc<dyn Fn(Box<RawValue>) -> Box<RawValue> + Send + Sync>,
}

impl Redact {
    /// Takes secrets out with this function, which gives back as it was what holds none. `id` is another one for
    /// other secrets.
    pub fn new(id: [u8; 32], redact: impl Fn(Box<RawValue>) -> Box<RawValue> + Send + Sync + 'static) -> Self {
        Self { id, redact: Arc::new(redact) }
    }

    /// Adds this one to others, if it is not among them.
    pub fn join(self, others: &mut Vec<Self>) {
        if others.iter().all(|other| other.id != self.id) {
            others.push(self);
        }
    }

    /// A message without the secrets; `None` if there are none in it.
    pub fn message(&self, text: &str) -> Option<String> {
        let message = Message::read(text).ok()?;
        let clean = |part: Option<&RawValue>| part.map(|part| (self.redact)(part.to_owned()));
        let (params, result, error) = (clean(message.params), clean(message.result), clean(message.error));
        let same = |new: &Option<Box<RawValue>>, old: Option<&RawValue>| {
            new.as_deref().map(RawValue::get) == old.map(RawValue::get)
        };
        if same(&params, message.params) && same(&result, message.result) && same(&error, message.error) {
            return None;
        }
        let (params, result, error) = (params.as_deref(), result.as_deref(), error.as_deref());
        Some(Message { params, result, error, ..message }.text())
    }
}

/// What came of a call.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The upstream's result, without secrets.
    Result(Box<RawValue>),
    /// The upstream's JSON-RPC error, without secrets.
    Error(Box<RawValue>),
    /// Nobody knows whether it was carried out, and why not.
    Unknown(&'static str),
    /// It never left, and why not.
    Unsent(&'static str),
}

impl Outcome {
    /// What a response says of the call.
    pub fn of(response: &Message<'_>) -> Self {
        match (response.result, response.error) {
            (Some(result), _) => Self::Result(result.to_owned()),
            (None, Some(error)) => Self::Error(error.to_owned()),
            (None, None) => Self::Unknown(UNREADABLE),
        }
    }

    /// The same of its text.
    pub fn of_text(response: &str) -> Self {
        Message::read(response).map_or(Self::Unknown(UNREADABLE), |message| Self::of(&message))
    }
}

const UNREADABLE: &str = "the upstream's answer could not be read";

/// Decides on the calls of one upstream for one client.
pub trait Govern: Send + Sync + 'static {
    /// Holds all tools of the upstream against their pins, and remembers those that are new.
    fn observe(&self, tools: Vec<Box<RawValue>>) -> BoxFuture<'_, Result<()>>;

    /// Whether the client may see each of these tools: not those that are not as they were accepted.
    fn visible(&self, tools: &[&RawValue]) -> Result<Vec<bool>>;

    /// Decides on a call. An `Err` is why haldir could not decide; then there is no call either.
    fn admit(&self, asked: Asked) -> BoxFuture<'_, Result<Decision>>;

    /// Waits until all outcomes that were reported are recorded.
    fn recorded(&self) -> BoxFuture<'_, ()>;
}

/// A page of a list of tools.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolPage<'a> {
    /// The tools, as they were written.
    #[serde(borrow, default)]
    pub tools: Vec<&'a RawValue>,
    /// What the next page is asked for with.
    #[serde(borrow, default)]
    pub next_cursor: Option<&'a RawValue>,
}

/// The name of a tool as it stands in a list.
pub fn tool_name(tool: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    serde_json::from_str::<Named>(tool.get()).ok().map(|named| named.name)
}

/// The answer to a client's `tools/list` without the tools that it may not see; `None` if it may see all.
pub fn shown_tools(governor: &dyn Govern, text: &str) -> Option<String> {
    let Ok(Message { id: Some(id), result: Some(result), .. }) = Message::read(text) else { return None };
    let failed = |why: &str| Some(message::error(Some(id.get()), message::INTERNAL_ERROR, why));
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
    if visible.len() == page.tools.len() && visible.iter().all(|visible| *visible) {
        return None;
    }
    let kept = page.tools.iter().zip(visible).filter(|(_, visible)| *visible);
    let kept: Vec<_> = kept.map(|(tool, _)| tool.get()).collect();
    let members: json::Object<'_> = serde_json::from_str(result.get()).unwrap_or_default();
    let members = members.0.iter().map(|(name, value)| match name.as_ref() {
        "tools" => format!("\"tools\":[{}]", kept.join(",")),
        _ => format!("{}:{}", message::quoted(name), value.get()),
    });
    Some(message::response(id.get(), &format!("{{{}}}", members.collect::<Vec<_>>().join(","))))
}
