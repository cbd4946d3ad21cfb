-- The keys that sign tree heads. One signs at a time; one before it signs checkpoints as well, until it retires.
CREATE TABLE signing_keys (
    number     INTEGER NOT NULL PRIMARY KEY, -- from 1; the last one signs
    public_key BLOB NOT NULL,                -- Ed25519, 32 bytes
    created_at INTEGER NOT NULL,
    retires_at INTEGER,                      -- when it signs no more; NULL is the one in use
    seed       BLOB,                         -- sealed under the master key; NULL once it has retired
    mac        BLOB NOT NULL                 -- keyed by the master key: nobody else can add a key
) STRICT;
