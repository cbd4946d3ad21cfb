//! The owners of protocol sessions of upstreams: a session answers only the key that began it.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;

use crate::{
    error::{Code, Error, Result},
    interfaces::http::mcp_sessions::{Owner, owner},
    model::{Credential, TenantId},
    protocol::header::SESSION_ID,
    relay::{forwarding::SessionState, multiplexer::Multiplexer},
    upstream::Target,
};

/// Sessions at a time, of one tenant, and of one key.
const MAX_SESSIONS: usize = 4_096;
const MAX_SESSIONS_OF_TENANT: usize = 2_048;
const MAX_SESSIONS_OF_KEY: usize = 1_024;
/// Sessions with a child of their own, of one tenant, and of one key.
const MAX_CHILDREN: usize = 128;
const MAX_CHILDREN_OF_TENANT: usize = 96;
const MAX_CHILDREN_OF_KEY: usize = 32;
/// A session that was not used for so long is forgotten.
const IDLE: Duration = Duration::from_secs(3_600);
/// One with a child makes way for another of its key once it was left alone for so long: clients that never end their
/// sessions would lock themselves out.
const LEFT_ALONE: Duration = Duration::from_secs(10);

type Name = (String, HeaderValue);

struct Session {
    owner: Owner,
    tenant: TenantId,
    used: Instant,
    open: Arc<SessionState>,
    /// The child that serves it, where the upstream is one.
    child: Option<Arc<Child>>,
}

impl Session {
    fn multiplexer(&self) -> Option<&Arc<Multiplexer>> {
        self.child.as_ref()?.multiplexer.get()
    }

    /// Whether its child was begun for another registration, or with other secrets, than are there now.
    fn is_outdated(&self, target: &Target) -> bool {
        self.child.as_ref().is_some_and(|child| child.target != *target)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A client may still listen to its child, or wait for an answer.
        if let Some(multiplexer) = self.multiplexer() {
            multiplexer.end();
        }
    }
}

/// The place of a child. It is taken before the child is started; only requests for this child wait for the start.
struct Child {
    target: Target,
    multiplexer: OnceLock<Arc<Multiplexer>>,
    starting: Mutex<()>,
}

/// The sessions that upstreams began in this process, by upstream and id.
#[derive(Default)]
pub struct UpstreamSessions(Mutex<HashMap<Name, Session>>);

impl UpstreamSessions {
    /// What the session that these headers name has open; `None` if it is not this caller's. A request without one
    /// stands for itself.
    pub fn admit(&self, upstream: &str, headers: &HeaderMap, credential: &Credential) -> Option<Arc<SessionState>> {
        let Some(id) = headers.get(SESSION_ID) else { return Some(Arc::default()) };
        let mut sessions = self.0.lock();
        let session = sessions.get_mut(&(upstream.to_owned(), id.clone()))?;
        if session.owner != owner(credential) {
            return None;
        }
        session.used = Instant::now();
        Some(Arc::clone(&session.open))
    }

    /// A session that the upstream began for this caller.
    pub fn begin(
        &self,
        upstream: &str,
        id: &HeaderValue,
        (credential, tenant): (&Credential, &TenantId),
    ) -> Result<Arc<SessionState>> {
        let (owner, now) = (owner(credential), Instant::now());
        let mut sessions = self.0.lock();
        Self::make_room(&mut sessions, &owner, tenant, now)?;
        let name = (upstream.to_owned(), id.clone());
        let known = sessions.get(&name);
        if known.is_some_and(|session| session.owner != owner) {
            return Err(Error::new(Code::Unavailable, "the upstream gave a session that is somebody else's"));
        }
        // An upstream that gives one a second time still has the secrets that it was sent there.
        let open = known.map_or_else(Arc::default, |session| Arc::clone(&session.open));
        sessions
            .insert(name, Session { owner, tenant: tenant.clone(), used: now, open: Arc::clone(&open), child: None });
        Ok(open)
    }

    /// A session with a child of its own, which `start` starts if there is room. A request for the same one meanwhile
    /// gets that.
    pub fn begin_child(
        &self,
        upstream: &str,
        id: &HeaderValue,
        (credential, target): (&Credential, &Target),
        start: impl FnOnce() -> Result<Arc<Multiplexer>>,
    ) -> Result<Arc<Multiplexer>> {
        let name = (upstream.to_owned(), id.clone());
        let child = self.place(&name, credential, target)?;
        let starting = child.starting.lock();
        if let Some(multiplexer) = child.multiplexer.get() {
            return Ok(Arc::clone(multiplexer));
        }
        let started = start().map(|multiplexer| Arc::clone(child.multiplexer.get_or_init(|| multiplexer)));
        drop(starting);
        let mut sessions = self.0.lock();
        let is_there = sessions
            .get(&name)
            .is_some_and(|session| session.child.as_ref().is_some_and(|known| Arc::ptr_eq(known, &child)));
        match &started {
            Err(_) if is_there => drop(sessions.remove(&name)),
            // It was ended before it had begun.
            Ok(multiplexer) if !is_there => multiplexer.end(),
            _ => {}
        }
        started
    }

    /// The place of a session's child, if there is one already or room for it.
    fn place(&self, name: &Name, credential: &Credential, target: &Target) -> Result<Arc<Child>> {
        let (owner, now) = (owner(credential), Instant::now());
        let mut sessions = self.0.lock();
        Self::make_room(&mut sessions, &owner, &target.tenant, now)?;
        Self::end_outdated(&mut sessions, name, &owner, target);
        if let Some(Session { child: Some(child), .. }) = sessions.get(name).filter(|session| session.owner == owner) {
            return Ok(Arc::clone(child));
        }
        let children = sessions.values().filter(|session| session.child.is_some());
        let (all, of_tenant, own) = children.fold((0, 0, 0), |(all, of_tenant, own), session| {
            let (is_tenants, is_own) = (session.tenant == target.tenant, session.owner == owner);
            (all + 1, of_tenant + usize::from(is_tenants), own + usize::from(is_own))
        });
        let full = all >= MAX_CHILDREN || of_tenant >= MAX_CHILDREN_OF_TENANT || own >= MAX_CHILDREN_OF_KEY;
        if full && !Self::one_makes_way(&mut sessions, &owner, now) {
            let message = format!("{all} child processes serve sessions already, {own} of them of this key; try again");
            return Err(Error::new(Code::Unavailable, message));
        }
        let child = Child { target: target.clone(), multiplexer: OnceLock::new(), starting: Mutex::default() };
        let child = Arc::new(child);
        let tenant = target.tenant.clone();
        let session = Session { owner, tenant, used: now, open: Arc::default(), child: Some(Arc::clone(&child)) };
        sessions.insert(name.clone(), session);
        Ok(child)
    }

    /// Ends the session with a child that this caller has left alone longest; answers whether there was one.
    fn one_makes_way(sessions: &mut HashMap<Name, Session>, owner: &Owner, now: Instant) -> bool {
        // A listening stream or a request in flight holds a reference.
        let alone = |session: &Session| {
            now.duration_since(session.used) >= LEFT_ALONE
                && session.multiplexer().is_some_and(|multiplexer| Arc::strong_count(multiplexer) == 1)
        };
        let own = sessions.iter().filter(|(_, session)| session.owner == *owner && alone(session));
        let oldest = own.min_by_key(|(_, session)| session.used).map(|(name, _)| name.clone());
        oldest.is_some_and(|name| sessions.remove(&name).is_some())
    }

    /// The child of the session that these headers name, if it is this caller's. One whose upstream is registered
    /// otherwise by now is ended: it would go on with the old address, and the old secrets.
    pub fn multiplexer(
        &self,
        upstream: &str,
        headers: &HeaderMap,
        credential: &Credential,
        target: &Target,
    ) -> Option<Arc<Multiplexer>> {
        let (name, owner) = ((upstream.to_owned(), headers.get(SESSION_ID)?.clone()), owner(credential));
        let mut sessions = self.0.lock();
        Self::end_outdated(&mut sessions, &name, &owner, target);
        let session = sessions.get_mut(&name)?;
        session.used = Instant::now();
        session.multiplexer().filter(|_| session.owner == owner).cloned()
    }

    fn end_outdated(sessions: &mut HashMap<Name, Session>, name: &Name, owner: &Owner, target: &Target) {
        let is_outdated = |session: &Session| session.owner == *owner && session.is_outdated(target);
        if sessions.get(name).is_some_and(is_outdated) {
            sessions.remove(name);
        }
    }

    fn make_room(sessions: &mut HashMap<Name, Session>, owner: &Owner, tenant: &TenantId, now: Instant) -> Result<()> {
        let has_ended = |session: &Session| session.multiplexer().is_some_and(|multiplexer| multiplexer.has_ended());
        sessions.retain(|_, session| now.duration_since(session.used) < IDLE && !has_ended(session));
        let own = sessions.values().filter(|session| session.owner == *owner).count();
        let of_tenant = sessions.values().filter(|session| session.tenant == *tenant).count();
        if sessions.len() >= MAX_SESSIONS || of_tenant >= MAX_SESSIONS_OF_TENANT || own >= MAX_SESSIONS_OF_KEY {
            let message = format!(
                "{} sessions of upstreams are open already, {of_tenant} of them of this tenant and {own} of this key; try \
                 again",
                sessions.len()
            );
            return Err(Error::new(Code::Unavailable, message));
        }
        Ok(())
    }

    /// The session has ended.
    pub fn end(&self, upstream: &str, id: &HeaderValue) {
        self.0.lock().remove(&(upstream.to_owned(), id.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::govern::Report;

    #[tokio::test]
    async fn a_session_that_is_begun_again_under_its_id_keeps_what_is_open() {
        let (sessions, id) = (UpstreamSessions::default(), HeaderValue::from_static("same"));
        let tenant = TenantId::local();
        let key = |key: &str| Credential::ApiKey(key.to_owned().into());
        let report = Report::new(drop, None, None);
        sessions.begin("up", &id, (&key("hld_a"), &tenant)).unwrap().park(
            "5".to_owned(),
            report,
            Duration::from_secs(60),
        );
        assert!(sessions.begin("up", &id, (&key("hld_a"), &tenant)).unwrap().is_parked("5"));
        assert!(sessions.begin("up", &id, (&key("hld_b"), &tenant)).is_err());
        assert!(!sessions.begin("other", &id, (&key("hld_b"), &tenant)).unwrap().is_parked("5"));
    }
}
