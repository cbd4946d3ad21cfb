-- The keys that sign tree heads. One signs at a time; one before it signs checkpoints as well, until it retires.
CREATE TABLE signing_keys (
    number     INTEGER NOT NULL PRIMARY KEY, -- from 1; the last one signs
    public_key BLOB NOT NULL,                -- Ed25519, 32 bytes
    created_at INTEGER NOT NULL,
    retires_at INTEGER,                      -- when it signs no more; NULL is the one in use
    seed       BLOB,                         -- sealed under the master key; NULL once it has retired
    mac        BLOB NOT NULL                 -- keyed by the master key: nobody else can add a key
) STRICT;

-- The Merkle tree of each log as C2SP tlog-tiles, sixteen hashes to a row: sixteen rows are a tile.
CREATE TABLE audit_tiles (
    tenant TEXT NOT NULL,
    level  INTEGER NOT NULL, -- 0: the leaves; L: the roots of complete subtrees of 256^L leaves
    part   INTEGER NOT NULL, -- hashes 16 * part to 16 * part + 15 of the level
    hashes BLOB NOT NULL,
    PRIMARY KEY (tenant, level, part)
) STRICT, WITHOUT ROWID;

-- Leaves from before there were tiles: SHA-256 is nothing that SQL can do, so a haldir that opens the store does.
CREATE TABLE audit_tree_builds (
    tenant   TEXT NOT NULL PRIMARY KEY,
    done     INTEGER NOT NULL,
    total    INTEGER NOT NULL,
    frontier BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO audit_tree_builds (tenant, done, total, frontier)
    SELECT tenant, 0, seq, x'' FROM audit_heads WHERE seq > 0;

-- Tree heads that were signed and recorded, for the log of tree heads.
CREATE TABLE audit_tree_heads (
    tenant     TEXT NOT NULL,
    tree_size  INTEGER NOT NULL,
    root_hash  BLOB NOT NULL,
    signed_at  INTEGER NOT NULL, -- Unix seconds
    public_key BLOB NOT NULL,
    signature  BLOB NOT NULL,
    PRIMARY KEY (tenant, tree_size)
) STRICT, WITHOUT ROWID;
