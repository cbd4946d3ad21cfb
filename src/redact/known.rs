//! Which secrets each upstream can have received. What it was given in one call it can answer in any other, whoever
//! makes that, so that everything from an upstream is searched for all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::value::RawValue;

use super::{Carry, Redactor, Secret, aside, nothing};
use crate::{
    error::Result,
    model::{SecretName, TenantId, UnixMicros, UpstreamName},
};

/// Values of one upstream that are known at a time; the one that was learnt first makes way.
const MAX_VALUES: usize = 1_024;
/// Upstreams that are known; those without secrets make way.
const MAX_UPSTREAMS: usize = 16_384;

/// A stored secret as it was at some time: its name, its version, and when that was stored.
pub type Version = (SecretName, i64, UnixMicros);

/// The secrets that one upstream can have received: those that it may be sent by the store, and whatever this process has
/// sent to it.
#[derive(Default)]
pub struct Known(Mutex<State>);

#[derive(Default)]
struct State {
    values: Vec<Secret>,
    /// The stored secrets that are among them.
    stored: Option<Arc<[Version]>>,
    redactor: Option<Arc<Redactor>>,
}

/// Of one upstream there is one.
impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Known {}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for these as well from now on.
    pub fn learn(&self, secrets: impl IntoIterator<Item = Secret>) {
        let mut state = self.state();
        for secret in secrets {
            let is_it = |known: &Secret| known.name == secret.name && *known.value == *secret.value;
            if secret.value.is_empty() || state.values.iter().any(is_it) {
                continue;
            }
            if state.values.len() >= MAX_VALUES {
                state.values.remove(0);
            }
            state.values.push(secret);
            state.redactor = None;
        }
    }

    /// Whether the secrets are known that the store holds for the upstream in these versions.
    pub fn has_stored(&self, versions: &Arc<[Version]>) -> bool {
        let state = self.state();
        state.stored.as_ref().is_some_and(|stored| Arc::ptr_eq(stored, versions) || stored == versions)
    }

    /// Says that they are.
    pub fn note_stored(&self, versions: Arc<[Version]>) {
        self.state().stored = Some(versions);
    }

    /// Cuts all of them out; `None` if there are none. An error means that nothing can be passed on.
    pub fn redactor(&self) -> Result<Option<Arc<Redactor>>> {
        let mut state = self.state();
        if state.values.is_empty() {
            return Ok(None);
        }
        if let Some(redactor) = &state.redactor {
            return Ok(Some(Arc::clone(redactor)));
        }
        let redactor = Arc::new(Redactor::new(&state.values)?);
        state.redactor = Some(Arc::clone(&redactor));
        Ok(Some(redactor))
    }

    /// The JSON text without the values.
    pub async fn json(&self, answer: Box<RawValue>) -> Box<RawValue> {
        match self.redactor() {
            Ok(None) => answer,
            Ok(Some(redactor)) => {
                let clean = aside(answer.get().len(), move || redactor.json(answer));
                clean.await.unwrap_or_else(nothing)
            }
            Err(_) => nothing(),
        }
    }

    /// The parameters of a notification that follows others of its kind, without the values.
    pub fn told(&self, params: Box<RawValue>, before: &mut Carry) -> Box<RawValue> {
        match self.redactor() {
            Ok(None) => params,
            Ok(Some(redactor)) => redactor.told(params, before),
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

/// What each upstream can have received.
#[derive(Default)]
pub struct KnownSecrets(Mutex<HashMap<(TenantId, UpstreamName), Arc<Known>>>);

impl KnownSecrets {
    /// Of this upstream.
    pub fn of(&self, tenant: &TenantId, upstream: &UpstreamName) -> Arc<Known> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), upstream.clone());
        if let Some(known) = all.get(&key) {
            return Arc::clone(known);
        }
        if all.len() >= MAX_UPSTREAMS {
            all.retain(|_, known| Arc::strong_count(known) > 1 || !known.state().values.is_empty());
        }
        Arc::clone(all.entry(key).or_default())
    }
}
