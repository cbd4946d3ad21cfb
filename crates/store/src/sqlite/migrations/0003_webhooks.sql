-- Webhooks: subscriptions, their outbox, dead letters, and a record of every attempt.

CREATE TABLE webhooks (
    tenant         TEXT NOT NULL,
    id             INTEGER NOT NULL,
    url            TEXT NOT NULL,
    name           TEXT NOT NULL,
    events         TEXT NOT NULL, -- JSON
    state          TEXT NOT NULL,
    secret         BLOB NOT NULL, -- sealed under the tenant's data key
    secret_version INTEGER NOT NULL,
    previous       BLOB, -- the secret before, sealed, until previous_until
    previous_until INTEGER,
    delivered      INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    failures       INTEGER NOT NULL, -- in a row
    waiting        INTEGER NOT NULL, -- its rows in webhook_outbox
    last_seq       INTEGER NOT NULL,
    due_at         INTEGER, -- when it is to be looked at; of a process that is at work, when its lease ends
    lease          INTEGER,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;

-- Events on their way, in the order in which a webhook gets them.
CREATE TABLE webhook_outbox (
    tenant     TEXT NOT NULL,
    webhook_id INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    event_id   TEXT NOT NULL,
    event_type TEXT NOT NULL,
    body       TEXT NOT NULL,
    queued_at  INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    PRIMARY KEY (tenant, webhook_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_dead (
    tenant     TEXT NOT NULL,
    webhook_id INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    event_id   TEXT NOT NULL,
    event_type TEXT NOT NULL,
    body       TEXT NOT NULL,
    queued_at  INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    died_at    INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (tenant, webhook_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_dead_by_time ON webhook_dead (died_at);

CREATE TABLE webhook_attempts (
    tenant     TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    webhook_id INTEGER NOT NULL,
    url        TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    event_type TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    status     INTEGER NOT NULL, -- 0 is no answer
    excerpt    TEXT NOT NULL,
    error      TEXT NOT NULL,
    duration   INTEGER NOT NULL, -- milliseconds
    at         INTEGER NOT NULL,
    retry_at   INTEGER,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_attempts_by_event ON webhook_attempts (tenant, event_id, seq);
CREATE INDEX webhook_attempts_by_time ON webhook_attempts (at);

-- Attempts by hour, so that nobody counts rows to say how the last day went.
CREATE TABLE webhook_hours (
    tenant    TEXT NOT NULL,
    hour      INTEGER NOT NULL, -- since 1970
    attempts  INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    PRIMARY KEY (tenant, hour)
) STRICT, WITHOUT ROWID;

-- The last numbers given out: no number is given twice, also after a deletion.
CREATE TABLE webhook_numbers (
    tenant  TEXT NOT NULL PRIMARY KEY,
    webhook INTEGER NOT NULL,
    attempt INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a session had spent when the exhaustion of its budget was last told.
CREATE TABLE webhook_exhausted (
    tenant     TEXT NOT NULL,
    session_id TEXT NOT NULL,
    spent      INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (tenant, session_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_exhausted_by_time ON webhook_exhausted (at);
