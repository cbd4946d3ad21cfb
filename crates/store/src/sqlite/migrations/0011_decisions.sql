-- Decisions of people: arguments that an operator put in place of those that were asked for, and what an operator alone
-- may decide.

ALTER TABLE approval_rules ADD COLUMN operator_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE approvals ADD COLUMN operator_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE approvals ADD COLUMN arguments TEXT; -- JSON; null is as asked
CREATE INDEX approvals_edited ON approvals (tenant, expires_at) WHERE arguments IS NOT NULL AND used_at IS NULL;
