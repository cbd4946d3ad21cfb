//! The owners of MCP sessions. A session answers only the key that began it: another key that got hold of its id
//! could otherwise end it, or listen to its stream. Neither a key nor a tenant can take up all of the sessions there are room for.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

pub use crate::interfaces::owner::{Owner, owner};
use crate::{
    error::{Code, Error, Result},
    model::{Credential, TenantId},
    protocol::header::SESSION_ID,
};

/// Sessions at a time; an idle one ends after five minutes.
const MAX_SESSIONS: usize = 4_096;
/// Sessions of one tenant at a time: no tenant takes up all of the room with many keys.
const MAX_SESSIONS_OF_TENANT: usize = 2_048;
/// Sessions of one key at a time.
const MAX_SESSIONS_OF_KEY: usize = 1_024;

/// The sessions of the path, by the key that began them.
#[derive(Default)]
pub struct McpSessions {
    /// rmcp's sessions: one that is not among them has ended.
    pub live: Arc<LocalSessionManager>,
    // A mutex that blocks its thread: it is held for a look-up or a sweep, never across an await.
    owners: Mutex<HashMap<String, (Owner, TenantId)>>,
    // A tokio mutex: held while a session begins, so that many that begin at once do not pass the bounds together.
    beginning: tokio::sync::Mutex<()>,
}

impl McpSessions {
    /// Whether the session that these headers name, if any, is this caller's.
    pub fn admit(&self, headers: &HeaderMap, credential: &Credential) -> bool {
        let Some(id) = headers.get(SESSION_ID) else { return true };
        let owners = self.owners.lock();
        id.to_str().is_ok_and(|id| owners.get(id).is_some_and(|(known, _)| *known == owner(credential)))
    }

    /// Lets this caller begin a session with `begin`, if there is room for it.
    pub async fn begin<B>(
        &self,
        credential: &Credential,
        tenant: TenantId,
        begin: impl Future<Output = http::Response<B>>,
    ) -> Result<http::Response<B>> {
        let _beginning = self.beginning.lock().await;
        let owner = owner(credential);
        let (all, of_tenant, own) = {
            let live = self.live.sessions.read().await;
            let mut owners = self.owners.lock();
            owners.retain(|id, _| live.contains_key(id.as_str()));
            let of_tenant = owners.values().filter(|(_, other)| *other == tenant).count();
            (live.len(), of_tenant, owners.values().filter(|(other, _)| *other == owner).count())
        };
        let full = |max: usize, whose: &str| {
            Err(Error::new(Code::Unavailable, format!("{max} MCP sessions{whose} are open already; try again")))
        };
        if all >= MAX_SESSIONS {
            return full(MAX_SESSIONS, "");
        }
        if of_tenant >= MAX_SESSIONS_OF_TENANT {
            return full(MAX_SESSIONS_OF_TENANT, " of this tenant");
        }
        if own >= MAX_SESSIONS_OF_KEY {
            return full(MAX_SESSIONS_OF_KEY, " of this key");
        }
        let response = begin.await;
        if let Some(id) = response.headers().get(SESSION_ID).map(HeaderValue::to_str).and_then(Result::ok) {
            self.owners.lock().insert(id.to_owned(), (owner, tenant));
        }
        Ok(response)
    }
}
