-- How often the person at the agent's client was asked about a request.

ALTER TABLE approvals ADD COLUMN dialogs INTEGER NOT NULL DEFAULT 0;
