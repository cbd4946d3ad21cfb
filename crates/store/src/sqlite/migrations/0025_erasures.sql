-- Erasure of what concerns one agent or one session. Entries keep their places, hashes, times and amounts; what was erased
-- of one, and what stands for it in the tree, is told here.

CREATE TABLE subject_erasures (
    tenant       TEXT NOT NULL,
    number       INTEGER NOT NULL, -- from 1, no gaps
    kind         TEXT NOT NULL, -- agent or session
    subject      BLOB, -- a keyed hash of the name, to find the erasure again; null once it is complete
    begun_at     INTEGER NOT NULL,
    completed_at INTEGER,
    actor        TEXT NOT NULL,
    up_to_seq    INTEGER NOT NULL,
    stage        INTEGER NOT NULL,
    position     TEXT NOT NULL, -- how far the stage has come
    entries      INTEGER NOT NULL,
    details      INTEGER NOT NULL,
    sessions     INTEGER NOT NULL,
    records      INTEGER NOT NULL,
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX subject_erasures_open ON subject_erasures (tenant, subject) WHERE subject IS NOT NULL;

CREATE TABLE erased_entries (
    tenant  TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    erasure INTEGER NOT NULL,
    leaf    BLOB, -- of the tree, where the whole entry was erased; null where its details were
    mac     BLOB NOT NULL, -- keyed by the tenant's data key, over what is left of the entry
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;

-- The session of the call that an answer is kept for: null is an answer from before this was told, '' is no session.
ALTER TABLE idempotency ADD COLUMN session_id TEXT;
