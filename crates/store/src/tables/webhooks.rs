//! Webhooks: subscriptions, outbox, dead letters, attempts.

use serde::{Deserialize, Serialize};

use crate::{
    ReadTx, Tx,
    database::{Columns, FromRow, Record, from_row, params, record},
    error::{Error, Result},
    model::{Money, SessionId, TenantId, UnixMicros},
    statements::statements,
};

macro_rules! webhook {
    () => {
        "id, url, name, events, state, secret, secret_version, previous, previous_until, delivered, failed, failures, waiting,
        last_seq, due_at, lease, created_at"
    };
}

macro_rules! queued_event {
    () => {
        "seq, event_id, event_type, body, queued_at, attempts"
    };
}

record! { webhook_attempts: Attempt as attempt {
    seq, webhook_id, url, event_id, event_type, attempt, status, excerpt, error, duration_ms = "duration", at, retry_at,
} }

statements! {
    WEBHOOK = concat!("SELECT ", webhook!(), " FROM webhooks WHERE tenant = ?1 AND id = ?2");
    WEBHOOKS = concat!("SELECT ", webhook!(), " FROM webhooks WHERE tenant = ?1 ORDER BY id");
    PUT_WEBHOOK = concat!("INSERT OR REPLACE INTO webhooks (tenant, ", webhook!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)");
    DELETE_WEBHOOK = "DELETE FROM webhooks WHERE tenant = ?1 AND id = ?2";
    DUE = "SELECT tenant, id FROM webhooks WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
    NEXT_DUE = "SELECT due_at FROM webhooks WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1";
    QUEUED = concat!("SELECT ", queued_event!(), " FROM webhook_outbox
        WHERE tenant = ?1 AND webhook_id = ?2 ORDER BY seq LIMIT ?3");
    PUT_EVENT = concat!("INSERT OR REPLACE INTO webhook_outbox (tenant, webhook_id, ", queued_event!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    DELETE_EVENT = "DELETE FROM webhook_outbox WHERE tenant = ?1 AND webhook_id = ?2 AND seq = ?3";
    DEAD = concat!("SELECT webhook_id, died_at, reason, ", queued_event!(), " FROM webhook_dead
        WHERE tenant = ?1 AND webhook_id = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4");
    PUT_DEAD = concat!("INSERT OR REPLACE INTO webhook_dead (tenant, webhook_id, died_at, reason, ", queued_event!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    FIRST_DEAD = "SELECT seq FROM webhook_dead WHERE tenant = ?1 AND webhook_id = ?2 AND seq < ?3 ORDER BY seq LIMIT ?4";
    DELETE_DEAD = "DELETE FROM webhook_dead WHERE tenant = ?1 AND webhook_id = ?2 AND seq = ?3";
    ATTEMPTS = concat!("SELECT ", attempt!(), " FROM webhook_attempts WHERE tenant = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3");
    ATTEMPTS_OF_EVENT = concat!("SELECT ", attempt!(), " FROM webhook_attempts WHERE tenant = ?1 AND seq < ?2 AND event_id = ?4
        ORDER BY seq DESC LIMIT ?3");
    INSERT_ATTEMPT = Attempt::INSERT;
    WEBHOOK_NUMBER = "INSERT INTO webhook_numbers (tenant, webhook, attempt) VALUES (?1, 1, 0)
        ON CONFLICT DO UPDATE SET webhook = webhook_numbers.webhook + 1 RETURNING webhook";
    ATTEMPT_NUMBER = "INSERT INTO webhook_numbers (tenant, webhook, attempt) VALUES (?1, 0, 1)
        ON CONFLICT DO UPDATE SET attempt = webhook_numbers.attempt + 1 RETURNING attempt";
    COUNT_ATTEMPT = "INSERT INTO webhook_hours (tenant, hour, attempts, delivered) VALUES (?1, ?2, 1, ?3)
        ON CONFLICT DO UPDATE SET attempts = webhook_hours.attempts + 1, delivered = webhook_hours.delivered + ?3";
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

fn no_number() -> Error {
    Error::internal("the store gave out no number")
}

/// Hours whose attempts stay counted.
const KEEP_HOURS: i64 = 48;

fn hour(at: UnixMicros) -> i64 {
    at.as_seconds().div_euclid(3_600)
}

/// Where a webhook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookState {
    /// It gets events.
    Active,
    /// Its receiver said that it is gone; what waited is being made dead letters.
    Disabled,
    /// It is being removed, with all that waits.
    Deleted,
}

/// A secret that is valid for a while beside its successor.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct PreviousSecret {
    pub sealed: Vec<u8>,
    pub until: UnixMicros,
}

/// A subscription.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Webhook {
    pub id: i64,
    pub url: String,
    pub name: String,
    /// The words of the events it wants.
    pub events: Vec<String>,
    pub state: WebhookState,
    pub secret: Vec<u8>,
    pub secret_version: i64,
    pub previous: Option<PreviousSecret>,
    /// Attempts that were answered with success.
    pub delivered: i64,
    /// Attempts that were not.
    pub failed: i64,
    /// How many of the latter came last, in a row.
    pub failures: i64,
    /// Events in its outbox.
    pub waiting: i64,
    /// The number of the last event it was given.
    pub last_seq: i64,
    /// When it is to be looked at. A process that is at work on it puts the end of its lease here, so that no other
    /// finds it due, and another does if the process dies.
    pub due_at: Option<UnixMicros>,
    /// The token of the process that is at work on it.
    pub lease: Option<i64>,
    pub created_at: UnixMicros,
}

/// An event on its way to one webhook.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct QueuedEvent {
    pub seq: i64,
    pub event_id: String,
    pub event_type: String,
    /// The body, the same bytes each time.
    pub body: String,
    pub queued_at: UnixMicros,
    pub attempts: i64,
}

/// An event that was given up.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct DeadLetter {
    pub webhook_id: i64,
    pub event: QueuedEvent,
    pub died_at: UnixMicros,
    pub reason: String,
}

/// One attempt to deliver an event.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Attempt {
    /// Given out by the store, per tenant.
    pub seq: i64,
    pub webhook_id: i64,
    pub url: String,
    pub event_id: String,
    pub event_type: String,
    pub attempt: i64,
    /// 0 is no answer.
    pub status: u16,
    pub excerpt: String,
    pub error: String,
    pub duration_ms: i64,
    pub at: UnixMicros,
    pub retry_at: Option<UnixMicros>,
}

impl FromRow for Webhook {
    fn from_row(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: columns.next()?,
            url: columns.next()?,
            name: columns.next()?,
            events: columns.next()?,
            state: columns.next()?,
            secret: columns.next()?,
            secret_version: columns.next()?,
            previous: {
                let (sealed, until) = (columns.next::<Option<Vec<u8>>>()?, columns.next::<Option<UnixMicros>>()?);
                sealed.zip(until).map(|(sealed, until)| PreviousSecret { sealed, until })
            },
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
}

from_row! { QueuedEvent { seq, event_id, event_type, body, queued_at, attempts } }

impl FromRow for DeadLetter {
    fn from_row(columns: &mut Columns<'_>) -> Result<Self> {
        let (webhook_id, died_at, reason) = (columns.next()?, columns.next()?, columns.next()?);
        Ok(Self { webhook_id, died_at, reason, event: FromRow::from_row(columns)? })
    }
}

#[allow(missing_docs)]
impl ReadTx {
    pub fn webhook(&self, tenant: &TenantId, id: i64) -> Result<Option<Webhook>> {
        self.first(WEBHOOK, params![tenant, id])
    }

    /// All of a tenant, by number; their count is bounded when they are made.
    pub fn webhooks(&self, tenant: &TenantId) -> Result<Vec<Webhook>> {
        self.all(WEBHOOKS, params![tenant])
    }

    /// Webhooks of all tenants that are to be looked at by `now`, the longest due first, at most `limit`.
    pub fn due_webhooks(&self, now: UnixMicros, limit: usize) -> Result<Vec<(TenantId, i64)>> {
        self.all(DUE, params![now, limit])
    }

    /// When the next webhook is due.
    pub fn next_due(&self) -> Result<Option<UnixMicros>> {
        self.first(NEXT_DUE, &[])
    }

    /// What waits for a webhook, oldest first, at most `limit`.
    pub fn queued_events(&self, tenant: &TenantId, webhook: i64, limit: usize) -> Result<Vec<QueuedEvent>> {
        self.all(QUEUED, params![tenant, webhook, limit])
    }

    /// A tenant's dead letters of one webhook, oldest first, after `after_seq`, at most `limit`.
    pub fn dead_letters(
        &self,
        tenant: &TenantId,
        webhook: i64,
        after_seq: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.all(DEAD, params![tenant, webhook, after_seq, limit])
    }

    /// Attempts, newest first, of one event or all, before `before_seq`, at most `limit`.
    pub fn attempts(
        &self,
        tenant: &TenantId,
        event: Option<&str>,
        before_seq: i64,
        limit: usize,
    ) -> Result<Vec<Attempt>> {
        match event {
            Some(event) => self.all(ATTEMPTS_OF_EVENT, params![tenant, before_seq, limit, event]),
            None => self.all(ATTEMPTS, params![tenant, before_seq, limit]),
        }
    }

    /// How many attempts were made since the hour of `since`, at most two days ago, and how many succeeded.
    pub fn attempt_counts(&self, tenant: &TenantId, since: UnixMicros) -> Result<(i64, i64)> {
        self.one(ATTEMPT_COUNTS, params![tenant, hour(since)])
    }
}

#[allow(missing_docs)]
impl Tx {
    /// A number for a new webhook.
    pub fn next_webhook_id(&mut self, tenant: &TenantId) -> Result<i64> {
        self.change_returning(WEBHOOK_NUMBER, params![tenant])?.ok_or_else(no_number)
    }

    /// Inserts or replaces.
    pub fn put_webhook(&mut self, tenant: &TenantId, webhook: &Webhook) -> Result<()> {
        let (w, previous) = (webhook, webhook.previous.as_ref());
        let params = params![
            tenant,
            w.id,
            w.url,
            w.name,
            w.events,
            w.state,
            w.secret,
            w.secret_version,
            previous.map(|previous| &previous.sealed),
            previous.map(|previous| previous.until),
            w.delivered,
            w.failed,
            w.failures,
            w.waiting,
            w.last_seq,
            w.due_at,
            w.lease,
            w.created_at,
        ];
        self.change(PUT_WEBHOOK, params).map(drop)
    }

    /// Deletes at most `limit` waiting events and as many dead letters of a webhook, and the webhook once it has none;
    /// whether it is gone.
    pub fn delete_webhook(&mut self, tenant: &TenantId, id: i64, limit: usize) -> Result<bool> {
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
            self.change(DELETE_WEBHOOK, params![tenant, id])?;
        }
        Ok(is_empty)
    }

    /// Inserts or replaces.
    pub fn put_event(&mut self, tenant: &TenantId, webhook: i64, event: &QueuedEvent) -> Result<()> {
        let QueuedEvent { seq, event_id, event_type, body, queued_at, attempts } = event;
        let params = params![tenant, webhook, seq, event_id, event_type, body, queued_at, attempts];
        self.change(PUT_EVENT, params).map(drop)
    }

    /// Whether it was there.
    pub fn delete_event(&mut self, tenant: &TenantId, webhook: i64, seq: i64) -> Result<bool> {
        Ok(self.change(DELETE_EVENT, params![tenant, webhook, seq])? > 0)
    }

    /// Puts a dead letter; the oldest ones with numbers below `keep_from`, at most `limit`, make way for it.
    pub fn put_dead_letter(
        &mut self,
        tenant: &TenantId,
        letter: &DeadLetter,
        keep_from: i64,
        limit: usize,
    ) -> Result<()> {
        let DeadLetter { webhook_id, event, died_at, reason } = letter;
        let QueuedEvent { seq, event_id, event_type, body, queued_at, attempts } = event;
        let params = params![tenant, webhook_id, died_at, reason, seq, event_id, event_type, body, queued_at, attempts];
        self.change(PUT_DEAD, params)?;
        for seq in self.all::<i64>(FIRST_DEAD, params![tenant, webhook_id, keep_from, limit])? {
            self.delete_dead_letter(tenant, *webhook_id, seq)?;
        }
        Ok(())
    }

    pub fn delete_dead_letter(&mut self, tenant: &TenantId, webhook: i64, seq: i64) -> Result<()> {
        self.change(DELETE_DEAD, params![tenant, webhook, seq]).map(drop)
    }

    /// Records an attempt; its number is given out here.
    pub fn insert_attempt(&mut self, tenant: &TenantId, attempt: &Attempt) -> Result<()> {
        let seq = self.change_returning(ATTEMPT_NUMBER, params![tenant])?.ok_or_else(no_number)?;
        self.change(INSERT_ATTEMPT, &Attempt { seq, ..attempt.clone() }.params(tenant))?;
        let is_delivered = (200..300).contains(&attempt.status);
        let hour = hour(attempt.at);
        self.change(COUNT_ATTEMPT, params![tenant, hour, is_delivered])?;
        self.change(FORGET_HOURS, params![tenant, hour - KEEP_HOURS]).map(drop)
    }

    /// Records that the exhaustion of a session's budget is told; `false` if it was told when as much was spent.
    pub fn record_exhaustion(
        &mut self,
        tenant: &TenantId,
        session: &SessionId,
        spent: Money,
        now: UnixMicros,
    ) -> Result<bool> {
        if self.first(EXHAUSTED, params![tenant, session])? == Some(spent) {
            return Ok(false);
        }
        self.change(PUT_EXHAUSTED, params![tenant, session, spent, now])?;
        Ok(true)
    }

    /// Forgets attempts and dead letters from before `before`, at most `limit` of each; answers how many.
    pub fn forget_deliveries(&mut self, before: UnixMicros, limit: usize) -> Result<usize> {
        let mut forgotten = 0;
        for (tenant, seq) in self.all::<(String, i64)>(OLD_ATTEMPTS, params![before, limit])? {
            forgotten += self.change(FORGET_ATTEMPT, params![tenant, seq])?;
        }
        for (tenant, webhook, seq) in self.all::<(String, i64, i64)>(OLD_DEAD, params![before, limit])? {
            forgotten += self.change(DELETE_DEAD, params![tenant, webhook, seq])?;
        }
        for (tenant, session) in self.all::<(String, String)>(OLD_EXHAUSTED, params![before, limit])? {
            forgotten += self.change(FORGET_EXHAUSTED, params![tenant, session])?;
        }
        Ok(forgotten)
    }
}
