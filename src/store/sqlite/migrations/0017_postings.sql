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

INSERT INTO audit_postings (tenant, of, block, entries)
SELECT tenant, of, block, iif(
    count(*) < 32,
    unhex(group_concat(format('%02x', place), '' ORDER BY place)),
    unhex(format(
        '%016x%016x%016x%016x',
        sum(iif(place < 64, 1 << (63 - place), 0)),
        sum(iif(place BETWEEN 64 AND 127, 1 << (127 - place), 0)),
        sum(iif(place BETWEEN 128 AND 191, 1 << (191 - place), 0)),
        sum(iif(place > 191, 1 << (255 - place), 0))
    ))
)
FROM (
    SELECT tenant, kind || text AS of, (seq - 1) / 256 AS block, (seq - 1) % 256 AS place
    FROM (
        SELECT tenant, seq, 'a:' AS kind, agent_id AS text FROM audit_entries
        UNION ALL
        SELECT tenant, seq, 's:', session_id FROM audit_entries
        UNION ALL
        SELECT tenant, seq, 't:', tool FROM audit_entries
    ) JOIN log_folds USING (tenant)
    WHERE seq BETWEEN 1 AND up_to
)
GROUP BY tenant, of, block;

DROP INDEX audit_by_session;
DROP INDEX audit_by_agent;
DROP INDEX audit_by_tool;
ALTER TABLE audit_entries DROP COLUMN indexed;
