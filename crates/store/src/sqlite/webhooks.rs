//! Webhooks: subscriptions, outbox, dead letters, attempts.

use rusqlite::{OptionalExtension, Row, params};

use super::{
    SqliteTx,
    rows::{Columns, json, rows, word},
    statements::statements,
};
use crate::{
    Attempt, DeadLetter, PreviousSecret, QueuedEvent, ReadWebhooks, Webhook, WriteWebhooks,
    error::Result,
    model::{Money, SessionId, TenantId, UnixMicros},
};

statements! {
    WEBHOOK = "SELECT id, url, name, events, state, secret, secret_version, previous, previous_until, delivered, failed,
        failures, waiting, last_seq, due_at, lease, created_at FROM webhooks WHERE tenant = ?1 AND id = ?2";
    WEBHOOKS = "SELECT id, url, name, events, state, secret, secret_version, previous, previous_until, delivered, failed,
        failures, waiting, last_seq, due_at, lease, created_at FROM webhooks WHERE tenant = ?1 ORDER BY id";
    PUT_WEBHOOK = "INSERT OR REPLACE INTO webhooks (tenant, id, url, name, events, state, secret, secret_version, previous,
        previous_until, delivered, failed, failures, waiting, last_seq, due_at, lease, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
    DELETE_WEBHOOK = "DELETE FROM webhooks WHERE tenant = ?1 AND id = ?2";
    DUE = "SELECT tenant, id FROM webhooks WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
    NEXT_DUE = "SELECT due_at FROM webhooks WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1";
    QUEUED = "SELECT seq, event_id, event_type, body, queued_at, attempts FROM webhook_outbox
        WHERE tenant = ?1 AND webhook_id = ?2 ORDER BY seq LIMIT ?3";
    PUT_EVENT = "INSERT OR REPLACE INTO webhook_outbox (tenant, webhook_id, seq, event_id, event_type, body, queued_at,
        attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    DELETE_EVENT = "DELETE FROM webhook_outbox WHERE tenant = ?1 AND webhook_id = ?2 AND seq = ?3";
    DEAD = "SELECT webhook_id, died_at, reason, seq, event_id, event_type, body, queued_at, attempts FROM webhook_dead
        WHERE tenant = ?1 AND webhook_id = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4";
    PUT_DEAD = "INSERT OR REPLACE INTO webhook_dead (tenant, webhook_id, died_at, reason, seq, event_id, event_type, body,
        queued_at, attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    FIRST_DEAD = "SELECT seq FROM webhook_dead WHERE tenant = ?1 AND webhook_id = ?2 AND seq < ?3 ORDER BY seq LIMIT ?4";
    DELETE_DEAD = "DELETE FROM webhook_dead WHERE tenant = ?1 AND webhook_id = ?2 AND seq = ?3";
    ATTEMPTS = "SELECT seq, webhook_id, url, event_id, event_type, attempt, status, excerpt, error, duration, at, retry_at
        FROM webhook_attempts WHERE tenant = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";
    ATTEMPTS_OF_EVENT = "SELECT seq, webhook_id, url, event_id, event_type, attempt, status, excerpt, error, duration, at,
        retry_at FROM webhook_attempts WHERE tenant = ?1 AND seq < ?2 AND event_id = ?4 ORDER BY seq DESC LIMIT ?3";
    INSERT_ATTEMPT = "INSERT INTO webhook_attempts (tenant, seq, webhook_id, url, event_id, event_type, attempt, status,
        excerpt, error, duration, at, retry_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    WEBHOOK_NUMBER = "INSERT INTO webhook_numbers (tenant, webhook, attempt) VALUES (?1, 1, 0)
        ON CONFLICT DO UPDATE SET webhook = webhook + 1 RETURNING webhook";
    ATTEMPT_NUMBER = "INSERT INTO webhook_numbers (tenant, webhook, attempt) VALUES (?1, 0, 1)
        ON CONFLICT DO UPDATE SET attempt = attempt + 1 RETURNING attempt";
    COUNT_ATTEMPT = "INSERT INTO webhook_hours (tenant, hour, attempts, delivered) VALUES (?1, ?2, 1, ?3)
        ON CONFLICT DO UPDATE SET attempts = attempts + 1, delivered = delivered + ?3";
    FORGET_HOURS = "DELETE FROM webhook_hours WHERE tenant = ?1 AND hour < ?2";
    ATTEMPT_COUNTS = "SELECT coalesce(sum(attempts), 0), coalesce(sum(delivered), 0) FROM webhook_hours
        WHERE tenant = ?1 AND hour >= ?2";
    EXHAUSTED = "SELECT spent FROM webhook_exhausted WHERE tenant = ?1 AND session_id = ?2";
    PUT_EXHAUSTED = "INSERT OR REPLACE INTO webhook_exhausted (tenant, session_id, spent, at) VALUES (?1, ?2, ?3, ?4)";
    OLD_ATTEMPTS = "SELECT tenant, seq FROM webhook_attempts WHERE at < ?1 ORDER BY at LIMIT ?2";
    FORGET_ATTEMPT = "DELETE FROM webhook_attempts WHERE tenant = ?1 AND seq = ?2";
    OLD_DEAD = "SELECT tenant, webhook_id, seq FROM webhook_dead WHERE died_at < ?1 ORDER BY died_at LIMIT ?2";
    OLD_EXHAUSTED = "SELECT tenant, session_id FROM webhook_exhausted WHERE at < ?1 ORDER BY at LIMIT ?2";
    FORGET_EXHAUSTED = "DELETE FROM webhook_exhausted WHERE tenant = ?1 AND session_id = ?2";
}

/// Hours whose attempts stay counted.
const KEEP_HOURS: i64 = 48;

fn hour(at: UnixMicros) -> i64 {
    at.as_seconds().div_euclid(3_600)
}

fn webhook(row: &Row<'_>) -> Result<Webhook> {
    let mut columns = Columns::of(row);
    let (id, url, name, events, state) =
        (columns.next()?, columns.next()?, columns.next()?, columns.next()?, columns.next()?);
    let (secret, secret_version): (Vec<u8>, i64) = (columns.next()?, columns.next()?);
    let previous: (Option<Vec<u8>>, Option<UnixMicros>) = (columns.next()?, columns.next()?);
    Ok(Webhook {
        id,
        url,
        name,
        events,
        state,
        secret,
        secret_version,
        previous: previous.0.zip(previous.1).map(|(sealed, until)| PreviousSecret { sealed, until }),
        delivered: columns.next()?,
        failed: columns.next()?,
        failures: columns.next()?,
        waiting: columns.next()?,
        last_seq: columns.next()?,
        due_at: columns.next()?,
        lease: columns.next()?,
        created_at: columns.next()?,
    })
}

fn event(columns: &mut Columns<'_, '_>) -> Result<QueuedEvent> {
    Ok(QueuedEvent {
        seq: columns.next()?,
        event_id: columns.next()?,
        event_type: columns.next()?,
        body: columns.next()?,
        queued_at: columns.next()?,
        attempts: columns.next()?,
    })
}

fn attempt(row: &Row<'_>) -> Result<Attempt> {
    let mut columns = Columns::of(row);
    Ok(Attempt {
        seq: columns.next()?,
        webhook_id: columns.next()?,
        url: columns.next()?,
        event_id: columns.next()?,
        event_type: columns.next()?,
        attempt: columns.next()?,
        status: columns.next()?,
        excerpt: columns.next()?,
        error: columns.next()?,
        duration_ms: columns.next()?,
        at: columns.next()?,
        retry_at: columns.next()?,
    })
}

impl ReadWebhooks for SqliteTx<'_> {
    fn webhook(&self, tenant: &TenantId, id: i64) -> Result<Option<Webhook>> {
        let mut statement = self.connection()?.prepare_cached(WEBHOOK)?;
        let mut rows = statement.query(params![tenant.as_str(), id])?;
        rows.next()?.map(webhook).transpose()
    }

    fn webhooks(&self, tenant: &TenantId) -> Result<Vec<Webhook>> {
        let mut statement = self.connection()?.prepare_cached(WEBHOOKS)?;
        statement.query_and_then([tenant.as_str()], webhook)?.collect()
    }

    fn due_webhooks(&self, now: UnixMicros, limit: usize) -> Result<Vec<(TenantId, i64)>> {
        let mut statement = self.connection()?.prepare_cached(DUE)?;
        let read = |row: &Row<'_>| {
            let mut columns = Columns::of(row);
            Ok((columns.next()?, columns.next()?))
        };
        statement.query_and_then(params![now.0, rows(limit)], read)?.collect()
    }

    fn next_due(&self) -> Result<Option<UnixMicros>> {
        let mut statement = self.connection()?.prepare_cached(NEXT_DUE)?;
        Ok(statement.query_row([], |row| row.get(0)).optional()?.map(UnixMicros))
    }

    fn queued_events(&self, tenant: &TenantId, webhook: i64, limit: usize) -> Result<Vec<QueuedEvent>> {
        let mut statement = self.connection()?.prepare_cached(QUEUED)?;
        let read = |row: &Row<'_>| event(&mut Columns::of(row));
        statement.query_and_then(params![tenant.as_str(), webhook, rows(limit)], read)?.collect()
    }

    fn dead_letters(&self, tenant: &TenantId, webhook: i64, after_seq: i64, limit: usize) -> Result<Vec<DeadLetter>> {
        let mut statement = self.connection()?.prepare_cached(DEAD)?;
        let read = |row: &Row<'_>| {
            let mut columns = Columns::of(row);
            let (webhook_id, died_at, reason) = (columns.next()?, columns.next()?, columns.next()?);
            Ok(DeadLetter { webhook_id, died_at, reason, event: event(&mut columns)? })
        };
        statement.query_and_then(params![tenant.as_str(), webhook, after_seq, rows(limit)], read)?.collect()
    }

    fn attempts(&self, tenant: &TenantId, event: Option<&str>, before_seq: i64, limit: usize) -> Result<Vec<Attempt>> {
        let (tenant, limit) = (tenant.as_str(), rows(limit));
        if let Some(event) = event {
            let mut statement = self.connection()?.prepare_cached(ATTEMPTS_OF_EVENT)?;
            statement.query_and_then(params![tenant, before_seq, limit, event], attempt)?.collect()
        } else {
            let mut statement = self.connection()?.prepare_cached(ATTEMPTS)?;
            statement.query_and_then(params![tenant, before_seq, limit], attempt)?.collect()
        }
    }

    fn attempt_counts(&self, tenant: &TenantId, since: UnixMicros) -> Result<(i64, i64)> {
        let mut statement = self.connection()?.prepare_cached(ATTEMPT_COUNTS)?;
        Ok(statement.query_row(params![tenant.as_str(), hour(since)], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }
}

impl WriteWebhooks for SqliteTx<'_> {
    fn next_webhook_id(&mut self, tenant: &TenantId) -> Result<i64> {
        let mut statement = self.change(WEBHOOK_NUMBER)?;
        Ok(statement.query_row([tenant.as_str()], |row| row.get(0))?)
    }

    fn put_webhook(&mut self, tenant: &TenantId, webhook: &Webhook) -> Result<()> {
        let previous = webhook.previous.as_ref();
        self.change(PUT_WEBHOOK)?.execute(params![
            tenant.as_str(),
            webhook.id,
            webhook.url,
            webhook.name,
            json(&webhook.events)?,
            word(&webhook.state)?,
            webhook.secret,
            webhook.secret_version,
            previous.map(|previous| &previous.sealed),
            previous.map(|previous| previous.until.0),
            webhook.delivered,
            webhook.failed,
            webhook.failures,
            webhook.waiting,
            webhook.last_seq,
            webhook.due_at.map(|at| at.0),
            webhook.lease,
            webhook.created_at.0,
        ])?;
        Ok(())
    }

    fn delete_webhook(&mut self, tenant: &TenantId, id: i64, limit: usize) -> Result<bool> {
        let events = self.queued_events(tenant, id, limit)?;
        for event in &events {
            self.delete_event(tenant, id, event.seq)?;
        }
        let letters = self.dead_letters(tenant, id, 0, limit)?;
        for letter in &letters {
            self.delete_dead_letter(tenant, id, letter.event.seq)?;
        }
        let is_empty = events.len() < limit && letters.len() < limit;
        if is_empty {
            self.change(DELETE_WEBHOOK)?.execute(params![tenant.as_str(), id])?;
        }
        Ok(is_empty)
    }

    fn put_event(&mut self, tenant: &TenantId, webhook: i64, event: &QueuedEvent) -> Result<()> {
        self.change(PUT_EVENT)?.execute(params![
            tenant.as_str(),
            webhook,
            event.seq,
            event.event_id,
            event.event_type,
            event.body,
            event.queued_at.0,
            event.attempts,
        ])?;
        Ok(())
    }

    fn delete_event(&mut self, tenant: &TenantId, webhook: i64, seq: i64) -> Result<bool> {
        let mut statement = self.change(DELETE_EVENT)?;
        Ok(statement.execute(params![tenant.as_str(), webhook, seq])? > 0)
    }

    fn put_dead_letter(&mut self, tenant: &TenantId, letter: &DeadLetter, keep_from: i64, limit: usize) -> Result<()> {
        let DeadLetter { webhook_id, event, died_at, reason } = letter;
        self.change(PUT_DEAD)?.execute(params![
            tenant.as_str(),
            webhook_id,
            died_at.0,
            reason,
            event.seq,
            event.event_id,
            event.event_type,
            event.body,
            event.queued_at.0,
            event.attempts,
        ])?;
        let params = params![tenant.as_str(), webhook_id, keep_from, rows(limit)];
        let mut find = self.connection()?.prepare_cached(FIRST_DEAD)?;
        let old: Vec<i64> = find.query_map(params, |row| row.get(0))?.collect::<Result<_, _>>()?;
        for seq in old {
            self.change(DELETE_DEAD)?.execute(params![tenant.as_str(), webhook_id, seq])?;
        }
        Ok(())
    }

    fn delete_dead_letter(&mut self, tenant: &TenantId, webhook: i64, seq: i64) -> Result<()> {
        self.change(DELETE_DEAD)?.execute(params![tenant.as_str(), webhook, seq])?;
        Ok(())
    }

    fn insert_attempt(&mut self, tenant: &TenantId, attempt: &Attempt) -> Result<()> {
        let seq: i64 = self.change(ATTEMPT_NUMBER)?.query_row([tenant.as_str()], |row| row.get(0))?;
        self.change(INSERT_ATTEMPT)?.execute(params![
            tenant.as_str(),
            seq,
            attempt.webhook_id,
            attempt.url,
            attempt.event_id,
            attempt.event_type,
            attempt.attempt,
            attempt.status,
            attempt.excerpt,
            attempt.error,
            attempt.duration_ms,
            attempt.at.0,
            attempt.retry_at.map(|at| at.0),
        ])?;
        let is_delivered = (200..300).contains(&attempt.status);
        let hour = hour(attempt.at);
        self.change(COUNT_ATTEMPT)?.execute(params![tenant.as_str(), hour, is_delivered])?;
        self.change(FORGET_HOURS)?.execute(params![tenant.as_str(), hour - KEEP_HOURS])?;
        Ok(())
    }

    fn record_exhaustion(
        &mut self,
        tenant: &TenantId,
        session: &SessionId,
        spent: Money,
        now: UnixMicros,
    ) -> Result<bool> {
        let key = [tenant.as_str(), session.as_str()];
        let mut told = self.connection()?.prepare_cached(EXHAUSTED)?;
        let told: Option<i64> = told.query_row(key, |row| row.get(0)).optional()?;
        if told == Some(spent.nanos()) {
            return Ok(false);
        }
        self.change(PUT_EXHAUSTED)?.execute(params![tenant.as_str(), session.as_str(), spent.nanos(), now.0])?;
        Ok(true)
    }

    fn forget_deliveries(&mut self, before: UnixMicros, limit: usize) -> Result<usize> {
        let mut forgotten = 0;
        for (find, forget) in
            [(OLD_ATTEMPTS, FORGET_ATTEMPT), (OLD_DEAD, DELETE_DEAD), (OLD_EXHAUSTED, FORGET_EXHAUSTED)]
        {
            let mut find = self.connection()?.prepare_cached(find)?;
            let width = find.column_count();
            let key = |row: &Row<'_>| (0..width).map(|index| row.get(index)).collect();
            let old: Vec<Vec<rusqlite::types::Value>> =
                find.query_map(params![before.0, rows(limit)], key)?.collect::<Result<_, _>>()?;
            let mut forget = self.change(forget)?;
            for key in &old {
                forgotten += forget.execute(rusqlite::params_from_iter(key))?;
            }
        }
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    #[tokio::test]
    async fn what_is_old_is_forgotten_in_steps_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("w.db")).unwrap();
        let tenant = TenantId::local();
        let attempt = |at| Attempt {
            seq: 0,
            webhook_id: 1,
            url: "http://r/".into(),
            event_id: "evt".into(),
            event_type: "ping".into(),
            attempt: 1,
            status: 200,
            excerpt: String::new(),
            error: String::new(),
            duration_ms: 1,
            at: UnixMicros(at),
            retry_at: None,
        };
        let event = |seq| QueuedEvent {
            seq,
            event_id: "evt".into(),
            event_type: "ping".into(),
            body: "{}".into(),
            queued_at: UnixMicros(0),
            attempts: 1,
        };
        let write = store.write(move |tx| {
            let tenant = TenantId::local();
            for at in [10, 20, 30, 90] {
                tx.insert_attempt(&tenant, &attempt(at))?;
                let letter =
                    DeadLetter { webhook_id: 1, event: event(at), died_at: UnixMicros(at), reason: String::new() };
                tx.put_dead_letter(&tenant, &letter, 0, 2)?;
            }
            let before = UnixMicros(50);
            Ok([2; 3].map(|limit| tx.forget_deliveries(before, limit).unwrap()))
        });
        assert_eq!(write.await.unwrap(), [4, 2, 0]);
        let left = store.read(|tx| {
            let (attempts, letters) = (tx.attempts(&tenant, None, i64::MAX, 10)?, tx.dead_letters(&tenant, 1, 0, 10)?);
            Ok((
                attempts[0].at,
                attempts.len(),
                letters[0].died_at,
                letters.len(),
                tx.attempt_counts(&tenant, UnixMicros(0))?,
            ))
        });
        assert_eq!(left.unwrap(), (UnixMicros(90), 1, UnixMicros(90), 1, (4, 4)));
    }
}
