-- The whole schema, as the migrations of the embedded database have left it. Every table is keyed by tenant first. Times are
-- microseconds, money is nano-units, booleans are 0 and 1. Texts are compared byte by byte, as in the embedded database.

CREATE TABLE meta (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE tenants (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    data_key BYTEA NOT NULL, -- wrapped under the master key
    authorized BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL DEFAULT ''
);

CREATE TABLE api_keys (
    digest BYTEA NOT NULL PRIMARY KEY, -- BLAKE3 of the key; the key itself is nowhere
    prefix TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    tier TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL, -- JSON
    max_scopes TEXT COLLATE "C", -- JSON
    allow_admin BIGINT NOT NULL,
    max_spend BIGINT,
    max_ttl BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    max_daily_spend BIGINT
);
CREATE INDEX api_keys_by_prefix ON api_keys (prefix);

CREATE TABLE sessions (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL, -- JSON
    spend_limit BIGINT,
    spend_ceiling BIGINT,
    spent BIGINT NOT NULL DEFAULT 0,
    logged_cost BIGINT NOT NULL DEFAULT 0,
    action_count BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    parent TEXT COLLATE "C",
    depth BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    daily_limit BIGINT,
    daily_ceiling BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX sessions_by_time ON sessions (tenant, created_at, id);
CREATE INDEX sessions_by_agent ON sessions (tenant, agent_id, created_at, id);
CREATE INDEX sessions_by_parent ON sessions (tenant, parent, id) WHERE parent IS NOT NULL;

CREATE TABLE secrets (
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    sealed BYTEA NOT NULL, -- nonce and ciphertext under the tenant's data key
    scope_required TEXT COLLATE "C" NOT NULL,
    disclosure TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    upstreams TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    stored_by TEXT COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, name)
);

CREATE TABLE authorizations (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    captured BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    settled_at BIGINT,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE audit_heads (
    tenant TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    entry_hash BYTEA NOT NULL,
    tree BYTEA NOT NULL, -- the Merkle frontier
    mac BYTEA NOT NULL, -- keyed by the tenant's data key
    actions BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    flagged BIGINT NOT NULL
);

CREATE TABLE agents (
    tenant TEXT COLLATE "C" NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    actions BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    authorized BIGINT NOT NULL,
    burst_start BIGINT NOT NULL,
    burst_count BIGINT NOT NULL,
    refusal_start BIGINT NOT NULL,
    refusal_count BIGINT NOT NULL,
    secret_start BIGINT NOT NULL,
    secret_count BIGINT NOT NULL,
    rank BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, agent_id)
);

CREATE TABLE tool_tallies (
    tenant TEXT COLLATE "C" NOT NULL,
    of TEXT COLLATE "C" NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    actions BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    rank BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, of, tool)
);

CREATE TABLE idempotency (
    tenant TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    status BIGINT NOT NULL,
    body TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    session_id TEXT COLLATE "C",
    PRIMARY KEY (tenant, caller, key)
);
CREATE INDEX idempotency_by_time ON idempotency (created_at);

CREATE TABLE hourly_calls (
    key_digest BYTEA NOT NULL PRIMARY KEY,
    hour BIGINT NOT NULL,
    used BIGINT NOT NULL
);

CREATE TABLE approval_rules (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    rule_type TEXT COLLATE "C" NOT NULL,
    threshold BIGINT NOT NULL,
    tools TEXT COLLATE "C" NOT NULL, -- JSON
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    operator_only BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE approvals (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    details TEXT COLLATE "C", -- JSON
    digest BYTEA NOT NULL, -- of exactly what was asked
    status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, -- 2^63 - 1 is never
    decided_at BIGINT,
    decided_by TEXT COLLATE "C" NOT NULL DEFAULT '',
    decision_note TEXT COLLATE "C" NOT NULL DEFAULT '',
    used_at BIGINT,
    settled_at BIGINT, -- used, denied or expired
    operator_only BIGINT NOT NULL DEFAULT 0,
    arguments TEXT COLLATE "C",
    dialogs BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX approvals_of_what_was_asked ON approvals (tenant, digest, status, expires_at) WHERE used_at IS NULL;
CREATE INDEX approvals_pending ON approvals (tenant, created_at, id, expires_at) WHERE status = 'pending';
CREATE INDEX approvals_pending_of_agent ON approvals (tenant, agent_id, created_at, id, expires_at)
    WHERE status = 'pending';
CREATE INDEX approvals_pending_of_session ON approvals (tenant, session_id, expires_at) WHERE status = 'pending';
CREATE INDEX approvals_unsettled ON approvals (tenant, expires_at) WHERE settled_at IS NULL;
CREATE INDEX approvals_settled ON approvals (tenant, settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE webhooks (
    tenant TEXT COLLATE "C" NOT NULL,
    id BIGINT NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    events TEXT COLLATE "C" NOT NULL, -- JSON
    state TEXT COLLATE "C" NOT NULL,
    secret BYTEA NOT NULL, -- sealed under the tenant's data key
    secret_version BIGINT NOT NULL,
    previous BYTEA, -- the secret before, sealed, until previous_until
    previous_until BIGINT,
    delivered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    failures BIGINT NOT NULL, -- in a row
    waiting BIGINT NOT NULL, -- its rows in webhook_outbox
    last_seq BIGINT NOT NULL,
    due_at BIGINT, -- when it is to be looked at; of a process that is at work, when its lease ends
    lease BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE webhook_outbox (
    tenant TEXT COLLATE "C" NOT NULL,
    webhook_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    queued_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    PRIMARY KEY (tenant, webhook_id, seq)
);

CREATE TABLE webhook_dead (
    tenant TEXT COLLATE "C" NOT NULL,
    webhook_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    queued_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    died_at BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, webhook_id, seq)
);
CREATE INDEX webhook_dead_by_time ON webhook_dead (died_at);

CREATE TABLE webhook_attempts (
    tenant TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    webhook_id BIGINT NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    status BIGINT NOT NULL, -- 0 is no answer
    excerpt TEXT COLLATE "C" NOT NULL,
    error TEXT COLLATE "C" NOT NULL,
    duration BIGINT NOT NULL, -- milliseconds
    at BIGINT NOT NULL,
    retry_at BIGINT,
    PRIMARY KEY (tenant, seq)
);
CREATE INDEX webhook_attempts_by_event ON webhook_attempts (tenant, event_id, seq);
CREATE INDEX webhook_attempts_by_time ON webhook_attempts (at);

CREATE TABLE webhook_hours (
    tenant TEXT COLLATE "C" NOT NULL,
    hour BIGINT NOT NULL, -- since 1970
    attempts BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    PRIMARY KEY (tenant, hour)
);

CREATE TABLE webhook_numbers (
    tenant TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    webhook BIGINT NOT NULL,
    attempt BIGINT NOT NULL
);

CREATE TABLE webhook_exhausted (
    tenant TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    spent BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, session_id)
);
CREATE INDEX webhook_exhausted_by_time ON webhook_exhausted (at);

CREATE TABLE audit_days (
    tenant TEXT COLLATE "C" NOT NULL,
    day BIGINT NOT NULL,
    of TEXT COLLATE "C" NOT NULL,
    entries BIGINT NOT NULL,
    actions BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    flagged BIGINT NOT NULL,
    sessions BIGINT NOT NULL, -- that began
    by_tool TEXT COLLATE "C" NOT NULL, -- JSON: entries by tool, those beyond a bound under `(other)`
    by_action TEXT COLLATE "C" NOT NULL, -- JSON, the same
    PRIMARY KEY (tenant, day, of)
);
CREATE INDEX sessions_by_end
    ON sessions (tenant, coalesce(expires_at, 9223372036854775807), agent_id) WHERE revoked_at IS NULL;

CREATE TABLE audit_retention (
    tenant TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    retain_days BIGINT NOT NULL, -- 0 is for ever
    updated_at BIGINT NOT NULL,
    updated_by TEXT COLLATE "C" NOT NULL,
    mac BYTEA NOT NULL -- keyed by the tenant's data key
);

CREATE TABLE audit_erasures (
    tenant TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL, -- from 1, no gaps
    created_at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    retain_days BIGINT NOT NULL,
    before BIGINT NOT NULL,
    up_to_seq BIGINT NOT NULL,
    done_seq BIGINT NOT NULL,
    erased BIGINT NOT NULL,
    tree_size BIGINT NOT NULL,
    root_hash BYTEA NOT NULL,
    mac BYTEA NOT NULL, -- keyed by the tenant's data key
    PRIMARY KEY (tenant, number)
);

CREATE TABLE usage (
    tenant TEXT COLLATE "C" NOT NULL,
    month BIGINT NOT NULL, -- since the year 0
    calls BIGINT NOT NULL,
    secret_reads BIGINT NOT NULL,
    PRIMARY KEY (tenant, month)
);

CREATE TABLE tenant_totals (
    tenant TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    keys BIGINT NOT NULL DEFAULT 0, -- not revoked
    sessions BIGINT NOT NULL DEFAULT 0,
    agents BIGINT NOT NULL DEFAULT 0,
    secrets BIGINT NOT NULL DEFAULT 0,
    payments BIGINT NOT NULL DEFAULT 0,
    approvals BIGINT NOT NULL DEFAULT 0 -- ever asked for; those that are forgotten before this migration are not in it
);
CREATE INDEX tools_by_rank ON tool_tallies (tenant, rank) WHERE of = '';
CREATE INDEX agents_by_rank ON agents (tenant, rank);
CREATE INDEX approvals_pending_by_end ON approvals (tenant, expires_at) WHERE status = 'pending';
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at, prefix);

CREATE TABLE signing_keys (
    number BIGINT NOT NULL PRIMARY KEY, -- from 1; the last one signs
    public_key BYTEA NOT NULL,                -- Ed25519, 32 bytes
    created_at BIGINT NOT NULL,
    retires_at BIGINT,                      -- when it signs no more; NULL is the one in use
    seed BYTEA,                         -- sealed under the master key; NULL once it has retired
    mac BYTEA NOT NULL                 -- keyed by the master key: nobody else can add a key
);

CREATE TABLE tree_tiles (
    tenant TEXT COLLATE "C" NOT NULL,
    level BIGINT NOT NULL, -- 0: the leaves; L: the roots of complete subtrees of 256^L leaves
    part BIGINT NOT NULL, -- hashes 16 * part to 16 * part + 15 of the level
    hashes BYTEA NOT NULL,
    PRIMARY KEY (tenant, level, part)
);

CREATE TABLE audit_tree_builds (
    tenant TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    frontier BYTEA NOT NULL
);

CREATE TABLE audit_tree_heads (
    tenant TEXT COLLATE "C" NOT NULL,
    tree_size BIGINT NOT NULL,
    root_hash BYTEA NOT NULL,
    signed_at BIGINT NOT NULL, -- Unix seconds
    public_key BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    PRIMARY KEY (tenant, tree_size)
);

CREATE TABLE evidence_counts (
    tenant TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    second BIGINT NOT NULL,
    count BIGINT NOT NULL,
    amount BIGINT NOT NULL, -- nano-units; stops at the largest integer instead of becoming a float
    PRIMARY KEY (tenant, what, second)
);

CREATE TABLE log_marks (
    tenant TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    actions BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    flagged BIGINT NOT NULL,
    PRIMARY KEY (tenant, seq)
);

CREATE TABLE compliance_schedules (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    cadence TEXT COLLATE "C" NOT NULL,
    webhook_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    period_start BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    last_run_at BIGINT,
    last_error TEXT COLLATE "C" NOT NULL,
    run_count BIGINT NOT NULL,
    fail_count BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX compliance_schedules_due ON compliance_schedules (due_at);

CREATE TABLE upstreams (
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    folded TEXT COLLATE "C" NOT NULL, -- the name without case: two names that people confuse are one
    url TEXT COLLATE "C" NOT NULL, -- empty: a child process, from the configuration of one server process
    headers TEXT COLLATE "C" NOT NULL, -- JSON; secrets stand in it by their names
    generation BIGINT NOT NULL, -- one more each time it is registered anew
    healthy BIGINT NOT NULL,
    problem TEXT COLLATE "C" NOT NULL,
    checked_at BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    limits TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, name)
);
CREATE UNIQUE INDEX upstreams_folded ON upstreams (tenant, folded);
CREATE INDEX upstreams_by_check ON upstreams (checked_at) WHERE url <> '';

CREATE TABLE upstream_tools (
    tenant TEXT COLLATE "C" NOT NULL,
    upstream TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    definition TEXT COLLATE "C" NOT NULL, -- JSON, as it was accepted
    digest BYTEA NOT NULL, -- of name, description, schemas and annotations
    offered TEXT COLLATE "C", -- JSON, what the upstream says now, where that differs
    listed BIGINT NOT NULL, -- whether the newest listing has it
    warnings TEXT COLLATE "C" NOT NULL, -- JSON
    marks TEXT COLLATE "C" NOT NULL, -- JSON, what the operator says of it
    first_seen BIGINT NOT NULL,
    changed_at BIGINT,
    accepted_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, upstream, name)
);
CREATE INDEX upstream_tools_by_name ON upstream_tools (tenant, name);

CREATE TABLE policies (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    definition TEXT COLLATE "C" NOT NULL, -- JSON
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE policy_uses (
    tenant TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    PRIMARY KEY (tenant, policy, subject, at)
);
CREATE INDEX policy_uses_by_time ON policy_uses (at);

CREATE TABLE session_taints (
    tenant TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL, -- the tool
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, session_id)
);
CREATE INDEX approvals_edited ON approvals (tenant, expires_at) WHERE arguments IS NOT NULL AND used_at IS NULL;

CREATE TABLE log_folds (
    tenant TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    up_to BIGINT NOT NULL
);

CREATE TABLE audit_postings (
    tenant TEXT COLLATE "C" NOT NULL,
    of TEXT COLLATE "C" NOT NULL, -- 's:' and a session, 'a:' and an agent, 't:' and a tool
    block BIGINT NOT NULL, -- (seq - 1) / 256
    -- Of the numbers (seq - 1) % 256: up to 31 as a byte each, in order; more as 256 bits, the first one's the highest.
    entries BYTEA NOT NULL,
    PRIMARY KEY (tenant, of, block)
);

CREATE TABLE calls (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL, -- of a call under way; or ':' and an upstream, for all of it that have ended
    upstream TEXT COLLATE "C",
    tool TEXT COLLATE "C",
    session_id TEXT COLLATE "C",
    cost BIGINT,
    uses TEXT COLLATE "C", -- JSON: rows of policy_uses that it counts in
    started_at BIGINT,
    lease BIGINT, -- until when its process vouches for it; null is not under way
    calls BIGINT,
    errors BIGINT,
    latency BIGINT, -- of all together, in microseconds
    PRIMARY KEY (tenant, id)
);

CREATE TABLE kept_answers (
    tenant TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    answers BIGINT NOT NULL,
    bytes BIGINT NOT NULL
);

CREATE TABLE subject_erasures (
    tenant TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL, -- from 1, no gaps
    kind TEXT COLLATE "C" NOT NULL, -- agent or session
    subject BYTEA, -- a keyed hash of the name, to find the erasure again; null once it is complete
    begun_at BIGINT NOT NULL,
    completed_at BIGINT,
    actor TEXT COLLATE "C" NOT NULL,
    up_to_seq BIGINT NOT NULL,
    stage BIGINT NOT NULL,
    position TEXT COLLATE "C" NOT NULL, -- how far the stage has come
    entries BIGINT NOT NULL,
    details BIGINT NOT NULL,
    sessions BIGINT NOT NULL,
    records BIGINT NOT NULL,
    PRIMARY KEY (tenant, number)
);
CREATE INDEX subject_erasures_open ON subject_erasures (tenant, subject) WHERE subject IS NOT NULL;

CREATE TABLE erased_entries (
    tenant TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    erasure BIGINT NOT NULL,
    leaf BYTEA, -- of the tree, where the whole entry was erased; null where its details were
    mac BYTEA NOT NULL, -- keyed by the tenant's data key, over what is left of the entry
    PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX tenants_by_name ON tenants (name) WHERE name <> '';

CREATE TABLE daily_spend (
    tenant TEXT COLLATE "C" NOT NULL,
    day BIGINT NOT NULL, -- UTC, since 1970-01-01
    of BYTEA NOT NULL, -- a keyed hash of the agent, or of the maker: no name is kept here
    spent BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, of)
);
CREATE INDEX secrets_sent ON secrets (tenant, name) WHERE upstreams <> '[]';
CREATE INDEX secrets_by_storer ON secrets (tenant, stored_by) WHERE upstreams <> '[]';
CREATE INDEX authorizations_by_time ON authorizations (tenant, created_at, id);
CREATE INDEX authorizations_by_agent ON authorizations (tenant, agent_id, created_at, id);
CREATE INDEX authorizations_by_session ON authorizations (tenant, session_id, created_at, id);
CREATE INDEX authorizations_open ON authorizations (tenant, created_at, id) WHERE status = 'authorized';
CREATE INDEX approvals_approved ON approvals (tenant, agent_id, tool, md5(action), decided_at) WHERE status = 'approved';
CREATE INDEX approvals_decided ON approvals (tenant, decided_at, id) WHERE decided_at IS NOT NULL;
CREATE INDEX approvals_decided_of_agent ON approvals (tenant, agent_id, decided_at, id) WHERE decided_at IS NOT NULL;

CREATE TABLE former_secrets (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    scope_required TEXT COLLATE "C" NOT NULL,
    disclosure TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    upstreams TEXT COLLATE "C" NOT NULL,
    stored_by TEXT COLLATE "C" NOT NULL,
    replaced_at BIGINT NOT NULL
);
CREATE INDEX former_secrets_sent ON former_secrets (tenant, name, version, created_at);
CREATE INDEX former_secrets_by_storer ON former_secrets (tenant, stored_by, id);
CREATE INDEX former_secrets_by_name ON former_secrets (tenant, stored_by, name, id);
CREATE INDEX former_secrets_by_age ON former_secrets (tenant, replaced_at);

-- A log lies in one partition, in the order of its entries.
CREATE TABLE logs (
    log BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL UNIQUE
);
CREATE TABLE audit_entries (
    log BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL, -- never before the entry in front of it
    kind TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    cost BIGINT NOT NULL,
    flagged BIGINT NOT NULL,
    flag_reason TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    details TEXT COLLATE "C", -- JSON
    details_salt BYTEA,
    details_digest BYTEA,
    prev_hash BYTEA NOT NULL,
    entry_hash BYTEA NOT NULL,
    PRIMARY KEY (log, seq)
) PARTITION BY HASH (log);
DO $$ BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE audit_entries_%s PARTITION OF audit_entries
            FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
    END LOOP;
END $$;
CREATE INDEX audit_flagged ON audit_entries (log, seq) WHERE flagged = 1;

-- The last batch of writes of each process: after a lost connection it tells whether that batch was committed.
CREATE TABLE batches (
    process BYTEA PRIMARY KEY,
    number BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Which process has written for each tenant last, and in which of its batches.
CREATE TABLE tenant_batches (
    tenant TEXT COLLATE "C" PRIMARY KEY,
    process BYTEA NOT NULL,
    number BIGINT NOT NULL
);

-- How many rows of a kind each tenant has, kept in the transaction of the row that is counted.
CREATE FUNCTION count_tenant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO tenant_totals (tenant) VALUES (NEW.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER count_tenant AFTER INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION count_tenant();

CREATE FUNCTION count_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE tenant_totals SET keys = keys + CASE WHEN NEW.revoked_at IS NULL THEN 1 ELSE -1 END WHERE tenant = NEW.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER count_key AFTER INSERT ON api_keys FOR EACH ROW WHEN (NEW.revoked_at IS NULL) EXECUTE FUNCTION count_key();
CREATE TRIGGER count_revoked_key AFTER UPDATE OF revoked_at ON api_keys FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION count_key();

CREATE FUNCTION count_session() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE tenant_totals SET sessions = sessions + 1 WHERE tenant = NEW.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER count_session AFTER INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION count_session();

CREATE FUNCTION count_agent() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE tenant_totals SET agents = agents + 1 WHERE tenant = NEW.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER count_agent AFTER INSERT ON agents FOR EACH ROW EXECUTE FUNCTION count_agent();

CREATE FUNCTION count_secret() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE tenant_totals SET secrets = secrets + CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END
        WHERE tenant = CASE TG_OP WHEN 'INSERT' THEN NEW.tenant ELSE OLD.tenant END;
    RETURN NULL;
END $$;
CREATE TRIGGER count_secret AFTER INSERT OR DELETE ON secrets FOR EACH ROW EXECUTE FUNCTION count_secret();

CREATE FUNCTION count_payment() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE tenant_totals SET payments = payments + 1 WHERE tenant = NEW.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER count_payment AFTER INSERT ON authorizations FOR EACH ROW EXECUTE FUNCTION count_payment();

CREATE FUNCTION count_approval() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE tenant_totals SET approvals = approvals + 1 WHERE tenant = NEW.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER count_approval AFTER INSERT ON approvals FOR EACH ROW EXECUTE FUNCTION count_approval();

-- Running totals for evidence: one row for each second in which something happened. An amount stops at the largest integer.
CREATE FUNCTION count_evidence(owner TEXT, counted TEXT, happened BIGINT, added BIGINT) RETURNS void LANGUAGE sql AS $$
    INSERT INTO evidence_counts (tenant, what, second, count, amount)
        SELECT owner, counted, greatest(happened / 1000000, coalesce(newest.second, 0)), coalesce(newest.count, 0) + 1,
            least(coalesce(newest.amount, 0), 9223372036854775807 - added) + added
        FROM (SELECT 1) AS one LEFT JOIN (SELECT second, count, amount FROM evidence_counts
            WHERE tenant = owner AND what = counted ORDER BY second DESC LIMIT 1) AS newest ON true
        ON CONFLICT (tenant, what, second) DO UPDATE SET count = excluded.count, amount = excluded.amount
$$;

CREATE FUNCTION evidence_of_payment() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM count_evidence(NEW.tenant, 'payment:authorized', NEW.created_at, NEW.amount);
    RETURN NULL;
END $$;
CREATE TRIGGER evidence_of_payment AFTER INSERT ON authorizations FOR EACH ROW EXECUTE FUNCTION evidence_of_payment();

CREATE FUNCTION evidence_of_settlement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM count_evidence(NEW.tenant, 'payment:' || NEW.status, NEW.settled_at,
        CASE NEW.status WHEN 'captured' THEN NEW.captured ELSE NEW.amount END);
    RETURN NULL;
END $$;
CREATE TRIGGER evidence_of_settlement AFTER UPDATE OF status ON authorizations FOR EACH ROW
    WHEN (NEW.status <> OLD.status AND NEW.settled_at IS NOT NULL) EXECUTE FUNCTION evidence_of_settlement();

CREATE FUNCTION evidence_of_delivery() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM count_evidence(NEW.tenant,
        CASE WHEN NEW.status BETWEEN 200 AND 299 THEN 'delivery:succeeded' ELSE 'delivery:failed' END, NEW.at, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER evidence_of_delivery AFTER INSERT ON webhook_attempts FOR EACH ROW EXECUTE FUNCTION evidence_of_delivery();
