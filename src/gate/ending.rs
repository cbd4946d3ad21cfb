//! Ending sessions: the first one at once, those below it a few at a time.
//!
//! A session below one that was revoked may not act any more, whatever its own row says (see [`super::session::may_act`]).
//! So one write ends any number of sessions, and what marks and logs each of them is done in small transactions: everybody
//! else's writes go on between them.

use std::sync::Arc;

use serde_json::json;

use crate::{
    call::{OutwardContext, WriteContext},
    error::Result,
    model::{Session, SessionId, TenantId},
    store::ReadTx,
    watch::{self, Draft},
    webhooks::{self, Happening},
};

/// Sessions that are marked in one transaction.
const AT_ONCE: usize = 64;
/// Sessions below one that are looked for at a time.
const MAX_FOUND: usize = 100_000;
/// Children that are read at a time.
const PAGE: usize = 500;

/// Ends the session and all below it. Answers which of those below ended with it, this time.
pub(super) async fn end(cx: &OutwardContext, root: &SessionId) -> Result<Vec<SessionId>> {
    let below = open_below(cx, root).await?;
    let (id, count) = (root.clone(), below.len());
    cx.write(move |cx| revoke_first(cx, &id, count)).await?;
    mark(cx, root, &below).await?;
    // Some may have begun after the first look; none can since the session was revoked.
    let late = open_below(cx, root).await?;
    mark(cx, root, &late).await?;
    Ok(below.into_iter().chain(late).collect())
}

fn revoke_first(cx: &mut WriteContext<'_>, id: &SessionId, below: usize) -> Result<()> {
    let session = super::session::require(cx.tx.as_read(), &cx.caller.tenant, id)?;
    if session.revoked_at.is_some() {
        return Ok(());
    }
    revoke(cx, &session, id)?;
    webhooks::emit(cx, &Happening::SessionRevoked { session: &session, cascade_revoked: below })
}

/// Marks these sessions as revoked, with an entry for each.
async fn mark(cx: &OutwardContext, root: &SessionId, below: &[SessionId]) -> Result<()> {
    for part in below.chunks(AT_ONCE) {
        let (part, root) = (part.to_vec(), root.clone());
        cx.write(move |cx| {
            for id in &part {
                let session = super::session::require(cx.tx.as_read(), &cx.caller.tenant, id)?;
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

/// The sessions below that are not revoked yet. What a process left behind that ended in the middle is found too.
async fn open_below(cx: &OutwardContext, root: &SessionId) -> Result<Vec<SessionId>> {
    let (tenant, root) = (cx.caller.tenant.clone(), root.clone());
    // What was written before this is what it looks at.
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

fn children(tx: &dyn ReadTx, tenant: &TenantId, id: &SessionId) -> Result<Vec<Arc<Session>>> {
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
