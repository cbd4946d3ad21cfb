//! Calls of upstreams that are under way: this process vouches for them for as long as they last.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{OutwardContext, Services};
use crate::model::InFlightCall;

/// How long a process vouches for a call before it has to say so again.
pub const LEASE_SECONDS: i64 = 6;
/// How often it does, and for how long a new call needs no more than its beginning has said.
const RENEW: Duration = Duration::from_secs(2);
const NEW: Duration = Duration::from_secs(1);

/// Those that are under way. One task vouches for all of them, while there are any.
#[derive(Default)]
pub struct CallsUnderWay {
    // A std mutex: it is held to put one in or take one out.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: HashMap<u64, (OutwardContext, Arc<InFlightCall>, Instant)>,
    last: u64,
    is_kept: bool,
}

/// A call is vouched for until this is dropped.
pub struct Vouched {
    services: Arc<Services>,
    number: u64,
}

impl CallsUnderWay {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Vouches for a call that begins now.
    pub fn add(cx: &OutwardContext, call: &Arc<InFlightCall>) -> Vouched {
        let services = Arc::clone(&cx.services);
        let mut state = services.calls_under_way.state();
        state.last += 1;
        let number = state.last;
        state.calls.insert(number, (cx.clone(), Arc::clone(call), Instant::now()));
        if !state.is_kept
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            state.is_kept = true;
            runtime.spawn(keep(Arc::clone(&services)));
        }
        drop(state);
        Vouched { services, number }
    }

    /// Whether this process vouches for a call.
    pub fn holds(&self, id: &str) -> bool {
        self.state().calls.values().any(|(_, call, _)| call.id == id)
    }

    /// Those that have lasted for a while; `None` if there are none at all, and nobody keeps any from then on.
    fn due(&self) -> Option<Vec<(OutwardContext, Arc<InFlightCall>)>> {
        let mut state = self.state();
        state.is_kept = !state.calls.is_empty();
        let due = state.calls.values().filter(|(_, _, since)| since.elapsed() >= NEW);
        state.is_kept.then(|| due.map(|(cx, call, _)| (cx.clone(), Arc::clone(call))).collect())
    }
}

impl Drop for Vouched {
    fn drop(&mut self) {
        self.services.calls_under_way.state().calls.remove(&self.number);
    }
}

/// Whoever keeps them. If that ends before there are none, the next call begins anew.
struct Keeper {
    services: Arc<Services>,
    is_done: bool,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if !self.is_done {
            self.services.calls_under_way.state().is_kept = false;
        }
    }
}

async fn keep(services: Arc<Services>) {
    let mut keeper = Keeper { services, is_done: false };
    loop {
        tokio::time::sleep(RENEW).await;
        let Some(due) = keeper.services.calls_under_way.due() else {
            keeper.is_done = true;
            return;
        };
        futures::future::join_all(due.into_iter().map(|(cx, call)| renew(cx, call))).await;
    }
}

async fn renew(cx: OutwardContext, call: Arc<InFlightCall>) {
    let renewed = cx.write(move |cx| {
        Ok(cx.tx.renew_call(&cx.caller.tenant.clone(), &call.id, cx.now.plus_seconds(LEASE_SECONDS))?)
    });
    if let Err(error) = renewed.await {
        tracing::warn!(%error, "a call under way could not be vouched for");
    }
}
