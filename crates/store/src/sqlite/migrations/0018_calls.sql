-- Every call changes who is under way and what its upstream has counted. In one table they are mostly one page of a commit,
-- where three were written before: two tables, and an index over leases, which hardly anybody asked for.
CREATE TABLE calls (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL, -- of a call under way; or ':' and an upstream, for all of it that have ended
    upstream   TEXT,
    tool       TEXT,
    session_id TEXT,
    cost       INTEGER,
    uses       TEXT, -- JSON: rows of policy_uses that it counts in
    started_at INTEGER,
    lease      INTEGER, -- until when its process vouches for it; null is not under way
    calls      INTEGER,
    errors     INTEGER,
    latency    INTEGER, -- of all together, in microseconds
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
INSERT INTO calls (tenant, id, upstream, tool, session_id, cost, uses, started_at, lease)
SELECT tenant, id, upstream, tool, session_id, cost, uses, started_at, lease FROM proxy_calls;
INSERT INTO calls (tenant, id, calls, errors, latency) SELECT tenant, ':' || name, calls, errors, latency FROM upstreams;

-- A process of an older version that still has the store open does not find these any more: it begins no call, and one that
-- it has under way is closed as unknown.
DROP TABLE proxy_calls;
ALTER TABLE upstreams DROP COLUMN calls;
ALTER TABLE upstreams DROP COLUMN errors;
ALTER TABLE upstreams DROP COLUMN latency;
