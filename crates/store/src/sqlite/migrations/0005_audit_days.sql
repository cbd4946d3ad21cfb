-- What the log holds, by day; and how long `details` are kept.

-- `of` is empty for the whole tenant, or `a:` and an agent. `day` is a UTC day since 1970-01-01, or -1 for all days.
-- A day's rows lie side by side, so that an append touches two pages more, whoever's it is.
CREATE TABLE audit_days (
    tenant     TEXT NOT NULL,
    day        INTEGER NOT NULL,
    of         TEXT NOT NULL,
    entries    INTEGER NOT NULL,
    actions    INTEGER NOT NULL,
    cost       INTEGER NOT NULL,
    flagged    INTEGER NOT NULL,
    sessions   INTEGER NOT NULL, -- that began
    by_tool    TEXT NOT NULL, -- JSON: entries by tool, those beyond a bound under `(other)`
    by_action  TEXT NOT NULL, -- JSON, the same
    PRIMARY KEY (tenant, day, of)
) STRICT, WITHOUT ROWID;

-- The same as in the migration of usage, where it may stand already.
CREATE INDEX IF NOT EXISTS sessions_by_end
    ON sessions (tenant, ifnull(expires_at, 9223372036854775807), agent_id) WHERE revoked_at IS NULL;

CREATE TABLE audit_retention (
    tenant      TEXT NOT NULL PRIMARY KEY,
    retain_days INTEGER NOT NULL, -- 0 is for ever
    updated_at  INTEGER NOT NULL,
    updated_by  TEXT NOT NULL,
    mac         BLOB NOT NULL -- keyed by the tenant's data key
) STRICT, WITHOUT ROWID;

-- Every entry up to `done_seq` of the newest row is without its details, and none behind it.
CREATE TABLE audit_erasures (
    tenant      TEXT NOT NULL,
    number      INTEGER NOT NULL, -- from 1, no gaps
    created_at  INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    retain_days INTEGER NOT NULL,
    before      INTEGER NOT NULL,
    up_to_seq   INTEGER NOT NULL,
    done_seq    INTEGER NOT NULL,
    erased      INTEGER NOT NULL,
    tree_size   INTEGER NOT NULL,
    root_hash   BLOB NOT NULL,
    mac         BLOB NOT NULL, -- keyed by the tenant's data key
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;

-- The days of a log that was begun before they were counted.
WITH counted AS MATERIALIZED (
    SELECT tenant, CASE WHEN owners.column1 = 0 THEN '' ELSE 'a:' || agent_id END AS of,
        CASE WHEN spans.column1 = 0 THEN at / 86400000000 ELSE -1 END AS day, kind, cost, flagged, tool, action
    FROM audit_entries, (VALUES (0), (1)) AS owners, (VALUES (0), (1)) AS spans
),
names AS (
    SELECT tenant, of, day, 'tool' AS what, tool AS name, count(*) AS times FROM counted GROUP BY tenant, of, day, tool
    UNION ALL
    SELECT tenant, of, day, 'action', action, count(*) FROM counted GROUP BY tenant, of, day, action
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY tenant, of, day, what
        ORDER BY length(CAST(name AS BLOB)) > 64, times DESC, name) AS place FROM names
),
bounded AS (
    SELECT tenant, of, day, what,
        CASE WHEN place <= 32 AND length(CAST(name AS BLOB)) <= 64 THEN name ELSE '(other)' END AS name,
        sum(times) AS times
    FROM ranked GROUP BY 1, 2, 3, 4, 5
),
lines AS (
    SELECT tenant, of, day,
        json_group_object(name, times) FILTER (WHERE what = 'tool') AS by_tool,
        json_group_object(name, times) FILTER (WHERE what = 'action') AS by_action
    FROM bounded GROUP BY tenant, of, day
),
totals AS (
    SELECT tenant, of, day, count(*) AS entries, sum(kind = 'action') AS actions,
        sum((kind = 'action') * (cost / 1000000000)) AS units, sum((kind = 'action') * (cost % 1000000000)) AS nanos,
        sum(flagged) AS flagged, sum(kind = 'governance' AND action = 'session.create') AS sessions
    FROM counted GROUP BY tenant, of, day
)
INSERT INTO audit_days (tenant, day, of, entries, actions, cost, flagged, sessions, by_tool, by_action)
SELECT tenant, day, of, entries, actions,
    CASE WHEN units + nanos / 1000000000 < 9223372036 THEN units * 1000000000 + nanos ELSE 9223372036854775807 END,
    flagged, sessions, by_tool, by_action
FROM totals JOIN lines USING (tenant, of, day);
