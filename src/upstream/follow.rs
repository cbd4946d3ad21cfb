//! Hearing that an upstream's tools have changed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rmcp::{
    RoleClient,
    model::{ServerPeerInfo, SubscriptionFilter},
    service::Peer,
};

/// How often changes are followed anew once that has ended, and the pause before.
const MAX_FOLLOWED: usize = 1_000;
const FOLLOW_PAUSE: Duration = Duration::from_secs(5);

/// From 2026-07-28 on a server says that its tools have changed only to whom has asked for that.
pub(super) async fn changes(peer: Peer<RoleClient>, tools_changed: Arc<AtomicBool>) {
    let tools = |info: &ServerPeerInfo| info.capabilities.tools.as_ref()?.list_changed;
    if peer.peer_info().and_then(|info| tools(&info)) != Some(true) {
        return;
    }
    for _ in 0..MAX_FOLLOWED {
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        let Ok(mut changes) = peer.listen(filter).await else { return };
        while let Ok(Some(_)) = changes.next().await {
            tools_changed.store(true, Ordering::Release);
        }
        tokio::time::sleep(FOLLOW_PAUSE).await;
        if peer.is_transport_closed() {
            return;
        }
        // What was said meanwhile was said to nobody.
        tools_changed.store(true, Ordering::Release);
    }
}
