-- Entries lie one behind the other, each at the place that its log and its number give it. In a table without row ids,
-- pages between the root and the leaves were full of entries as well, and led to nine pages instead of hundreds.
CREATE TABLE logs (
    base   INTEGER NOT NULL PRIMARY KEY CHECK (base >= 0 AND base % 1099511627776 = 0),
    tenant TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO logs (base, tenant)
SELECT (row_number() OVER (ORDER BY tenant) - 1) * 1099511627776, tenant
FROM (SELECT tenant FROM audit_heads UNION SELECT tenant FROM audit_entries);

CREATE TABLE entries_by_place (
    place          INTEGER NOT NULL PRIMARY KEY, -- the base of its log, and its number
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
    entry_hash     BLOB NOT NULL
) STRICT;
INSERT INTO entries_by_place
SELECT base + seq, id, at, kind, session_id, agent_id, tool, action, cost, flagged, flag_reason, actor, details,
    details_salt, details_digest, prev_hash, entry_hash
FROM logs CROSS JOIN audit_entries USING (tenant) ORDER BY base, seq;

-- Nothing of what retention erases later may stay behind in the pages that become free here.
PRAGMA secure_delete = ON;
DROP TABLE audit_entries;
PRAGMA secure_delete = OFF;
ALTER TABLE entries_by_place RENAME TO audit_entries;
CREATE INDEX audit_flagged ON audit_entries (place) WHERE flagged = 1;

-- Which entries of a log are of a session, of an agent, of a tool: a row for each of them and each block of 256 entries
-- that it has a part in, instead of a row of an index for each entry.
CREATE TABLE audit_postings (
    tenant  TEXT NOT NULL,
    of      TEXT NOT NULL, -- 's:' and a session, 'a:' and an agent, 't:' and a tool
    block   INTEGER NOT NULL, -- (seq - 1) / 256
    -- Of the numbers (seq - 1) % 256: up to 31 as a byte each, in order; more as 256 bits, the first one's the highest.
    entries BLOB NOT NULL,
    PRIMARY KEY (tenant, of, block)
) STRICT, WITHOUT ROWID;

-- A process of an older version that still has the store open would go on to mark entries, which no filter finds. It does
-- not find how far its log is folded any more, and so appends nothing.
ALTER TABLE audit_folds RENAME TO log_folds;

WITH folded AS (SELECT tenant, base, min(up_to, 549755813888) AS up_to FROM log_folds JOIN logs USING (tenant))
INSERT INTO audit_postings (tenant, of, block, entries)
SELECT tenant, of, block, iif(
    count(*) < 32,
    unhex(group_concat(format('%02x', bit), '' ORDER BY bit)),
    unhex(format(
        '%016x%016x%016x%016x',
        sum(iif(bit < 64, 1 << (63 - bit), 0)),
        sum(iif(bit BETWEEN 64 AND 127, 1 << (127 - bit), 0)),
        sum(iif(bit BETWEEN 128 AND 191, 1 << (191 - bit), 0)),
        sum(iif(bit > 191, 1 << (255 - bit), 0))
    ))
)
FROM (
    SELECT tenant, of, (number - 1) / 256 AS block, (number - 1) % 256 AS bit
    FROM (
        SELECT tenant, audit_entries.place - base AS number, 'a:' || agent_id AS of FROM folded JOIN audit_entries
            ON audit_entries.place BETWEEN base + 1 AND base + up_to
        UNION ALL
        SELECT tenant, audit_entries.place - base, 's:' || session_id FROM folded JOIN audit_entries
            ON audit_entries.place BETWEEN base + 1 AND base + up_to
        UNION ALL
        SELECT tenant, audit_entries.place - base, 't:' || tool FROM folded JOIN audit_entries
            ON audit_entries.place BETWEEN base + 1 AND base + up_to
    )
)
GROUP BY tenant, of, block;
