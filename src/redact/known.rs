//! Which secrets each upstream can have received, and out of whose answers they are cut. What it was given in one call it can
//! answer in any other, whichever client makes that, so that everything from an upstream is searched for all values of operators.
//!
//! A value that an agent stored is whatever the agent likes: cut out of everything, `not_approved` would change what others
//! read, and a sentence of a tool's description would put the tool into quarantine. So it is cut out of answers to the agent
//! itself; out of those to others only if a text would hold it by chance in no case ([`is_token`]), and without the name
//! that the agent chose; and never out of definitions of tools.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::value::RawValue;

use super::{Carry, Part, Redactor, Secret, Told, aside, nothing};
use crate::{
    error::Result,
    model::{SecretVersion, SecretVersions, TenantId, UpstreamName},
};

/// Values of one agent's key that the store has not named yet, or names no more; the one that was learnt first makes way.
const MAX_UNNAMED_OF_AGENT: usize = 64;
/// The same of operators.
const MAX_UNNAMED_OF_OPERATORS: usize = 1_024;
/// Upstreams that are known; those without secrets make way.
const MAX_UPSTREAMS: usize = 16_384;
/// Characters of a value of an agent that others' answers are searched for, at least.
const MIN_TOKEN_CHARS: usize = 16;
/// Different characters in it, letters, and digits, at least.
const MIN_TOKEN_VARIETY: (usize, usize, usize) = (10, 3, 2);

/// For whom something of an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Operators, and the processes of this machine.
    Everyone,
    /// An agent, by its principal.
    Agent(String),
    /// The definitions of tools, which are the same for all.
    Definitions,
    /// The log of a child: it holds no secret of anybody.
    Log,
}

/// A value as it was learnt.
pub struct Learnt {
    /// The secret and its value.
    pub secret: Secret,
    /// Which version of it this is.
    pub version: SecretVersion,
    /// Which agent stored it; empty for an operator.
    pub stored_by: String,
}

/// Values that one automaton finds. Each is built anew only if one of its own values has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Layer {
    Operators,
    /// All of one agent.
    Agent(String),
    /// Those of all agents that are cut out of everybody's answers.
    Tokens,
    /// All of all agents.
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

/// One automaton, and whether it is still right.
#[derive(Default)]
struct Built {
    /// Goes up with each change of its values.
    wanted: u64,
    /// What was built, and for which of these.
    part: Option<(u64, Arc<Part>)>,
    /// Held by who builds: others that need it wait, and take what was built.
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
    /// The values that this one is among have changed.
    fn changed(&mut self, value: &Value) {
        for (layer, built) in &mut self.built {
            if layer.holds(value) {
                built.wanted += 1;
            }
        }
    }

    /// Whether it was not known.
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

    /// Forgets the oldest values of this storer that the store does not name, but for so many.
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

/// The secrets that one upstream can have received: those that it may be sent by the store, those that it could be sent
/// before, and whatever this process has sent to it.
#[derive(Default)]
pub struct Sent(Mutex<State>);

/// The same, as they are cut out for one caller.
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

/// Of one upstream there is one.
impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sent, &other.sent) && self.audience == other.audience
    }
}

impl Eq for Known {}

impl Sent {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for these as well from now on.
    pub fn learn(&self, learnt: impl IntoIterator<Item = Learnt>) {
        let mut state = self.state();
        for one in learnt {
            let storer = one.stored_by.clone();
            if state.add(one) {
                state.bound(&storer);
            }
        }
    }

    /// Whether the values are known that the store names for the upstream.
    pub fn has_stored(&self, versions: &SecretVersions) -> bool {
        let state = self.state();
        state.stored.as_ref().is_some_and(|stored| Arc::ptr_eq(stored, versions) || stored == versions)
    }

    /// Which of these are not known.
    pub fn unknown(&self, versions: &SecretVersions) -> Vec<SecretVersion> {
        let state = self.state();
        let known: HashSet<&SecretVersion> = state.values.iter().flat_map(|value| &value.versions).collect();
        versions.iter().filter(|version| !known.contains(version)).cloned().collect()
    }

    /// Looks for these as well from now on: now all are known that the store names. What it named before, and names no more,
    /// makes way in time.
    pub fn learn_stored(&self, learnt: impl IntoIterator<Item = Learnt>, versions: SecretVersions) {
        let mut state = self.state();
        for one in learnt {
            state.add(one);
        }
        let named: HashSet<&SecretVersion> = versions.iter().collect();
        for value in &mut state.values {
            // One stays, by which the value is known if the store names it again.
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
        self.state().values.is_empty()
    }

    /// What finds the values of a layer; `None` if it has none. One thread builds it, from what is known when it begins; those
    /// that need it meanwhile wait for that.
    fn part(&self, layer: &Layer) -> Result<Option<Arc<Part>>> {
        let building = {
            let mut state = self.state();
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
        let _one = building.lock().unwrap_or_else(PoisonError::into_inner);
        let (wanted, secrets) = {
            let mut state = self.state();
            let built = state.built.entry(layer.clone()).or_default();
            if let Some(part) = built.right() {
                return Ok(Some(part));
            }
            let wanted = built.wanted;
            let of_layer = state.values.iter().filter(|value| layer.holds(value));
            (wanted, of_layer.map(|value| value.secret.clone()).collect::<Vec<_>>())
        };
        // The name that an agent chose is for itself.
        let part = Arc::new(Part::new(&secrets, matches!(layer, Layer::Operators | Layer::Agent(_)))?);
        self.state().built.entry(layer.clone()).or_default().part = Some((wanted, Arc::clone(&part)));
        Ok(Some(part))
    }

    /// Whether everything for this audience is built.
    fn is_built(&self, audience: &Audience) -> bool {
        let state = self.state();
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
    /// Of an upstream, for one caller.
    pub fn new(sent: Arc<Sent>, audience: Audience) -> Self {
        Self { sent, audience }
    }

    /// The same for another caller.
    #[must_use]
    pub fn to(&self, audience: Audience) -> Self {
        Self { sent: Arc::clone(&self.sent), audience }
    }

    /// Cuts all of them out; `None` if there are none. An error means that nothing can be passed on.
    pub fn redactor(&self) -> Result<Option<Redactor>> {
        let mut parts = Vec::new();
        for layer in self.audience.layers() {
            parts.extend(self.sent.part(&layer)?);
        }
        Ok((!parts.is_empty()).then(|| Redactor::of(parts)))
    }

    /// The same; what has to be built is, off the threads that serve connections.
    pub async fn redactor_aside(&self) -> Result<Option<Redactor>> {
        if !self.sent.is_built(&self.audience) {
            let known = self.clone();
            // What it comes to is asked below.
            drop(aside(usize::MAX, move || known.redactor()).await);
        }
        self.redactor()
    }

    /// The JSON text without the values.
    pub async fn json(&self, answer: Box<RawValue>) -> Box<RawValue> {
        self.answer(answer, Carry::default()).await
    }

    /// As [`Self::json`], for the answer to a request while which something was told.
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

    /// The parameters of a notification that follows others, without the values.
    pub fn told(&self, params: Box<RawValue>, kind: Told, before: &mut Carry) -> Box<RawValue> {
        match self.redactor() {
            Ok(None) => params,
            Ok(Some(redactor)) => redactor.told(params, kind, before),
            Err(_) => nothing(),
        }
    }

    /// The text without the values: one that is short, such as a message for people.
    pub fn text(&self, text: &str) -> String {
        match self.redactor() {
            Ok(None) => text.to_owned(),
            Ok(Some(redactor)) => redactor.text(text).into_owned(),
            Err(_) => super::NOTHING.to_owned(),
        }
    }
}

/// Whether a text holds this only where it names the secret: long, one word, of many different characters, with
/// letters and digits.
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

/// What each upstream can have received.
#[derive(Default)]
pub struct KnownSecrets(Mutex<HashMap<(TenantId, UpstreamName), Arc<Sent>>>);

impl KnownSecrets {
    /// Of this upstream.
    pub fn of(&self, tenant: &TenantId, upstream: &UpstreamName) -> Arc<Sent> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
