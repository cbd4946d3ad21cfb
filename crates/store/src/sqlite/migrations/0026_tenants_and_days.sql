-- Names of tenants, for their operators; and what may be spent in a day, counted across sessions and processes.

ALTER TABLE tenants ADD COLUMN name TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX tenants_by_name ON tenants (name) WHERE name <> '';

ALTER TABLE sessions ADD COLUMN daily_limit INTEGER; -- of all sessions of its agent that have one
ALTER TABLE sessions ADD COLUMN daily_ceiling INTEGER; -- of all sessions that its maker has made
ALTER TABLE api_keys ADD COLUMN max_daily_spend INTEGER;

CREATE TABLE daily_spend (
    tenant TEXT NOT NULL,
    day    INTEGER NOT NULL, -- UTC, since 1970-01-01
    of     BLOB NOT NULL, -- a keyed hash of the agent, or of the maker: no name is kept here
    spent  INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, of)
) STRICT, WITHOUT ROWID;
