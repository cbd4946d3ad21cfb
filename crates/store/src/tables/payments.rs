//! Payment authorizations.

use std::sync::Arc;

use crate::{
    ReadTx, Tx,
    database::{Connection, Record, params, record},
    error::Result,
    model::{AgentId, Authorization, AuthorizationId, Money, SessionId, TenantId, UnixMicros},
    statements::statements,
};

record! { authorizations: Authorization as authorization {
    id, session_id, agent_id, amount, captured, currency, description, status, created_at, settled_at,
} }

/// Newest first, through the index of this name, of those that have `$and`.
macro_rules! authorizations {
    ($index:literal, $and:literal) => {
        concat!(
            "SELECT ",
            authorization!(),
            " FROM authorizations INDEXED BY ",
            $index,
            " WHERE tenant = ?1 ",
            $and,
            " AND (created_at, id) < (?2, ?3) AND created_at >= ?4 ORDER BY created_at DESC, id DESC LIMIT ?5"
        )
    };
}

statements! {
    AUTHORIZATION = concat!("SELECT ", authorization!(), " FROM authorizations WHERE tenant = ?1 AND id = ?2");
    AUTHORIZATIONS = authorizations!("authorizations_by_time", "");
    OF_AGENT = authorizations!("authorizations_by_agent", "AND agent_id = ?6");
    OF_SESSION = authorizations!("authorizations_by_session", "AND session_id = ?6");
    OPEN = authorizations!("authorizations_open", "AND status = 'authorized'");
    OPEN_OF_AGENT = authorizations!("authorizations_open", "AND status = 'authorized' AND agent_id = ?6");
    OPEN_OF_SESSION = authorizations!("authorizations_open", "AND status = 'authorized' AND session_id = ?6");
    INSERT_AUTHORIZATION = Authorization::INSERT;
    DAILY_SPENT = "SELECT spent FROM daily_spend WHERE tenant = ?1 AND day = ?2 AND of = ?3";
    PUT_DAILY_SPENT = "INSERT INTO daily_spend (tenant, day, of, spent) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET spent = ?4";
    FORGET_DAYS = "DELETE FROM daily_spend WHERE tenant = ?1 AND (day, of) IN (SELECT day, of FROM daily_spend
        WHERE tenant = ?1 AND day < ?2 ORDER BY day LIMIT ?3)";
    SETTLE_AUTHORIZATION = "UPDATE authorizations SET captured = ?3, status = ?4, settled_at = ?5
        WHERE tenant = ?1 AND id = ?2";
}

/// Rows of days that are over, which one payment clears away.
const DAYS_FORGOTTEN_AT_ONCE: usize = 4;

/// Which payments, newest first.
#[allow(missing_docs)]
pub struct PaymentQuery {
    pub agent_id: Option<AgentId>,
    pub session_id: Option<SessionId>,
    /// Only those that are not settled yet.
    pub open: bool,
    /// Only those authorized at this time or later.
    pub since: Option<UnixMicros>,
    /// Only those authorized before this time.
    pub until: Option<UnixMicros>,
    /// Older than this one: the time of its authorization and its id.
    pub before: Option<(UnixMicros, String)>,
    pub limit: usize,
}

#[allow(missing_docs)]
impl ReadTx {
    /// What was spent on a UTC day of what is bounded by day, by a keyed hash of whose it is.
    pub fn daily_spent(&self, tenant: &TenantId, day: i64, of: &[u8; 32]) -> Result<Money> {
        Ok(self.first(DAILY_SPENT, params![tenant, day, of])?.unwrap_or(Money::ZERO))
    }

    pub fn authorization(&self, tenant: &TenantId, id: &AuthorizationId) -> Result<Option<Authorization>> {
        let key = (tenant.clone(), id.clone());
        match self.buffer_if_writer().and_then(|buffer| buffer.new_payments.get(&key)) {
            Some(new) => Ok(Some(Authorization::clone(&new))),
            None => self.first(AUTHORIZATION, params![tenant, id]),
        }
    }

    pub fn authorizations(&self, tenant: &TenantId, query: &PaymentQuery) -> Result<Vec<Authorization>> {
        self.require_reader()?;
        let last = (query.until.map_or(i64::MAX, |until| until.0), "");
        let (at, id) = query.before.as_ref().map_or(last, |(at, id)| last.min((at.0, id.as_str())));
        // A session is one agent's: its payments are looked at by it alone.
        let (sql, of) = match (&query.session_id, &query.agent_id, query.open) {
            (Some(session), _, false) => (OF_SESSION, session.as_str()),
            (Some(session), _, true) => (OPEN_OF_SESSION, session.as_str()),
            (None, Some(agent), false) => (OF_AGENT, agent.as_str()),
            (None, Some(agent), true) => (OPEN_OF_AGENT, agent.as_str()),
            (None, None, false) => (AUTHORIZATIONS, ""),
            (None, None, true) => (OPEN, ""),
        };
        let params = params![tenant, at, id, query.since.unwrap_or_default(), query.limit, of];
        self.all(sql, if of.is_empty() { &params[..5] } else { params })
    }
}

#[allow(missing_docs)]
impl Tx {
    /// Adds to what was spent on a day, or takes back, and forgets some of what was spent before `forget_before`.
    pub fn add_daily_spent(
        &mut self,
        tenant: &TenantId,
        day: i64,
        of: &[u8; 32],
        amount: Money,
        forget_before: i64,
    ) -> Result<()> {
        let spent = self.daily_spent(tenant, day, of)?.saturating_add(amount).max(Money::ZERO);
        self.change(PUT_DAILY_SPENT, params![tenant, day, of, spent])?;
        self.change(FORGET_DAYS, params![tenant, forget_before, DAYS_FORGOTTEN_AT_ONCE]).map(drop)
    }

    pub fn insert_authorization(&mut self, tenant: &TenantId, authorization: &Authorization) -> Result<()> {
        let key = (tenant.clone(), authorization.id.clone());
        self.buffer().new_payments.put(key, Arc::new(authorization.clone()));
        Ok(())
    }

    pub fn settle_authorization(&mut self, tenant: &TenantId, authorization: &Authorization) -> Result<()> {
        let Authorization { id, captured, status, settled_at, .. } = authorization;
        if self.buffer().new_payments.has(&(tenant.clone(), id.clone())) {
            return self.insert_authorization(tenant, authorization);
        }
        self.change(SETTLE_AUTHORIZATION, params![tenant, id, captured, status, settled_at]).map(drop)
    }
}

pub(crate) fn write_new(db: &dyn Connection, tenant: &TenantId, authorization: &Authorization) -> Result<()> {
    db.send_row(INSERT_AUTHORIZATION, &authorization.params(tenant))
}
