-- Which secrets may be sent to upstreams is asked before each call of one, without reading their sealed values.
CREATE INDEX secrets_sent ON secrets (tenant, name, version, created_at, upstreams) WHERE upstreams <> '[]';
