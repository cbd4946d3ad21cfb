-- Usage by month, counters by tenant, ranks of tools and agents.

CREATE TABLE usage (
    tenant       TEXT NOT NULL,
    month        INTEGER NOT NULL, -- since the year 0
    calls        INTEGER NOT NULL,
    secret_reads INTEGER NOT NULL,
    PRIMARY KEY (tenant, month)
) STRICT, WITHOUT ROWID;
INSERT INTO usage (tenant, month, calls, secret_reads)
    SELECT tenant, CAST(strftime('%Y', at / 1000000, 'unixepoch') AS INTEGER) * 12
        + CAST(strftime('%m', at / 1000000, 'unixepoch') AS INTEGER) - 1 AS month, 0, count(*)
    FROM audit_entries WHERE kind = 'governance' AND action = 'secret.read' GROUP BY tenant, month;

-- Kept by the triggers below, in the transaction of whatever is counted.
CREATE TABLE tenant_totals (
    tenant    TEXT NOT NULL PRIMARY KEY,
    keys      INTEGER NOT NULL DEFAULT 0, -- not revoked
    sessions  INTEGER NOT NULL DEFAULT 0,
    agents    INTEGER NOT NULL DEFAULT 0,
    secrets   INTEGER NOT NULL DEFAULT 0,
    payments  INTEGER NOT NULL DEFAULT 0,
    approvals INTEGER NOT NULL DEFAULT 0 -- ever asked for; those that are forgotten before this migration are not in it
) STRICT, WITHOUT ROWID;
INSERT INTO tenant_totals (tenant, keys, sessions, agents, secrets, payments, approvals)
    SELECT id,
        (SELECT count(*) FROM api_keys WHERE tenant = tenants.id AND revoked_at IS NULL),
        (SELECT count(*) FROM sessions WHERE tenant = tenants.id),
        (SELECT count(*) FROM agents WHERE tenant = tenants.id),
        (SELECT count(*) FROM secrets WHERE tenant = tenants.id),
        (SELECT count(*) FROM authorizations WHERE tenant = tenants.id),
        (SELECT count(*) FROM approvals WHERE tenant = tenants.id)
    FROM tenants;
CREATE TRIGGER count_tenant AFTER INSERT ON tenants BEGIN
    INSERT INTO tenant_totals (tenant) VALUES (NEW.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER count_key AFTER INSERT ON api_keys WHEN NEW.revoked_at IS NULL BEGIN
    UPDATE tenant_totals SET keys = keys + 1 WHERE tenant = NEW.tenant;
END;
CREATE TRIGGER count_revoked_key AFTER UPDATE OF revoked_at ON api_keys
    WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL BEGIN
    UPDATE tenant_totals SET keys = keys - 1 WHERE tenant = NEW.tenant;
END;
CREATE TRIGGER count_session AFTER INSERT ON sessions BEGIN
    UPDATE tenant_totals SET sessions = sessions + 1 WHERE tenant = NEW.tenant;
END;
CREATE TRIGGER count_agent AFTER INSERT ON agents BEGIN
    UPDATE tenant_totals SET agents = agents + 1 WHERE tenant = NEW.tenant;
END;
CREATE TRIGGER count_secret AFTER INSERT ON secrets BEGIN
    UPDATE tenant_totals SET secrets = secrets + 1 WHERE tenant = NEW.tenant;
END;
CREATE TRIGGER count_deleted_secret AFTER DELETE ON secrets BEGIN
    UPDATE tenant_totals SET secrets = secrets - 1 WHERE tenant = OLD.tenant;
END;
CREATE TRIGGER count_payment AFTER INSERT ON authorizations BEGIN
    UPDATE tenant_totals SET payments = payments + 1 WHERE tenant = NEW.tenant;
END;
CREATE TRIGGER count_approval AFTER INSERT ON approvals BEGIN
    UPDATE tenant_totals SET approvals = approvals + 1 WHERE tenant = NEW.tenant;
END;

-- Ranks, in eighths of a doubling, move seldom, counts all the time: only ranks are indexed.
ALTER TABLE tool_tallies ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
CREATE TEMP TABLE doublings AS
    WITH RECURSIVE d(n, power) AS (SELECT 0, 1 UNION ALL SELECT n + 1, power * 2 FROM d WHERE n < 62) SELECT n, power FROM d;
UPDATE tool_tallies SET rank = (
    SELECT n * 8 + CASE WHEN n >= 3 THEN actions / (power / 8) ELSE actions * 8 / power END - 7
    FROM temp.doublings WHERE power <= actions ORDER BY power DESC LIMIT 1) WHERE of = '' AND actions > 0;
UPDATE agents SET rank = (
    SELECT n * 8 + CASE WHEN n >= 3 THEN actions / (power / 8) ELSE actions * 8 / power END - 7
    FROM temp.doublings WHERE power <= actions ORDER BY power DESC LIMIT 1) WHERE actions > 0;
DROP TABLE temp.doublings;
CREATE INDEX tools_by_rank ON tool_tallies (tenant, rank) WHERE of = '';
CREATE INDEX agents_by_rank ON agents (tenant, rank);

CREATE INDEX approvals_pending_by_end ON approvals (tenant, expires_at) WHERE status = 'pending';

-- With the prefix, so that a page of keys can begin after any of them.
DROP INDEX api_keys_by_tenant;
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at, prefix);
