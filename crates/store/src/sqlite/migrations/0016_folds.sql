-- What follows from the entries of a log is brought up to the log for many entries at once: the indexes below, the
-- counters of days and of evidence, the tree's tiles.

-- Up to which entry that was done. An entry behind it is not indexed.
CREATE TABLE audit_folds (
    tenant TEXT NOT NULL PRIMARY KEY,
    up_to  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO audit_folds (tenant, up_to) SELECT tenant, seq FROM audit_heads;

ALTER TABLE audit_entries ADD COLUMN indexed INTEGER NOT NULL DEFAULT 1;
DROP INDEX audit_by_session;
DROP INDEX audit_by_agent;
DROP INDEX audit_by_tool;
CREATE INDEX audit_by_session ON audit_entries (tenant, session_id, seq) WHERE indexed = 1;
CREATE INDEX audit_by_agent ON audit_entries (tenant, agent_id, seq) WHERE indexed = 1;
CREATE INDEX audit_by_tool ON audit_entries (tenant, tool, seq) WHERE indexed = 1;

-- A process of an older version that still has the store open would go on to count and index for itself. It does not find
-- its tiles any more, and so appends nothing.
ALTER TABLE audit_tiles RENAME TO tree_tiles;
