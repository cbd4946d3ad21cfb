//! What a client is told when its list of tools is another one.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Context, HaldirMcp, lasts};
use crate::{interfaces::mcp::upstreams, model::Credential};

/// How often it is looked whether a client is still there that is told of changes.
const LOOK_EVERY: Duration = Duration::from_secs(15);

impl HaldirMcp {
    /// Tells the client from now on that its list of tools has changed: once for a connection that lasts.
    pub(super) async fn follow(&self, context: &Context) {
        let Some(changes) = self.changes.as_ref().filter(|_| lasts(context)) else { return };
        if self.follows.swap(true, Ordering::Relaxed) {
            return;
        }
        // A client that may see no tools gets no notifications.
        let Ok(mut changes) = changes.follow(&self.credential(context)).await else {
            return self.follows.store(false, Ordering::Relaxed);
        };
        let peer = context.peer.clone();
        tokio::spawn(async move {
            loop {
                let change = tokio::time::timeout(LOOK_EVERY, changes.changed()).await;
                let goes_on = match change {
                    Ok(Ok(())) => peer.notify_tool_list_changed().await.is_ok(),
                    Ok(Err(_)) => false,
                    Err(_) => !peer.is_transport_closed(),
                };
                if !goes_on {
                    return;
                }
            }
        });
    }

    /// Tells the client that has listed the tools that its list is another one, where another session of its may call others.
    pub(super) async fn tell_of_session(&self, before: Option<String>, credential: &Credential, context: &Context) {
        let now = self.session.made_by(credential);
        if now == before || !self.follows.load(Ordering::Relaxed) || !lasts(context) {
            return;
        }
        let listed = async |session: Option<&str>| upstreams::names(&self.backend, credential, session).await;
        if listed(before.as_deref()).await != listed(now.as_deref()).await
            && let Err(error) = context.peer.notify_tool_list_changed().await
        {
            tracing::debug!(%error, "a change of the tools was not told");
        }
    }
}
