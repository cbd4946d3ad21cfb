//! Appending an entry: judged, chained, and counted, in the transaction of whatever it records.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::{
    call::WriteContext,
    crypto,
    error::{Error, Result},
    model::{Day, Entry, EntryId, EntryKind, Money, Month, Session},
    outbox::{self, WebhookEvent},
    store::{Append, Usage},
    watch::{ahead_of_clock, anomaly, canonical, chain},
};

/// The tool that haldir's own entries bear.
pub const HALDIR_TOOL: &str = "haldir";

/// What an entry records, as anomaly rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An agent logged what it did.
    Action,
    /// A call that haldir carries out for an agent.
    Call,
    /// Haldir said no.
    Refusal,
    /// A secret's plaintext was given out.
    SecretRead,
    /// Anything else that governs.
    Governance,
}

/// An entry before it has its place.
#[derive(Debug)]
pub struct Draft<'a> {
    /// What it records.
    pub event: Event,
    /// The session it happened in, if any.
    pub session: Option<&'a Session>,
    /// Tool or service.
    pub tool: &'a str,
    /// What was done.
    pub action: &'a str,
    /// What it cost.
    pub cost: Money,
    /// JSON text.
    pub details: Option<String>,
    /// Why it is flagged whatever the anomaly rules say; empty if it is not.
    pub alert: String,
}

impl<'a> Draft<'a> {
    /// An entry of haldir's own.
    pub fn governance(action: &'a str, session: Option<&'a Session>, details: &impl Serialize) -> Result<Self> {
        let details = serde_json::to_string(details).map_err(Error::internal)?;
        let event = Event::Governance;
        Ok(Self {
            event,
            session,
            tool: HALDIR_TOOL,
            action,
            cost: Money::ZERO,
            details: Some(details),
            alert: String::new(),
        })
    }
}

/// Appends `draft` to the caller's tenant's log.
pub fn append(cx: &mut WriteContext<'_>, draft: Draft<'_>) -> Result<Arc<Entry>> {
    let keys = cx.keys()?;
    let tenant = &cx.caller.tenant;
    let mut head = chain::authentic_head(cx.tx, &keys, tenant)?;
    // Clocks of several processes differ; within a log, time does not go back.
    let at = cx.now.max(head.at);
    ahead_of_clock::tell(tenant, at, cx.now);
    let judged = match draft.session {
        Some(session) => count(cx, &draft, session)?,
        None => String::new(),
    };
    let flag_reason = [draft.alert.as_str(), &judged].into_iter().filter(|why| !why.is_empty()).collect::<Vec<_>>();
    let flag_reason = flag_reason.join("; ");
    let (details_salt, details_digest) = match &draft.details {
        Some(details) => {
            let mut salt = [0; 16];
            crypto::nonce(&mut salt).map_err(Error::internal)?;
            (Some(salt), Some(canonical::details_digest(&salt, details.as_bytes())))
        }
        None => (None, None),
    };
    if draft.event == Event::SecretRead {
        cx.tx.add_usage(tenant, Month::of(Day::of(at)), Usage { calls: 0, secret_reads: 1 })?;
    }
    let seq = head.seq + 1;
    let mut entry = Entry {
        seq,
        id: entry_id(seq)?,
        at,
        kind: if draft.event == Event::Action { EntryKind::Action } else { EntryKind::Governance },
        session_id: draft.session.map_or_else(String::new, |session| session.id.to_string()),
        agent_id: draft.session.map_or_else(|| "system".to_owned(), |session| session.agent_id.to_string()),
        tool: draft.tool.to_owned(),
        action: draft.action.to_owned(),
        cost: draft.cost,
        flagged: !flag_reason.is_empty(),
        flag_reason,
        actor: cx.caller.principal.clone(),
        details: draft.details,
        details_salt,
        details_digest,
        prev_hash: canonical::GENESIS,
        entry_hash: canonical::GENESIS,
    };
    let leaf = chain::extend(&keys, tenant, &mut head, &mut entry)?;
    let entry = Arc::new(entry);
    let append = Append { entry: Arc::clone(&entry), leaf, head, leaf_hash: chain::leaf_hash };
    cx.tx.append(tenant, append)?;
    if entry.flagged {
        let event = WebhookEvent::Anomaly {
            agent_id: &entry.agent_id,
            session_id: &entry.session_id,
            entry_id: entry.id.as_str(),
            tool: &entry.tool,
            action: &entry.action,
            reason: &entry.flag_reason,
            cost_usd: entry.cost,
        };
        outbox::emit(cx, &event)?;
    }
    Ok(entry)
}

/// Counts the entry for its agent, and answers why it is an anomaly, if it is.
fn count(cx: &mut WriteContext<'_>, draft: &Draft<'_>, session: &Session) -> Result<String> {
    let tenant = &cx.caller.tenant;
    let agent = session.agent_id.as_str();
    let known = cx.tx.agent(tenant, agent)?;
    let mut stats = known.clone().unwrap_or_default();
    let mut tool_uses = 0;
    if draft.event == Event::Action {
        tool_uses = cx.tx.count_action(tenant, session, draft.tool, draft.cost)?;
    }
    let reasons = anomaly::judge(&cx.services.settings.anomalies, &mut stats, draft, session, tool_uses, cx.now);
    if known.as_ref() != Some(&stats) {
        cx.tx.put_agent(tenant, agent, &stats)?;
    }
    Ok(reasons.join("; "))
}

/// `aud_`, the sequence number, 96 random bits: see [`EntryId`].
fn entry_id(seq: i64) -> Result<EntryId> {
    let mut random = [0; EntryId::RANDOM_BYTES];
    crypto::nonce(&mut random).map_err(Error::internal)?;
    let bytes = [&seq.to_be_bytes()[8 - EntryId::SEQ_BYTES..], &random].concat();
    EntryId::parse(format!("aud_{}", URL_SAFE_NO_PAD.encode(bytes))).map_err(Error::internal)
}

/// The sequence number that an id carries; `None` if it is no id of ours.
pub fn seq_of(id: &EntryId) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(id.as_str().strip_prefix("aud_")?).ok()?;
    if bytes.len() != EntryId::SEQ_BYTES + EntryId::RANDOM_BYTES {
        return None;
    }
    Some(bytes[..EntryId::SEQ_BYTES].iter().fold(0, |seq, byte| seq << 8 | i64::from(*byte)))
}
