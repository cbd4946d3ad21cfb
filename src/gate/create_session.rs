//! `createSession`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{WriteContext, WriteOperation, session},
    crypto,
    error::{Code, Error, Result},
    model::{AgentId, Caller, Ceilings, Money, Scope, Scopes, Session, SessionId, UnixMicros, caller::tighter, scope},
    watch::{self, Draft},
};

/// The longest life of a session, in seconds: 30 days.
pub const MAX_TTL: i64 = 2_592_000;
/// The default life of a session, in seconds.
pub const DEFAULT_TTL: i64 = 3_600;
/// The default scopes of a session.
const DEFAULT_SCOPES: [&str; 2] = ["read", "browse"];
/// The longest chain of delegations.
const MAX_DEPTH: i64 = 16;

/// Start a governed session for an agent: the scopes it may use, how much it may spend, and for how long. Call
/// this first; everything else an agent does through haldir names the session. Give the fewest scopes and the
/// smallest budget that the task needs. With `parent_session_id` the new session is delegated: its scopes, budget
/// and expiry lie within the parent's, what it spends counts against the parent, and it ends with the parent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// The agent's name. Everything done in the session is logged under it.
    agent_id: AgentId,
    /// What the session may do. A scope `read` includes every `read:…`; `spend:50` grants `spend` and sets a
    /// budget of 50 USD when `spend_limit` is not given. Default: read and browse.
    #[schemars(extend("default" = ["read", "browse"]))]
    scopes: Option<Scopes>,
    /// Seconds until the session expires; 0 is never. Default 3600.
    #[schemars(range(min = 0, max = 2_592_000), extend("default" = 3600))]
    ttl: Option<i64>,
    /// The most that the session may spend, in USD; 0 is nothing. Without it the session has no limit of its own,
    /// but those of its key and of its parents hold.
    #[schemars(range(min = 0))]
    spend_limit: Option<Money>,
    /// The most that all sessions of this agent that set this field may spend together in a UTC day, in USD, across processes;
    /// 0 is nothing. It applies besides `spend_limit`.
    #[schemars(range(min = 0))]
    daily_spend_limit: Option<Money>,
    /// The session that delegates to the new one.
    parent_session_id: Option<SessionId>,
}

/// The new session.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SessionCreated {
    /// Names the session in every further call.
    pub session_id: SessionId,
    /// The agent it was made for.
    pub agent_id: AgentId,
    /// The scopes it holds.
    pub scopes: Scopes,
    /// Its budget in USD; null is no limit of its own.
    pub spend_limit: Option<Money>,
    /// What it and its agent's other sessions with such a limit may spend together in a UTC day, in USD; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_spend_limit: Option<Money>,
    /// When it expires, in Unix seconds; 0 is never.
    pub expires_at: UnixMicros,
    /// Its life in seconds; 0 is without end.
    pub ttl: i64,
    /// The session that delegated to it; empty at the root.
    pub parent_session_id: String,
    /// How many delegations lie above it.
    pub delegation_depth: i64,
}

impl WriteOperation for CreateSession {
    type Output = SessionCreated;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<SessionCreated> {
        let parent = match &self.parent_session_id {
            Some(id) => {
                let parent = session::require_valid(cx.tx, &cx.caller.tenant, id, cx.now)
                    .map_err(|error| error.field("parent_session_id"))?;
                Some(parent)
            }
            None => None,
        };
        let session = self.decide(cx.caller, parent.as_deref(), cx.now)?;
        let session = Arc::new(session);
        cx.tx.insert_session(&cx.caller.tenant, &session)?;
        let created = SessionCreated {
            session_id: session.id.clone(),
            agent_id: session.agent_id.clone(),
            scopes: session.scopes.clone(),
            spend_limit: session.spend_limit,
            daily_spend_limit: session.daily_limit,
            expires_at: session.expires_at.unwrap_or_default(),
            ttl: session.expires_at.map_or(0, |end| end.seconds_since(cx.now)),
            parent_session_id: session.parent.as_ref().map_or_else(String::new, ToString::to_string),
            delegation_depth: session.depth,
        };
        watch::append(cx, Draft::governance("session.create", Some(&session), &created)?)?;
        Ok(created)
    }
}

impl CreateSession {
    fn decide(self, creator: &Caller, parent: Option<&Session>, now: UnixMicros) -> Result<Session> {
        let ceilings = &creator.ceilings;
        let (scopes, budget) = self.scopes(ceilings, parent)?;
        let spend_limit = self.spend_limit(budget, ceilings, parent)?;
        let expires_at = self.expires_at(creator, parent, now)?;
        if self.daily_spend_limit.is_some_and(Money::is_negative) {
            return Err(Error::invalid("daily_spend_limit", "daily_spend_limit must be at least 0"));
        }
        let depth = parent.map_or(0, |parent| parent.depth + 1);
        if depth > MAX_DEPTH {
            let message = format!("at most {MAX_DEPTH} delegations may lie below one another");
            return Err(Error::new(Code::ExceedsParent, message).field("parent_session_id"));
        }
        let id = crypto::token_at::<24>(SessionId::PREFIX, now.0).map_err(Error::internal)?;
        let id = SessionId::parse(id).map_err(Error::internal)?;
        Ok(Session {
            spend_limit,
            spend_ceiling: ceilings.spend,
            daily_limit: self.daily_spend_limit,
            daily_ceiling: ceilings.daily,
            expires_at,
            parent: self.parent_session_id,
            depth,
            ..Session::new(id, self.agent_id, scopes, now, creator.principal.clone())
        })
    }

    /// The scopes, with `spend:50` taken apart, and the budget in it.
    fn scopes(&self, ceilings: &Ceilings, parent: Option<&Session>) -> Result<(Scopes, Option<Money>)> {
        let allowed = |wanted: &Scope| {
            (ceilings.admin || !wanted.is_all())
                && ceilings.scopes.as_ref().is_none_or(|list| list.hold(wanted))
                && parent.is_none_or(|parent| parent.scopes.hold(wanted))
        };
        let Some(asked) = &self.scopes else {
            let defaults = DEFAULT_SCOPES.iter().filter_map(|name| Scope::parse(*name).ok()).filter(allowed);
            return Ok((Scopes::new(defaults), None));
        };
        let mut budget: Option<Money> = None;
        let mut granted = Vec::with_capacity(asked.len());
        for wanted in asked.iter() {
            let wanted = match wanted.budget() {
                Some(amount) => {
                    let amount =
                        amount.map_err(|problem| Error::invalid("scopes", format!("`{wanted}`: {problem}")))?;
                    if amount.is_negative() {
                        return Err(Error::invalid("scopes", format!("`{wanted}`: a budget is not negative")));
                    }
                    budget = Some(budget.map_or(amount, |other| other.min(amount)));
                    Scope::parse(scope::SPEND).map_err(Error::internal)?
                }
                None => wanted.clone(),
            };
            if parent.is_some_and(|parent| !parent.scopes.hold(&wanted)) {
                return Err(Error::new(Code::ExceedsParent, format!("the parent session does not hold `{wanted}`"))
                    .field("scopes"));
            }
            if !allowed(&wanted) {
                let allowed = match &ceilings.scopes {
                    Some(list) => format!("allowed are: {list}"),
                    None => "every scope but `admin` and `*` is allowed".to_owned(),
                };
                return Err(ceiling("scopes", &format!("the scope `{wanted}`"), &allowed, "HALDIR_MAX_SCOPES"));
            }
            granted.push(wanted);
        }
        Ok((Scopes::new(granted), budget))
    }

    fn spend_limit(
        &self,
        budget: Option<Money>,
        ceilings: &Ceilings,
        parent: Option<&Session>,
    ) -> Result<Option<Money>> {
        let Some(limit) = self.spend_limit.or(budget) else { return Ok(None) };
        if limit.is_negative() {
            return Err(Error::invalid("spend_limit", "spend_limit must be at least 0"));
        }
        if let Some(most) = ceilings.spend.filter(|most| limit > *most) {
            let asked = format!("a budget of {limit} USD");
            return Err(ceiling("spend_limit", &asked, &format!("at most {most} USD are allowed"), "HALDIR_MAX_SPEND"));
        }
        if let Some(most) = parent.and_then(Session::remaining).filter(|most| limit > *most) {
            let message = format!("the parent session has {most} USD left, less than {limit} USD");
            return Err(Error::new(Code::ExceedsParent, message).field("spend_limit"));
        }
        Ok(Some(limit))
    }

    /// A session ends no later than its parent, and no later than the key that makes it.
    fn expires_at(&self, creator: &Caller, parent: Option<&Session>, now: UnixMicros) -> Result<Option<UnixMicros>> {
        let ceilings = &creator.ceilings;
        let parent_end = parent.and_then(|parent| parent.expires_at);
        let Some(ttl) = self.ttl else {
            let default = now.plus_seconds(ceilings.ttl.map_or(DEFAULT_TTL, |most| most.min(DEFAULT_TTL)));
            return Ok(tighter(Some(default), tighter(parent_end, creator.expires_at)));
        };
        if !(0..=MAX_TTL).contains(&ttl) {
            let message = format!("ttl must be from 1 to {MAX_TTL} seconds, or 0 for a session without end");
            return Err(Error::invalid("ttl", message));
        }
        let end = (ttl > 0).then(|| now.plus_seconds(ttl));
        if let Some(most) = ceilings.ttl.filter(|most| ttl == 0 || ttl > *most) {
            let asked = if ttl == 0 { "a session without end".to_owned() } else { format!("a ttl of {ttl} s") };
            return Err(ceiling("ttl", &asked, &format!("at most {most} s are allowed"), "HALDIR_MAX_TTL"));
        }
        if let Some(key_end) = creator.expires_at.filter(|key_end| end.is_none_or(|end| end > *key_end)) {
            let message = format!(
                "the API key ends in {} s, and its sessions with it: ask for at most that, or leave ttl out",
                key_end.seconds_since(now)
            );
            return Err(Error::new(Code::CeilingExceeded, message).field("ttl"));
        }
        if let Some(parent_end) = parent_end.filter(|parent_end| end.is_none_or(|end| end > *parent_end)) {
            let left = parent_end.seconds_since(now);
            let message = format!("the parent session ends in {left} s: ask for at most that, or leave ttl out");
            return Err(Error::new(Code::ExceedsParent, message).field("ttl"));
        }
        Ok(end)
    }
}

fn ceiling(field: &'static str, asked: &str, allowed: &str, setting: &str) -> Error {
    let message = format!(
        "{asked} is above the ceiling: {allowed}. An operator raises it with {setting} on the server, or with a key \
         that has a higher ceiling"
    );
    Error::new(Code::CeilingExceeded, message).field(field)
}
