//! In-flight calls of upstreams. This process renews a lease on each of them in the store; a call whose lease has expired
//! belongs to a process that ended.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{OutwardContext, Services};
use crate::model::InFlightCall;

/// How long a lease lasts.
pub const LEASE_SECONDS: i64 = 6;
/// How often leases are renewed, and the age below which a call needs no renewal.
const RENEW: Duration = Duration::from_secs(2);
const NEW: Duration = Duration::from_secs(1);

/// The in-flight calls of this process. One task renews their leases while there are any.
#[derive(Default)]
pub struct InFlightCalls {
    // A mutex that blocks its thread: it is held only to insert or remove a call.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: HashMap<u64, (OutwardContext, Arc<InFlightCall>, Instant)>,
    last: u64,
    is_renewed: bool,
}

/// The lease of a call, renewed until this is dropped.
pub struct Lease {
    services: Arc<Services>,
    number: u64,
}

impl InFlightCalls {
    /// Takes the lease of a call that begins now.
    pub fn add(cx: &OutwardContext, call: &Arc<InFlightCall>) -> Lease {
        let services = Arc::clone(&cx.services);
        let mut state = services.in_flight.state.lock();
        state.last += 1;
        let number = state.last;
        state.calls.insert(number, (cx.clone(), Arc::clone(call), Instant::now()));
        if !state.is_renewed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            state.is_renewed = true;
            runtime.spawn(renew_all(Arc::clone(&services)));
        }
        drop(state);
        Lease { services, number }
    }

    /// Whether a call is in flight in this process.
    pub fn holds(&self, id: &str) -> bool {
        self.state.lock().calls.values().any(|(_, call, _)| call.id == id)
    }

    /// The calls whose leases to renew; `None` if no call is in flight, which ends the task.
    fn due(&self) -> Option<Vec<(OutwardContext, Arc<InFlightCall>)>> {
        let mut state = self.state.lock();
        state.is_renewed = !state.calls.is_empty();
        let due = state.calls.values().filter(|(_, _, since)| since.elapsed() >= NEW);
        state.is_renewed.then(|| due.map(|(cx, call, _)| (cx.clone(), Arc::clone(call))).collect())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.services.in_flight.state.lock().calls.remove(&self.number);
    }
}

/// The task that renews leases. If its runtime ends while calls are in flight, the next call starts another one.
struct Renewal {
    services: Arc<Services>,
    is_done: bool,
}

impl Drop for Renewal {
    fn drop(&mut self) {
        if !self.is_done {
            self.services.in_flight.state.lock().is_renewed = false;
        }
    }
}

async fn renew_all(services: Arc<Services>) {
    let mut renewal = Renewal { services, is_done: false };
    loop {
        tokio::time::sleep(RENEW).await;
        let Some(due) = renewal.services.in_flight.due() else {
            renewal.is_done = true;
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
        tracing::warn!(%error, "the lease of an in-flight call could not be renewed");
    }
}
