//! Whose protocol sessions of upstreams are whose: one answers only the key that began it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue};

use crate::{
    error::{Code, Error, Result},
    faces::{
        http::mcp_sessions::{Owner, SESSION_ID, owner},
        relay::{hub::Hub, passing::Open},
    },
    model::Credential,
};

/// Sessions at a time, and of one key.
const MAX_SESSIONS: usize = 4_096;
const MAX_SESSIONS_OF_KEY: usize = 1_024;
/// Sessions with a child of their own, and of one key.
const MAX_CHILDREN: usize = 128;
const MAX_CHILDREN_OF_KEY: usize = 32;
/// A session that was not used for so long is forgotten.
const IDLE: Duration = Duration::from_secs(3_600);

type Name = (String, HeaderValue);

struct Session {
    owner: Owner,
    used: Instant,
    open: Open,
    /// The child that serves it, where the upstream is one.
    hub: Option<Arc<Hub>>,
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
        Self::make_room(&mut sessions, &owner, now)?;
        let name = (upstream.to_owned(), id.clone());
        if sessions.get(&name).is_some_and(|session| session.owner != owner) {
            return Err(Error::new(Code::Unavailable, "the upstream gave a session that is somebody else's"));
        }
        let open = Open::default();
        sessions.insert(name, Session { owner, used: now, open: open.clone(), hub: None });
        Ok(open)
    }

    /// A session with a child of its own, which `start` starts if there is room.
    pub fn begin_child(
        &self,
        upstream: &str,
        id: &HeaderValue,
        credential: &Credential,
        start: impl FnOnce() -> Result<Arc<Hub>>,
    ) -> Result<Arc<Hub>> {
        let (owner, now) = (owner(credential), Instant::now());
        let mut sessions = self.sessions();
        Self::make_room(&mut sessions, &owner, now)?;
        let children = sessions.values().filter(|session| session.hub.is_some());
        let (all, own) =
            children.fold((0, 0), |(all, own), session| (all + 1, own + usize::from(session.owner == owner)));
        if all >= MAX_CHILDREN || own >= MAX_CHILDREN_OF_KEY {
            let message = format!("{all} child processes serve sessions already, {own} of them of this key; try again");
            return Err(Error::new(Code::Unavailable, message));
        }
        let hub = start()?;
        let session = Session { owner, used: now, open: Open::default(), hub: Some(Arc::clone(&hub)) };
        sessions.insert((upstream.to_owned(), id.clone()), session);
        Ok(hub)
    }

    /// The child of the session that these headers name, if it is this caller's.
    pub fn hub(&self, upstream: &str, headers: &HeaderMap, credential: &Credential) -> Option<Arc<Hub>> {
        let id = headers.get(SESSION_ID)?;
        let mut sessions = self.sessions();
        let session = sessions.get_mut(&(upstream.to_owned(), id.clone()))?;
        session.used = Instant::now();
        session.hub.clone().filter(|_| session.owner == owner(credential))
    }

    fn make_room(sessions: &mut HashMap<Name, Session>, owner: &Owner, now: Instant) -> Result<()> {
        let has_ended = |session: &Session| session.hub.as_ref().is_some_and(|hub| hub.has_ended());
        sessions.retain(|_, session| {
            let stays = now.duration_since(session.used) < IDLE && !has_ended(session);
            if let (false, Some(hub)) = (stays, &session.hub) {
                hub.end();
            }
            stays
        });
        let own = sessions.values().filter(|session| session.owner == *owner).count();
        if sessions.len() >= MAX_SESSIONS || own >= MAX_SESSIONS_OF_KEY {
            let message = format!(
                "{} sessions of upstreams are open already, {own} of them of this key; try again",
                sessions.len()
            );
            return Err(Error::new(Code::Unavailable, message));
        }
        Ok(())
    }

    /// The session has ended.
    pub fn end(&self, upstream: &str, id: &HeaderValue) {
        let ended = self.sessions().remove(&(upstream.to_owned(), id.clone()));
        // Somebody may still listen to it.
        if let Some(hub) = ended.and_then(|session| session.hub) {
            hub.end();
        }
    }
}
