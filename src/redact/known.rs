//! The secrets that each upstream can have received, and the audiences that they are redacted for. An upstream can return in any
//! call, of any client, what it received in another. So everything from an upstream is searched for all values of operators.
//!
//! An agent chooses the values that it stores. Redacted everywhere, the value `not_approved` would change what others read, and
//! a sentence of a tool's description would put the tool into quarantine. So an agent's value is redacted from responses to
//! that agent; from responses to others only if no text contains it by chance ([`is_token`]), without the name that the agent
//! chose; and never from definitions of tools.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::{Carry, Part, Redactor, Secret, Told, aside, nothing};
use crate::{
    error::Result,
    model::{SecretVersion, SecretVersions, TenantId, UpstreamName},
};

/// Values of one agent's key that the store does not list yet, or no longer; the oldest is evicted first.
const MAX_UNNAMED_OF_AGENT: usize = 64;
/// The same for operators.
const MAX_UNNAMED_OF_OPERATORS: usize = 1_024;
/// Known upstreams; those without secrets are evicted.
const MAX_UPSTREAMS: usize = 16_384;
/// The least length of an agent's value that is redacted for others, in characters.
const MIN_TOKEN_CHARS: usize = 16;
/// The least number of different characters, letters, and digits in it.
const MIN_TOKEN_VARIETY: (usize, usize, usize) = (10, 3, 2);

/// The recipient of an upstream's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Operators, and the processes of this machine.
    Everyone,
    /// An agent, by its principal.
    Agent(String),
    /// The definitions of tools, which are the same for all.
    Definitions,
    /// The log of a child process, which contains no secret at all.
    Log,
}

/// A value that an upstream can have received.
pub struct Learnt {
    /// The secret and its value.
    pub secret: Secret,
    /// Which version of it this is.
    pub version: SecretVersion,
    /// The agent that stored it; empty for an operator.
    pub stored_by: String,
}

/// The values of one automaton, which is rebuilt only if one of them changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Layer {
    Operators,
    /// All values of one agent.
    Agent(String),
    /// The values of all agents that are redacted for every audience.
    Tokens,
    /// All values of all agents.
    Agents,
}

struct Value {
    secret: Secret,
    stored_by: String,
    is_token: bool,
    /// The versions that have it.
    versions: Vec<SecretVersion>,
}

impl Layer {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Operators => value.stored_by.is_empty(),
            Self::Agent(principal) => value.stored_by == *principal,
            Self::Tokens => value.is_token && !value.stored_by.is_empty(),
            Self::Agents => !value.stored_by.is_empty(),
        }
    }
}

/// One automaton, and whether it is up to date.
#[derive(Default)]
struct Built {
    /// Incremented with each change of its values.
    wanted: u64,
    /// The automaton, and the `wanted` that it was built for.
    part: Option<(u64, Arc<Part>)>,
    /// Held by the thread that builds: other threads wait for the result.
    building: Arc<Mutex<()>>,
}

#[derive(Default)]
struct State {
    values: Vec<Value>,
    /// The versions that the store named last.
    stored: Option<SecretVersions>,
    built: HashMap<Layer, Built>,
}

impl State {
    /// Marks the automata that contain this value as out of date.
    fn changed(&mut self, value: &Value) {
        for (layer, built) in &mut self.built {
            if layer.holds(value) {
                built.wanted += 1;
            }
        }
    }

    /// Adds a value; returns whether it is new.
    fn add(&mut self, learnt: Learnt) -> bool {
        let Learnt { secret, version, stored_by } = learnt;
        if secret.value.is_empty() {
            return false;
        }
        let is_it = |known: &&mut Value| {
            known.stored_by == stored_by && known.secret.name == secret.name && *known.secret.value == *secret.value
        };
        if let Some(known) = self.values.iter_mut().find(is_it) {
            if !known.versions.contains(&version) {
                known.versions.push(version);
            }
            return false;
        }
        let is_token = is_token(&secret.value);
        let value = Value { secret, stored_by, is_token, versions: vec![version] };
        self.changed(&value);
        self.values.push(value);
        true
    }

    /// Evicts the oldest values of this storer that the store does not list, beyond the limit.
    fn bound(&mut self, stored_by: &str) {
        let most = if stored_by.is_empty() { MAX_UNNAMED_OF_OPERATORS } else { MAX_UNNAMED_OF_AGENT };
        let named: HashSet<&SecretVersion> = self.stored.iter().flat_map(|stored| stored.iter()).collect();
        let is_unnamed = |value: &Value| {
            value.stored_by == stored_by && !value.versions.iter().any(|version| named.contains(version))
        };
        let unnamed: Vec<_> =
            self.values.iter().enumerate().filter(|(_, value)| is_unnamed(value)).map(|(at, _)| at).collect();
        let too_many = unnamed.len().saturating_sub(most);
        for at in unnamed.into_iter().take(too_many).rev() {
            let value = self.values.remove(at);
            self.changed(&value);
        }
    }
}

/// The secrets that one upstream can have received: those that it may be sent now, those that it could be sent before, and
/// those that this process has sent.
#[derive(Default)]
pub struct Sent(Mutex<State>);

/// The same, to redact for one audience.
#[derive(Clone)]
pub struct Known {
    sent: Arc<Sent>,
    audience: Audience,
}

impl Default for Known {
    fn default() -> Self {
        Self { sent: Arc::default(), audience: Audience::Everyone }
    }
}

/// Each upstream has one `Sent`.
impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sent, &other.sent) && self.audience == other.audience
    }
}

impl Eq for Known {}

impl Sent {
    /// Adds these.
    pub fn learn(&self, learnt: impl IntoIterator<Item = Learnt>) {
        let mut state = self.0.lock();
        for one in learnt {
            let storer = one.stored_by.clone();
            if state.add(one) {
                state.bound(&storer);
            }
        }
    }

    /// Whether the values of all these versions, which the store lists, are known.
    pub fn has_stored(&self, versions: &SecretVersions) -> bool {
        let state = self.0.lock();
        state.stored.as_ref().is_some_and(|stored| Arc::ptr_eq(stored, versions) || stored == versions)
    }

    /// The versions among these that are not known.
    pub fn unknown(&self, versions: &SecretVersions) -> Vec<SecretVersion> {
        let state = self.0.lock();
        let known: HashSet<&SecretVersion> = state.values.iter().flat_map(|value| &value.versions).collect();
        versions.iter().filter(|version| !known.contains(version)).cloned().collect()
    }

    /// Adds these, after which all versions that the store lists are known. Versions that it no longer lists are evicted in time.
    pub fn learn_stored(&self, learnt: impl IntoIterator<Item = Learnt>, versions: SecretVersions) {
        let mut state = self.0.lock();
        for one in learnt {
            state.add(one);
        }
        let named: HashSet<&SecretVersion> = versions.iter().collect();
        for value in &mut state.values {
            // One version stays, by which the value is recognised if the store lists it again.
            if value.versions.len() > 1 {
                let last = value.versions.pop();
                value.versions.retain(|version| named.contains(version));
                value.versions.extend(last);
            }
        }
        state.stored = Some(versions);
        let storers: HashSet<String> = state.values.iter().map(|value| value.stored_by.clone()).collect();
        for storer in storers {
            state.bound(&storer);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.lock().values.is_empty()
    }

    /// The automaton of a layer; `None` if it has no values. One thread builds it from the values at its start; other threads that
    /// need it wait for the result.
    fn part(&self, layer: &Layer) -> Result<Option<Arc<Part>>> {
        let building = {
            let mut state = self.0.lock();
            if !state.values.iter().any(|value| layer.holds(value)) {
                if let Some(built) = state.built.get_mut(layer) {
                    built.part = None;
                }
                return Ok(None);
            }
            let built = state.built.entry(layer.clone()).or_default();
            if let Some(part) = built.right() {
                return Ok(Some(part));
            }
            Arc::clone(&built.building)
        };
        let _one = building.lock();
        let (wanted, secrets) = {
            let mut state = self.0.lock();
            let built = state.built.entry(layer.clone()).or_default();
            if let Some(part) = built.right() {
                return Ok(Some(part));
            }
            let wanted = built.wanted;
            let of_layer = state.values.iter().filter(|value| layer.holds(value));
            (wanted, of_layer.map(|value| value.secret.clone()).collect::<Vec<_>>())
        };
        // Only the agent itself sees the name that it chose.
        let part = Arc::new(Part::new(&secrets, matches!(layer, Layer::Operators | Layer::Agent(_)))?);
        self.0.lock().built.entry(layer.clone()).or_default().part = Some((wanted, Arc::clone(&part)));
        Ok(Some(part))
    }

    /// Whether everything for this audience is built.
    fn is_built(&self, audience: &Audience) -> bool {
        let state = self.0.lock();
        audience.layers().iter().all(|layer| {
            state.built.get(layer).is_some_and(|built| built.right().is_some())
                || !state.values.iter().any(|value| layer.holds(value))
        })
    }
}

impl Built {
    fn right(&self) -> Option<Arc<Part>> {
        self.part.as_ref().filter(|(of, _)| *of == self.wanted).map(|(_, part)| Arc::clone(part))
    }
}

impl Audience {
    fn layers(&self) -> Vec<Layer> {
        match self {
            Self::Everyone => vec![Layer::Operators, Layer::Tokens],
            Self::Agent(principal) => vec![Layer::Operators, Layer::Agent(principal.clone()), Layer::Tokens],
            Self::Definitions => vec![Layer::Operators],
            Self::Log => vec![Layer::Operators, Layer::Agents],
        }
    }
}

impl Known {
    /// Of an upstream, for one audience.
    pub fn new(sent: Arc<Sent>, audience: Audience) -> Self {
        Self { sent, audience }
    }

    /// The same for another audience.
    #[must_use]
    pub fn to(&self, audience: Audience) -> Self {
        Self { sent: Arc::clone(&self.sent), audience }
    }

    /// The redactor; `None` if there are no values. After an error nothing may be forwarded.
    pub fn redactor(&self) -> Result<Option<Redactor>> {
        let mut parts = Vec::new();
        for layer in self.audience.layers() {
            parts.extend(self.sent.part(&layer)?);
        }
        Ok((!parts.is_empty()).then(|| Redactor::of(parts)))
    }

    /// The same; a missing automaton is built away from the worker threads.
    pub async fn redactor_aside(&self) -> Result<Option<Redactor>> {
        if !self.sent.is_built(&self.audience) {
            let known = self.clone();
            // The result is read below.
            drop(aside(usize::MAX, move || known.redactor()).await);
        }
        self.redactor()
    }

    /// Redacts JSON text.
    pub async fn json(&self, answer: Box<RawValue>) -> Box<RawValue> {
        self.answer(answer, Carry::default()).await
    }

    /// As [`Self::json`], for a response that follows notifications.
    pub async fn answer(&self, answer: Box<RawValue>, before: Carry) -> Box<RawValue> {
        match self.redactor_aside().await {
            Ok(None) => answer,
            Ok(Some(redactor)) => {
                let clean = aside(answer.get().len(), move || redactor.answer(answer, &before));
                clean.await.unwrap_or_else(nothing)
            }
            Err(_) => nothing(),
        }
    }

    /// Redacts the parameters of a notification that follows others.
    pub fn told(&self, params: Box<RawValue>, kind: Told, before: &mut Carry) -> Box<RawValue> {
        match self.redactor() {
            Ok(None) => params,
            Ok(Some(redactor)) => redactor.told(params, kind, before),
            Err(_) => nothing(),
        }
    }

    /// Redacts a short text, such as a message for users.
    pub fn text(&self, text: &str) -> String {
        match self.redactor() {
            Ok(None) => text.to_owned(),
            Ok(Some(redactor)) => redactor.text(text).into_owned(),
            Err(_) => super::NOTHING.to_owned(),
        }
    }
}

/// Whether no text contains this by chance: it is long, one word, of many different characters, with letters and digits.
fn is_token(value: &str) -> bool {
    let value = value.trim();
    let count = |is: fn(&u8) -> bool| value.bytes().filter(is).count();
    let different: HashSet<u8> = value.bytes().collect();
    value.len() >= MIN_TOKEN_CHARS
        && value.bytes().all(|byte| byte.is_ascii_graphic())
        && different.len() >= MIN_TOKEN_VARIETY.0
        && count(u8::is_ascii_alphabetic) >= MIN_TOKEN_VARIETY.1
        && count(u8::is_ascii_digit) >= MIN_TOKEN_VARIETY.2
}

/// The secrets that each upstream can have received.
#[derive(Default)]
pub struct KnownSecrets(Mutex<HashMap<(TenantId, UpstreamName), Arc<Sent>>>);

impl KnownSecrets {
    /// Of this upstream.
    pub fn of(&self, tenant: &TenantId, upstream: &UpstreamName) -> Arc<Sent> {
        let mut all = self.0.lock();
        let key = (tenant.clone(), upstream.clone());
        if let Some(known) = all.get(&key) {
            return Arc::clone(known);
        }
        if all.len() >= MAX_UPSTREAMS {
            all.retain(|_, known| Arc::strong_count(known) > 1 || !known.is_empty());
        }
        Arc::clone(all.entry(key).or_default())
    }
}
