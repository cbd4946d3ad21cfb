-- How many answers of each tenant are kept for repeated calls, and the bytes of their bodies: both are bounded.
CREATE TABLE kept_answers (
    tenant  TEXT NOT NULL PRIMARY KEY,
    answers INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO kept_answers (tenant, answers, bytes)
    SELECT tenant, count(*), coalesce(sum(length(CAST(body AS BLOB))), 0) FROM idempotency GROUP BY tenant;
