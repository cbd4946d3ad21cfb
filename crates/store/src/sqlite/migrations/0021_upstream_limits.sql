-- What an operator sets for one upstream; what is not in it is as the server has it for all.
ALTER TABLE upstreams ADD COLUMN limits TEXT NOT NULL DEFAULT '{}'; -- JSON
