//! Requests that an upstream has.

use rmcp::{
    RoleClient,
    model::{CancelledNotificationParam, RequestId},
    service::Peer,
};

use super::floor::Place;

/// A request that has left: the upstream is told if nobody waits for the answer any more.
pub(super) struct Awaited<'a> {
    peer: &'a Peer<RoleClient>,
    id: Option<RequestId>,
    place: Option<Place>,
}

impl<'a> Awaited<'a> {
    pub(super) fn new(peer: &'a Peer<RoleClient>, id: RequestId, place: Option<Place>) -> Self {
        Self { peer, id: Some(id), place }
    }

    /// It was answered, or never will be.
    pub(super) fn over(&mut self) {
        self.id = None;
        if let Some(place) = &mut self.place {
            place.over();
        }
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else { return };
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let reason = Some("nobody waits for it any more".to_owned());
            // Fails if the connection has ended.
            let _ = peer.notify_cancelled(CancelledNotificationParam::new(Some(id), reason)).await;
        });
    }
}
