-- Gate, vault, watch. Every table is keyed by tenant first. Times are microseconds, money is nano-units.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    id         TEXT NOT NULL PRIMARY KEY,
    data_key   BLOB NOT NULL, -- wrapped under the master key
    authorized INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    digest       BLOB NOT NULL PRIMARY KEY, -- BLAKE3 of the key; the key itself is nowhere
    prefix       TEXT NOT NULL,
    tenant       TEXT NOT NULL,
    name         TEXT NOT NULL,
    tier         TEXT NOT NULL,
    role         TEXT NOT NULL,
    scopes       TEXT NOT NULL, -- JSON
    max_scopes   TEXT, -- JSON
    allow_admin  INTEGER NOT NULL,
    max_spend    INTEGER,
    max_ttl      INTEGER,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_by_prefix ON api_keys (prefix);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at);

CREATE TABLE sessions (
    tenant        TEXT NOT NULL,
    id            TEXT NOT NULL,
    agent_id      TEXT NOT NULL,
    scopes        TEXT NOT NULL, -- JSON
    spend_limit   INTEGER,
    spend_ceiling INTEGER,
    spent         INTEGER NOT NULL DEFAULT 0,
    logged_cost   INTEGER NOT NULL DEFAULT 0,
    action_count  INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    revoked_at    INTEGER,
    parent        TEXT,
    depth         INTEGER NOT NULL,
    created_by    TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_time ON sessions (tenant, created_at, id);
CREATE INDEX sessions_by_agent ON sessions (tenant, agent_id, created_at, id);
CREATE INDEX sessions_by_parent ON sessions (tenant, parent, id) WHERE parent IS NOT NULL;

CREATE TABLE secrets (
    tenant         TEXT NOT NULL,
    name           TEXT NOT NULL,
    version        INTEGER NOT NULL,
    sealed         BLOB NOT NULL, -- nonce and ciphertext under the tenant's data key
    scope_required TEXT NOT NULL,
    disclosure     TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE authorizations (
    tenant      TEXT NOT NULL,
    id          TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    amount      INTEGER NOT NULL,
    captured    INTEGER NOT NULL,
    currency    TEXT NOT NULL,
    description TEXT NOT NULL,
    status      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    settled_at  INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_entries (
    tenant         TEXT NOT NULL,
    seq            INTEGER NOT NULL,
    id             TEXT NOT NULL,
    at             INTEGER NOT NULL, -- never before the entry in front of it
    kind           TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    agent_id       TEXT NOT NULL,
    tool           TEXT NOT NULL,
    action         TEXT NOT NULL,
    cost           INTEGER NOT NULL,
    flagged        INTEGER NOT NULL,
    flag_reason    TEXT NOT NULL,
    actor          TEXT NOT NULL,
    details        TEXT, -- JSON
    details_salt   BLOB,
    details_digest BLOB,
    prev_hash      BLOB NOT NULL,
    entry_hash     BLOB NOT NULL,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_by_session ON audit_entries (tenant, session_id, seq);
CREATE INDEX audit_by_agent ON audit_entries (tenant, agent_id, seq);
CREATE INDEX audit_by_tool ON audit_entries (tenant, tool, seq);
CREATE INDEX audit_flagged ON audit_entries (tenant, seq) WHERE flagged = 1;

CREATE TABLE audit_heads (
    tenant     TEXT NOT NULL PRIMARY KEY,
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    entry_hash BLOB NOT NULL,
    tree       BLOB NOT NULL, -- the Merkle frontier
    mac        BLOB NOT NULL, -- keyed by the tenant's data key
    actions    INTEGER NOT NULL,
    cost       INTEGER NOT NULL,
    flagged    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
    tenant        TEXT NOT NULL,
    agent_id      TEXT NOT NULL,
    actions       INTEGER NOT NULL,
    cost          INTEGER NOT NULL,
    authorized    INTEGER NOT NULL,
    burst_start   INTEGER NOT NULL,
    burst_count   INTEGER NOT NULL,
    refusal_start INTEGER NOT NULL,
    refusal_count INTEGER NOT NULL,
    secret_start  INTEGER NOT NULL,
    secret_count  INTEGER NOT NULL,
    PRIMARY KEY (tenant, agent_id)
) STRICT, WITHOUT ROWID;

-- `of` is empty for the whole tenant, `a:` and an agent, or `s:` and a session.
CREATE TABLE tool_tallies (
    tenant  TEXT NOT NULL,
    of      TEXT NOT NULL,
    tool    TEXT NOT NULL,
    actions INTEGER NOT NULL,
    cost    INTEGER NOT NULL,
    PRIMARY KEY (tenant, of, tool)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    tenant     TEXT NOT NULL,
    caller     TEXT NOT NULL,
    key        TEXT NOT NULL,
    digest     BLOB NOT NULL,
    status     INTEGER NOT NULL,
    body       TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_time ON idempotency (created_at);

CREATE TABLE hourly_calls (
    key_digest BLOB NOT NULL PRIMARY KEY,
    hour       INTEGER NOT NULL,
    used       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
