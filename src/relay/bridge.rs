//! Two revisions of MCP that do not know each other, brought together: a client of 2026-07-28, which describes itself in
//! every request, in front of a server that shakes hands, and the reverse.
//!
//! It stands between the client and the [exchange](super::exchange), which governs in the words of the upstream. Nothing is
//! changed where both speak alike, which their first words tell: a server that refuses the client's beginning is begun anew
//! with the other one. Most clients of 2026-07-28 know the handshake as well, and take it once `server/discover` is refused:
//! that refusal is theirs to hear, unless the operator says that the client knows nothing else.

mod new_server;
mod old_server;

use new_server::NewServer;
use old_server::OldServer;
use serde_json::{Value, value::RawValue};

use crate::protocol::{
    code::{self, INTERNAL_ERROR},
    edit,
    message::{self, INITIALIZED, Message},
    revision::is_without_handshake,
};

/// What the ids of requests begin with that are made here.
const OWN: &str = "haldir.";
/// Messages that wait until it is known how the two speak.
const MAX_HELD: usize = 256;

/// What a client is told whom no beginning helps.
const NO_COMMON: &str = "the upstream speaks no revision of MCP that this client knows";

/// What is to be done with a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// It goes to the client.
    Client(String),
    /// It goes on to the upstream.
    Upstream(String),
}

/// What goes on between a client and its upstream, as far as revisions go.
pub struct Bridge {
    state: Negotiation,
    /// Whether a refused `server/discover` is answered nonetheless.
    always: bool,
    /// Whether several clients share the server.
    shared: bool,
    /// Whether the server has refused one.
    is_old: bool,
    held: Vec<String>,
    /// A request whose answer is dropped, since it is made again.
    ignored: Option<String>,
    ids: Ids,
}

/// Ids of requests that are made here.
#[derive(Default)]
struct Ids(u64);

impl Ids {
    /// The next one, as it is written.
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("\"{OWN}{}\"", self.0)
    }
}

enum Negotiation {
    /// Nothing was said that depends on a revision.
    Fresh,
    /// The first words were said, and are not answered yet.
    Asked { id: String, first: First },
    /// Both speak alike.
    Alike,
    /// The server shakes hands, the client does not.
    Old(Box<OldServer>),
    /// The client shakes hands, the server does not.
    New(Box<NewServer>),
}

/// The first words.
enum First {
    /// The client's `initialize`.
    Initialize(String),
    /// The client's `server/discover`.
    Discover(String),
    /// Ours, since the client began with another request of 2026-07-28, which is held.
    Probe(String),
    /// Our `server/discover`, after the client's `initialize` was refused so; `again` if another server was begun for it.
    SecondDiscover { initialize: String, refused: String, again: bool },
    /// Our `initialize`, after `server/discover` was refused so.
    SecondInitialize { first: String, refused: String },
}

impl Bridge {
    /// Nothing was said yet. `always`: also where the client may know the server's beginning itself.
    pub fn new(always: bool) -> Self {
        let (state, held, ids) = (Negotiation::Fresh, Vec::new(), Ids::default());
        Self { state, always, shared: false, is_old: false, held, ignored: None, ids }
    }

    /// The same, where several clients may share the server.
    #[must_use]
    pub fn shared(self, shared: bool) -> Self {
        Self { shared, ..self }
    }

    /// A message of the client.
    pub fn client_message(&mut self, text: String) -> Vec<Step> {
        match &mut self.state {
            Negotiation::Alike => vec![Step::Upstream(text)],
            Negotiation::Old(server) => server.client_message(text, &mut self.ids),
            Negotiation::New(server) => server.client_message(text, &mut self.ids),
            Negotiation::Asked { .. } => self.hold(text),
            Negotiation::Fresh => self.begin(text),
        }
    }

    /// A message of the upstream.
    pub fn upstream_message(&mut self, text: String) -> Vec<Step> {
        if let Some(ignored) = &self.ignored
            && Message::read(&text).is_ok_and(|message| message.answers() == Some(ignored.as_str()))
        {
            self.ignored = None;
            return Vec::new();
        }
        match &mut self.state {
            Negotiation::Alike | Negotiation::Fresh => vec![Step::Client(text)],
            Negotiation::Old(server) => server.upstream_message(text),
            Negotiation::New(server) => server.upstream_message(text, &mut self.ids),
            Negotiation::Asked { id, .. } => {
                if Message::read(&text).is_ok_and(|message| message.answers() == Some(id.as_str())) {
                    self.answered(&text)
                } else {
                    vec![Step::Client(text)]
                }
            }
        }
    }

    /// The upstream has ended. Some do when they are begun with in a way that they do not know: the next one is to be told
    /// this first. `told` is what the client is told if nothing helps.
    pub fn upstream_ended(&mut self, told: &str) -> Option<String> {
        let Negotiation::Asked { id, first } = &mut self.state else { return None };
        let id = id.clone();
        match first {
            First::Initialize(initialize) => {
                let refused = message::error(Some(&id), INTERNAL_ERROR, told);
                let initialize = std::mem::take(initialize);
                Some(self.discover_again(id, initialize, refused))
            }
            First::SecondDiscover { initialize, refused, again: false } => {
                let (initialize, refused) = (std::mem::take(initialize), std::mem::take(refused));
                Some(self.discover_again(id, initialize, refused))
            }
            First::Discover(_) if !self.always => None,
            First::Discover(first) | First::Probe(first) => {
                let first = std::mem::take(first);
                self.ignored = Some(id);
                Some(self.shake_hands(first, String::new()))
            }
            First::SecondDiscover { .. } | First::SecondInitialize { .. } => None,
        }
    }

    /// Has the next server told of a client without a handshake, after the one before has ended. It is done once: a
    /// server that ends then as well does not run at all.
    fn discover_again(&mut self, id: String, initialize: String, refused: String) -> String {
        let next = self.ids.next();
        let discover = NewServer::discover(&next, &initialize);
        self.state = Negotiation::Asked { id: next, first: First::SecondDiscover { initialize, refused, again: true } };
        self.ignored = Some(id);
        discover
    }

    /// There will be no other upstream: what waits for the first words to be answered is told so.
    pub fn give_up(&mut self, told: &str) -> Vec<Step> {
        let mut waiting = std::mem::take(&mut self.held);
        if let Negotiation::Asked { first, .. } = std::mem::replace(&mut self.state, Negotiation::Fresh) {
            let (First::Initialize(first)
            | First::Discover(first)
            | First::Probe(first)
            | First::SecondDiscover { initialize: first, .. }
            | First::SecondInitialize { first, .. }) = first;
            if !waiting.contains(&first) {
                waiting.insert(0, first);
            }
        }
        waiting.iter().flat_map(|text| refused(text, told)).collect()
    }

    fn hold(&mut self, text: String) -> Vec<Step> {
        if self.held.len() >= MAX_HELD {
            let problem = "the upstream has not answered the first request yet";
            return refused(&text, problem);
        }
        self.held.push(text);
        Vec::new()
    }

    fn begin(&mut self, text: String) -> Vec<Step> {
        let Ok(message) = Message::read(&text) else { return vec![Step::Upstream(text)] };
        let Some(id) = message.request_id().map(str::to_owned) else { return vec![Step::Upstream(text)] };
        let first = match message.method.as_deref() {
            Some("initialize") => First::Initialize(text.clone()),
            _ if message.is_modern() && self.is_old => {
                if !message.is("server/discover") {
                    self.held.push(text.clone());
                }
                return vec![Step::Upstream(self.shake_hands(text, String::new()))];
            }
            Some("server/discover") => First::Discover(text.clone()),
            _ if message.is_modern() => {
                let id = self.ids.next();
                let meta = edit::meta(message.params).map_or("{}", RawValue::get);
                let probe = message::request(&id, "server/discover", &format!("{{\"_meta\":{meta}}}"));
                self.state = Negotiation::Asked { id, first: First::Probe(text.clone()) };
                self.held.push(text);
                return vec![Step::Upstream(probe)];
            }
            _ => return vec![Step::Upstream(text)],
        };
        self.state = Negotiation::Asked { id, first };
        vec![Step::Upstream(text)]
    }

    /// Begins with the handshake, after the server refused anything else.
    fn shake_hands(&mut self, first: String, refused: String) -> String {
        let id = self.ids.next();
        let initialize = OldServer::initialize(&id, &first);
        self.state = Negotiation::Asked { id, first: First::SecondInitialize { first, refused } };
        initialize
    }

    /// The first words are answered.
    fn answered(&mut self, answer: &str) -> Vec<Step> {
        let Negotiation::Asked { first, .. } = std::mem::replace(&mut self.state, Negotiation::Alike) else {
            return Vec::new();
        };
        let Ok(message) = Message::read(answer) else { return Vec::new() };
        let result = message.result.map(edit::value);
        let modern = result.as_ref().is_some_and(knows_modern);
        let mut steps = match first {
            First::Initialize(_) if result.as_ref().is_some_and(shakes_hands) => vec![Step::Client(answer.to_owned())],
            First::Initialize(initialize) => {
                let id = self.ids.next();
                let discover = NewServer::discover(&id, &initialize);
                let refused = answer.to_owned();
                self.state =
                    Negotiation::Asked { id, first: First::SecondDiscover { initialize, refused, again: false } };
                return vec![Step::Upstream(discover)];
            }
            First::Discover(_) if modern || is_modern_error(&message) => vec![Step::Client(answer.to_owned())],
            First::Probe(_) if modern || is_modern_error(&message) => Vec::new(),
            First::Discover(_) if !self.always => {
                (self.state, self.is_old) = (Negotiation::Fresh, true);
                let mut steps = vec![Step::Client(answer.to_owned())];
                for text in std::mem::take(&mut self.held) {
                    steps.extend(self.client_message(text));
                }
                return steps;
            }
            First::Discover(first) | First::Probe(first) => {
                return vec![Step::Upstream(self.shake_hands(first, answer.to_owned()))];
            }
            First::SecondDiscover { initialize, .. } if modern => {
                let (server, welcome) = NewServer::new(&initialize, &result.unwrap_or_default());
                self.state = Negotiation::New(Box::new(server));
                vec![Step::Client(welcome)]
            }
            First::SecondInitialize { first, .. } if result.is_some() => {
                let server = OldServer::new(result.unwrap_or_default(), self.shared);
                let mut steps = vec![Step::Upstream(INITIALIZED.to_owned())];
                if let Ok(first) = Message::read(&first)
                    && first.is("server/discover")
                {
                    steps.extend(first.request_id().map(|id| Step::Client(server.discovered(id))));
                }
                self.state = Negotiation::Old(Box::new(server));
                steps
            }
            First::SecondDiscover { refused, .. } => {
                self.state = Negotiation::Fresh;
                vec![Step::Client(refused)]
            }
            First::SecondInitialize { first, refused } => {
                self.state = Negotiation::Fresh;
                // Where the first words are held, they are refused with the rest below.
                match (self.held.contains(&first), refused.is_empty()) {
                    (true, _) => Vec::new(),
                    (false, true) => self::refused(&first, NO_COMMON),
                    (false, false) => vec![Step::Client(refused)],
                }
            }
        };
        let fresh = matches!(self.state, Negotiation::Fresh);
        for text in std::mem::take(&mut self.held) {
            // Where neither beginning was taken, nothing else will be.
            let next = if fresh { self::refused(&text, NO_COMMON) } else { self.client_message(text) };
            steps.extend(next);
        }
        steps
    }
}

/// A request that is not passed on; a notification is dropped.
fn refused(text: &str, problem: &str) -> Vec<Step> {
    let id = Message::read(text).ok().and_then(|message| message.request_id().map(str::to_owned));
    id.map(|id| Step::Client(message::error(Some(&id), INTERNAL_ERROR, problem))).into_iter().collect()
}

/// Whether the answer to `server/discover` names a revision without handshake.
fn knows_modern(result: &Value) -> bool {
    let versions = result["supportedVersions"].as_array().map(Vec::as_slice).unwrap_or_default();
    versions.iter().filter_map(Value::as_str).any(is_without_handshake)
}

/// Whether the answer to `initialize` is one: a server that has no handshake may answer with the revision that it knows.
fn shakes_hands(result: &Value) -> bool {
    result["protocolVersion"].as_str().is_none_or(|version| !is_without_handshake(version))
}

fn is_modern_error(message: &Message<'_>) -> bool {
    let error = message.error.map(edit::value).unwrap_or_default();
    // A server may know the error, and say with it that it speaks older revisions only.
    let older_only = error["data"]["supported"]
        .as_array()
        .is_some_and(|known| known.iter().filter_map(Value::as_str).all(|version| !is_without_handshake(version)));
    error["code"].as_i64().is_some_and(|code| code::WITHOUT_HANDSHAKE.iter().any(|known| i64::from(*known) == code))
        && !older_only
}

#[cfg(test)]
mod tests;
