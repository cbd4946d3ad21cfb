//! Payment authorizations.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteTx,
    rows::{Columns, rows, word},
    statements::statements,
};
use crate::{
    PaymentQuery, ReadPayments, WritePayments,
    error::Result,
    model::{Authorization, AuthorizationId, Money, TenantId},
};

macro_rules! authorization {
    () => {
        "id, session_id, agent_id, amount, captured, currency, description, status, created_at, settled_at"
    };
}

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
    INSERT_AUTHORIZATION = "INSERT INTO authorizations (tenant, id, session_id, agent_id, amount, captured, currency,
        description, status, created_at, settled_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
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

impl ReadPayments for SqliteTx<'_> {
    fn daily_spent(&self, tenant: &TenantId, day: i64, of: &[u8; 32]) -> Result<Money> {
        let mut statement = self.connection()?.prepare_cached(DAILY_SPENT)?;
        let nanos = statement.query_row(params![tenant.as_str(), day, of], |row| row.get(0)).optional()?;
        Ok(Money::from_nanos(nanos.unwrap_or(0)))
    }

    fn authorization(&self, tenant: &TenantId, id: &AuthorizationId) -> Result<Option<Authorization>> {
        if let Some(new) =
            self.buffer_if_writer().and_then(|buffer| buffer.new_payments.get(&(tenant.clone(), id.clone())))
        {
            return Ok(Some(Authorization::clone(&new)));
        }
        let mut statement = self.connection()?.prepare_cached(AUTHORIZATION)?;
        let mut rows = statement.query([tenant.as_str(), id.as_str()])?;
        rows.next()?.map(authorization).transpose()
    }

    fn authorizations(&self, tenant: &TenantId, query: &PaymentQuery) -> Result<Vec<Authorization>> {
        self.require_reader()?;
        let last = (query.until.map_or(i64::MAX, |until| until.0), "");
        let (at, id) = query.before.as_ref().map_or(last, |(at, id)| last.min((at.0, id.as_str())));
        let (tenant, since, limit) = (tenant.as_str(), query.since.unwrap_or_default().0, rows(query.limit));
        // A session is one agent's: its payments are looked at by it alone.
        let (text, of) = match (&query.session_id, &query.agent_id, query.open) {
            (Some(session), _, false) => (OF_SESSION, session.as_str()),
            (Some(session), _, true) => (OPEN_OF_SESSION, session.as_str()),
            (None, Some(agent), false) => (OF_AGENT, agent.as_str()),
            (None, Some(agent), true) => (OPEN_OF_AGENT, agent.as_str()),
            (None, None, false) => (AUTHORIZATIONS, ""),
            (None, None, true) => (OPEN, ""),
        };
        let mut statement = self.connection()?.prepare_cached(text)?;
        if of.is_empty() {
            statement.query_and_then(params![tenant, at, id, since, limit], authorization)?.collect()
        } else {
            statement.query_and_then(params![tenant, at, id, since, limit, of], authorization)?.collect()
        }
    }
}

fn authorization(row: &Row<'_>) -> Result<Authorization> {
    let mut columns = Columns::of(row);
    Ok(Authorization {
        id: columns.next()?,
        session_id: columns.next()?,
        agent_id: columns.next()?,
        amount: columns.next()?,
        captured: columns.next()?,
        currency: columns.next()?,
        description: columns.next()?,
        status: columns.next()?,
        created_at: columns.next()?,
        settled_at: columns.next()?,
    })
}

impl WritePayments for SqliteTx<'_> {
    fn add_daily_spent(
        &mut self,
        tenant: &TenantId,
        day: i64,
        of: &[u8; 32],
        amount: Money,
        forget_before: i64,
    ) -> Result<()> {
        let spent = self.daily_spent(tenant, day, of)?.saturating_add(amount).max(Money::ZERO);
        self.change(PUT_DAILY_SPENT)?.execute(params![tenant.as_str(), day, of, spent.nanos()])?;
        let params = params![tenant.as_str(), forget_before, rows(DAYS_FORGOTTEN_AT_ONCE)];
        self.change(FORGET_DAYS)?.execute(params)?;
        Ok(())
    }

    fn insert_authorization(&mut self, tenant: &TenantId, authorization: &Authorization) -> Result<()> {
        let key = (tenant.clone(), authorization.id.clone());
        self.buffer()?.new_payments.put(key, Arc::new(authorization.clone()));
        Ok(())
    }

    fn settle_authorization(&mut self, tenant: &TenantId, authorization: &Authorization) -> Result<()> {
        let is_new = self.buffer()?.new_payments.has(&(tenant.clone(), authorization.id.clone()));
        if is_new {
            return self.insert_authorization(tenant, authorization);
        }
        self.change(SETTLE_AUTHORIZATION)?.execute(params![
            tenant.as_str(),
            authorization.id.as_str(),
            authorization.captured.nanos(),
            word(&authorization.status)?,
            authorization.settled_at.map(|at| at.0),
        ])?;
        Ok(())
    }
}

pub(super) fn write_new(connection: &Connection, tenant: &TenantId, authorization: &Authorization) -> Result<()> {
    connection.prepare_cached(INSERT_AUTHORIZATION)?.execute(params![
        tenant.as_str(),
        authorization.id.as_str(),
        authorization.session_id.as_str(),
        authorization.agent_id.as_str(),
        authorization.amount.nanos(),
        authorization.captured.nanos(),
        authorization.currency,
        authorization.description,
        word(&authorization.status)?,
        authorization.created_at.0,
        authorization.settled_at.map(|at| at.0),
    ])?;
    Ok(())
}
