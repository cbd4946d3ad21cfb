-- Which key of an agent stored a secret: '' is an operator. Those of before count as operators'.
ALTER TABLE secrets ADD COLUMN stored_by TEXT NOT NULL DEFAULT '';
DROP INDEX secrets_sent;
CREATE INDEX secrets_sent ON secrets (tenant, name, version, created_at, upstreams, stored_by) WHERE upstreams <> '[]';
CREATE INDEX secrets_by_storer ON secrets (tenant, stored_by) WHERE upstreams <> '[]';

-- Values that upstreams can have received and that were replaced or deleted, or may go to fewer upstreams since: they are looked
-- for in answers, and for nothing else. Each is sealed as it was.
CREATE TABLE former_secrets (
    id             INTEGER PRIMARY KEY,
    tenant         TEXT NOT NULL,
    name           TEXT NOT NULL,
    version        INTEGER NOT NULL,
    sealed         BLOB NOT NULL,
    scope_required TEXT NOT NULL,
    disclosure     TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    upstreams      TEXT NOT NULL,
    stored_by      TEXT NOT NULL,
    replaced_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX former_secrets_sent ON former_secrets (tenant, name, version, created_at, upstreams, stored_by);
CREATE INDEX former_secrets_by_storer ON former_secrets (tenant, stored_by);
CREATE INDEX former_secrets_by_name ON former_secrets (tenant, stored_by, name);
CREATE INDEX former_secrets_by_age ON former_secrets (tenant, replaced_at);
