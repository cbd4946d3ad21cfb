//! Ending sessions: the named one at once, its descendants in batches.
//!
//! A descendant of a revoked session may not act, whatever its own row says (see [`session::may_act`]). So one write ends any
//! number of sessions. Marking and logging each of them follows in small transactions, with other calls' writes in between.

use std::sync::Arc;

use serde_json::json;

use crate::{
    call::{OutwardContext, WriteContext, session},
    error::Result,
    model::{Session, SessionId, TenantId},
    outbox::{self, WebhookEvent},
    store::ReadTx,
    watch::{self, Draft},
};

/// Sessions that are marked in one transaction.
const AT_ONCE: usize = 64;
/// Descendants that one search finds.
const MAX_FOUND: usize = 100_000;
/// Children in one read.
const PAGE: usize = 500;

/// Ends the session and its descendants. Returns the descendants that this call ended.
pub(super) async fn end(cx: &OutwardContext, root: &SessionId) -> Result<Vec<SessionId>> {
    let below = open_below(cx, root).await?;
    let (id, count) = (root.clone(), below.len());
    cx.write(move |cx| revoke_first(cx, &id, count)).await?;
    mark(cx, root, &below).await?;
    // Descendants may have been created after the first search; none can be since the session was revoked.
    let late = open_below(cx, root).await?;
    mark(cx, root, &late).await?;
    Ok(below.into_iter().chain(late).collect())
}

fn revoke_first(cx: &mut WriteContext<'_>, id: &SessionId, below: usize) -> Result<()> {
    let session = session::require(cx.tx, &cx.caller.tenant, id)?;
    if session.revoked_at.is_some() {
        return Ok(());
    }
    revoke(cx, &session, id)?;
    let (session_id, agent_id) = (session.id.as_str(), session.agent_id.as_str());
    outbox::emit(cx, &WebhookEvent::SessionRevoked { session_id, agent_id, cascade_revoked: below })
}

/// Marks these sessions as revoked, with an entry for each.
async fn mark(cx: &OutwardContext, root: &SessionId, below: &[SessionId]) -> Result<()> {
    for part in below.chunks(AT_ONCE) {
        let (part, root) = (part.to_vec(), root.clone());
        cx.write(move |cx| {
            for id in &part {
                let session = session::require(cx.tx, &cx.caller.tenant, id)?;
                if session.revoked_at.is_none() {
                    revoke(cx, &session, &root)?;
                }
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn revoke(cx: &mut WriteContext<'_>, session: &Session, root: &SessionId) -> Result<()> {
    cx.tx.revoke_session(&cx.caller.tenant, &session.id, cx.now)?;
    let details = json!({"session_id": session.id, "revoked_with": root});
    watch::append(cx, Draft::governance("session.revoke", Some(session), &details)?)?;
    Ok(())
}

/// The descendants that are not revoked yet, including those that a process left behind when it was killed midway.
async fn open_below(cx: &OutwardContext, root: &SessionId) -> Result<Vec<SessionId>> {
    let (tenant, root) = (cx.caller.tenant.clone(), root.clone());
    // The search must see every write that was accepted before it.
    cx.store.caught_up().await;
    cx.store
        .scan(move |tx| {
            let (mut open, mut pending) = (Vec::new(), vec![root]);
            while let Some(id) = pending.pop() {
                for child in children(tx, &tenant, &id)? {
                    if child.revoked_at.is_none() && open.len() < MAX_FOUND {
                        open.push(child.id.clone());
                    }
                    pending.push(child.id.clone());
                }
            }
            Ok(open)
        })
        .await
}

fn children(tx: &ReadTx, tenant: &TenantId, id: &SessionId) -> Result<Vec<Arc<Session>>> {
    let mut all: Vec<Arc<Session>> = Vec::new();
    loop {
        let after = all.last().map_or("", |child| child.id.as_str());
        let page = tx.child_sessions(tenant, id, after, PAGE)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
