//! File descriptors: what bounds the connections of this process, and so the streams that clients hold open.

use std::sync::Arc;

use super::App;
use crate::{
    error::{Code, Error, Result},
    model::Credential,
    operations::quota::{Quota, QuotaGuard, QuotaLimits},
};

/// Connections at a time, where the system allows them.
const MAX_CONNECTIONS: u64 = 8_192;
/// Fewer would serve nobody.
const MIN_CONNECTIONS: u64 = 16;
/// Descriptors for everything else: the store and its readers, pipes of children, webhooks, the log.
const RESERVED: u64 = 128;
/// Descriptors that one connection may need: its own, and one to an upstream.
const FOR_EACH: u64 = 2;

/// Raises the limit of open files as far as the system allows, and answers how many connections there may be at a time.
pub fn connections() -> usize {
    let limit = raised_limit();
    let connections = (limit.saturating_sub(RESERVED) / FOR_EACH).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS);
    if connections < MAX_CONNECTIONS {
        tracing::info!(limit, connections, "the limit of open files bounds the connections");
    }
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(unix)]
fn raised_limit() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let wanted = RESERVED + FOR_EACH * MAX_CONNECTIONS;
    let mut limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return wanted };
    let raised = limit.maximum.map_or(wanted, |most| most.min(wanted));
    if raised > current {
        limit.current = Some(raised);
        match setrlimit(Resource::Nofile, limit) {
            Ok(()) => return raised,
            Err(error) => tracing::warn!(%error, current, "the limit of open files could not be raised"),
        }
    }
    current
}

#[cfg(not(unix))]
fn raised_limit() -> u64 {
    RESERVED + FOR_EACH * MAX_CONNECTIONS
}

/// The streams that clients hold open. They last for hours, so they leave room for connections that come and go, and
/// those of one tenant or key leave room for the others'.
pub struct Listeners {
    places: Arc<Quota>,
    bounds: QuotaLimits,
}

impl Listeners {
    /// For a process with so many connections at a time.
    pub fn new(connections: usize) -> Self {
        let bounds =
            QuotaLimits { all: connections / 2, per_tenant: connections / 4, per_caller: (connections / 8).max(1) };
        Self { places: Quota::new(bounds), bounds }
    }

    /// Refuses a caller who may not hold one more stream open.
    pub fn require_room(&self, app: &App, credential: &Credential) -> Result<()> {
        if self.places.has_room(&app.shared.haldir.caller_of(credential)?) {
            return Ok(());
        }
        let QuotaLimits { all, per_tenant, per_caller } = self.bounds;
        let message = format!(
            "too many streams are held open already: {per_caller} of one caller, {per_tenant} of a tenant or {all} \
             together; close some, or try again later"
        );
        Err(Error::new(Code::Unavailable, message))
    }

    /// A place for as long as a stream lasts; `None` if there is none.
    pub fn take(&self, app: &App, credential: &Credential) -> Option<QuotaGuard> {
        self.places.take(&app.shared.haldir.caller_of(credential).ok()?)
    }
}
