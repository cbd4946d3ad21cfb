-- Approvals: rules, requests and their decisions.

CREATE TABLE approval_rules (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    rule_type  TEXT NOT NULL,
    threshold  INTEGER NOT NULL,
    tools      TEXT NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
    tenant        TEXT NOT NULL,
    id            TEXT NOT NULL,
    session_id    TEXT NOT NULL,
    agent_id      TEXT NOT NULL,
    tool          TEXT NOT NULL,
    action        TEXT NOT NULL,
    amount        INTEGER NOT NULL,
    reason        TEXT NOT NULL,
    details       TEXT, -- JSON
    digest        BLOB NOT NULL, -- of exactly what was asked
    status        TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL, -- 2^63 - 1 is never
    decided_at    INTEGER,
    decided_by    TEXT NOT NULL DEFAULT '',
    decision_note TEXT NOT NULL DEFAULT '',
    used_at       INTEGER,
    settled_at    INTEGER, -- used, denied or expired
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_of_what_was_asked ON approvals (tenant, digest, status, expires_at) WHERE used_at IS NULL;
CREATE INDEX approvals_pending ON approvals (tenant, created_at, id, expires_at) WHERE status = 'pending';
CREATE INDEX approvals_pending_of_agent ON approvals (tenant, agent_id, created_at, id, expires_at)
    WHERE status = 'pending';
CREATE INDEX approvals_pending_of_session ON approvals (tenant, session_id, expires_at) WHERE status = 'pending';
CREATE INDEX approvals_unsettled ON approvals (tenant, expires_at) WHERE settled_at IS NULL;
CREATE INDEX approvals_settled ON approvals (tenant, settled_at) WHERE settled_at IS NOT NULL;
