-- The proxy: upstream servers, the tools that they offered, policies, and calls that are under way.

CREATE TABLE upstreams (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    folded     TEXT NOT NULL, -- the name without case: two names that people confuse are one
    url        TEXT NOT NULL, -- empty: a child process, from the configuration of one server process
    headers    TEXT NOT NULL, -- JSON; secrets stand in it by their names
    generation INTEGER NOT NULL, -- one more each time it is registered anew
    healthy    INTEGER NOT NULL,
    problem    TEXT NOT NULL,
    checked_at INTEGER,
    calls      INTEGER NOT NULL,
    errors     INTEGER NOT NULL,
    latency    INTEGER NOT NULL, -- of all calls together, in microseconds
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX upstreams_folded ON upstreams (tenant, folded);
CREATE INDEX upstreams_by_check ON upstreams (checked_at) WHERE url <> '';

CREATE TABLE upstream_tools (
    tenant      TEXT NOT NULL,
    upstream    TEXT NOT NULL,
    name        TEXT NOT NULL,
    definition  TEXT NOT NULL, -- JSON, as it was accepted
    digest      BLOB NOT NULL, -- of name, description, schemas and annotations
    offered     TEXT, -- JSON, what the upstream says now, where that differs
    listed      INTEGER NOT NULL, -- whether the newest listing has it
    warnings    TEXT NOT NULL, -- JSON
    marks       TEXT NOT NULL, -- JSON, what the operator says of it
    first_seen  INTEGER NOT NULL,
    changed_at  INTEGER,
    accepted_by TEXT NOT NULL,
    PRIMARY KEY (tenant, upstream, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX upstream_tools_by_name ON upstream_tools (tenant, name);

CREATE TABLE policies (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    definition TEXT NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- Calls that were let through, by policy, whose they count as, and the tenth of a second.
CREATE TABLE policy_uses (
    tenant  TEXT NOT NULL,
    policy  TEXT NOT NULL,
    subject TEXT NOT NULL,
    at      INTEGER NOT NULL,
    uses    INTEGER NOT NULL,
    PRIMARY KEY (tenant, policy, subject, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX policy_uses_by_time ON policy_uses (at);

-- Calls that have left, or are about to, and whose outcome is not known yet.
CREATE TABLE proxy_calls (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    upstream   TEXT NOT NULL,
    tool       TEXT NOT NULL,
    session_id TEXT NOT NULL,
    cost       INTEGER NOT NULL,
    uses       TEXT NOT NULL, -- JSON: rows of policy_uses that it counts in
    started_at INTEGER NOT NULL,
    lease      INTEGER NOT NULL, -- until when its process vouches for it
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX proxy_calls_lease ON proxy_calls (lease);

-- What a session has touched that flow rules ask for.
CREATE TABLE session_taints (
    tenant     TEXT NOT NULL,
    session_id TEXT NOT NULL,
    source     TEXT NOT NULL, -- the tool
    at         INTEGER NOT NULL,
    PRIMARY KEY (tenant, session_id)
) STRICT, WITHOUT ROWID;

-- The upstreams that a secret may be sent to: JSON, part of what its seal is bound to.
ALTER TABLE secrets ADD COLUMN upstreams TEXT NOT NULL DEFAULT '[]';
