-- Payments in the order of their time, requests in that of their decisions, and those of a kind that were approved.
CREATE INDEX IF NOT EXISTS authorizations_by_time ON authorizations (tenant, created_at, id);
CREATE INDEX IF NOT EXISTS authorizations_by_agent ON authorizations (tenant, agent_id, created_at, id);
CREATE INDEX IF NOT EXISTS authorizations_by_session ON authorizations (tenant, session_id, created_at, id);
CREATE INDEX IF NOT EXISTS authorizations_open ON authorizations (tenant, created_at, id) WHERE status = 'authorized';
CREATE INDEX IF NOT EXISTS approvals_approved ON approvals (tenant, agent_id, tool, action, decided_at) WHERE status = 'approved';
CREATE INDEX IF NOT EXISTS approvals_decided ON approvals (tenant, decided_at, id) WHERE decided_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS approvals_decided_of_agent ON approvals (tenant, agent_id, decided_at, id) WHERE decided_at IS NOT NULL;
