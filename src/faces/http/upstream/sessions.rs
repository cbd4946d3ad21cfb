//! Whose protocol sessions of upstreams are whose: one answers only the key that began it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue};

use crate::{
    error::{Code, Error, Result},
    faces::{
        http::mcp_sessions::{Owner, SESSION_ID, owner},
        relay::passing::Open,
    },
    model::Credential,
};

/// Sessions at a time, and of one key.
const MAX_SESSIONS: usize = 4_096;
const MAX_SESSIONS_OF_KEY: usize = 1_024;
/// A session that was not used for so long is forgotten.
const IDLE: Duration = Duration::from_secs(3_600);

type Name = (String, HeaderValue);

struct Session {
    owner: Owner,
    used: Instant,
    open: Open,
}

/// The sessions that upstreams began in this process, by upstream and id.
#[derive(Default)]
pub struct UpstreamSessions(Mutex<HashMap<Name, Session>>);

impl UpstreamSessions {
    fn sessions(&self) -> MutexGuard<'_, HashMap<Name, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the session that these headers name has open; `None` if it is not this caller's. A request without one
    /// stands for itself.
    pub fn admit(&self, upstream: &str, headers: &HeaderMap, credential: &Credential) -> Option<Open> {
        let Some(id) = headers.get(SESSION_ID) else { return Some(Open::default()) };
        let mut sessions = self.sessions();
        let session = sessions.get_mut(&(upstream.to_owned(), id.clone()))?;
        if session.owner != owner(credential) {
            return None;
        }
        session.used = Instant::now();
        Some(session.open.clone())
    }

    /// A session that the upstream began for this caller.
    pub fn begin(&self, upstream: &str, id: &HeaderValue, credential: &Credential) -> Result<Open> {
        let (owner, now) = (owner(credential), Instant::now());
        let mut sessions = self.sessions();
        sessions.retain(|_, session| now.duration_since(session.used) < IDLE);
        let own = sessions.values().filter(|session| session.owner == owner).count();
        if sessions.len() >= MAX_SESSIONS || own >= MAX_SESSIONS_OF_KEY {
            let message = format!(
                "{} sessions of upstreams are open already, {own} of them of this key; try again",
                sessions.len()
            );
            return Err(Error::new(Code::Unavailable, message));
        }
        let name = (upstream.to_owned(), id.clone());
        if sessions.get(&name).is_some_and(|session| session.owner != owner) {
            return Err(Error::new(Code::Unavailable, "the upstream gave a session that is somebody else's"));
        }
        let open = Open::default();
        sessions.insert(name, Session { owner, used: now, open: open.clone() });
        Ok(open)
    }

    /// The session has ended.
    pub fn end(&self, upstream: &str, id: &HeaderValue) {
        self.sessions().remove(&(upstream.to_owned(), id.clone()));
    }
}
