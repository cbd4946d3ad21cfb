-- Evidence: what governs, counted so that any past period can be told exactly; marks in the log; schedules.

-- Running counts and sums. The row of a second holds what there was up to its end, so that a period is the difference of
-- two rows, and no later event changes it. `what` is a group, a colon and a name: `entry:` an entry of haldir's own,
-- `payment:` and `delivery:` the amounts and outcomes that no entry keeps for ever.
CREATE TABLE evidence_counts (
    tenant TEXT NOT NULL,
    what   TEXT NOT NULL,
    second INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    amount INTEGER NOT NULL, -- nano-units; stops at the largest integer instead of becoming a float
    PRIMARY KEY (tenant, what, second)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER evidence_of_entry AFTER INSERT ON audit_entries WHEN NEW.kind = 'governance' BEGIN
    INSERT INTO evidence_counts (tenant, what, second, count, amount)
        VALUES (NEW.tenant, 'entry:' || NEW.action, NEW.at / 1000000, 1 + coalesce((
            SELECT count FROM evidence_counts WHERE tenant = NEW.tenant AND what = 'entry:' || NEW.action
            ORDER BY second DESC LIMIT 1), 0), 0)
        ON CONFLICT DO UPDATE SET count = excluded.count;
END;
-- Clocks of several processes differ, and a sum must not go back: what is late counts in the newest second.
CREATE TRIGGER evidence_of_payment AFTER INSERT ON authorizations BEGIN
    INSERT INTO evidence_counts (tenant, what, second, count, amount)
        SELECT NEW.tenant, 'payment:authorized', max(NEW.created_at / 1000000, coalesce(last.second, 0)),
            coalesce(last.count, 0) + 1,
            min(coalesce(last.amount, 0), 9223372036854775807 - NEW.amount) + NEW.amount
        FROM (SELECT 1) LEFT JOIN (SELECT second, count, amount FROM evidence_counts
            WHERE tenant = NEW.tenant AND what = 'payment:authorized' ORDER BY second DESC LIMIT 1) AS last
        WHERE true
        ON CONFLICT DO UPDATE SET count = excluded.count, amount = excluded.amount;
END;
CREATE TRIGGER evidence_of_settlement AFTER UPDATE OF status ON authorizations
    WHEN NEW.status <> OLD.status AND NEW.settled_at IS NOT NULL BEGIN
    INSERT INTO evidence_counts (tenant, what, second, count, amount)
        SELECT NEW.tenant, 'payment:' || NEW.status, max(NEW.settled_at / 1000000, coalesce(last.second, 0)),
            coalesce(last.count, 0) + 1,
            min(coalesce(last.amount, 0), 9223372036854775807 - settled.amount) + settled.amount
        FROM (SELECT CASE NEW.status WHEN 'captured' THEN NEW.captured ELSE NEW.amount END AS amount) AS settled
        LEFT JOIN (SELECT second, count, amount FROM evidence_counts
            WHERE tenant = NEW.tenant AND what = 'payment:' || NEW.status ORDER BY second DESC LIMIT 1) AS last
        WHERE true
        ON CONFLICT DO UPDATE SET count = excluded.count, amount = excluded.amount;
END;
CREATE TRIGGER evidence_of_delivery AFTER INSERT ON webhook_attempts BEGIN
    INSERT INTO evidence_counts (tenant, what, second, count, amount)
        SELECT NEW.tenant, outcome.what, max(NEW.at / 1000000, coalesce(last.second, 0)), coalesce(last.count, 0) + 1, 0
        FROM (SELECT CASE WHEN NEW.status BETWEEN 200 AND 299 THEN 'delivery:succeeded' ELSE 'delivery:failed' END AS what)
            AS outcome
        LEFT JOIN (SELECT second, count FROM evidence_counts
            WHERE tenant = NEW.tenant
                AND what = CASE WHEN NEW.status BETWEEN 200 AND 299 THEN 'delivery:succeeded' ELSE 'delivery:failed' END
            ORDER BY second DESC LIMIT 1) AS last
        WHERE true
        ON CONFLICT DO UPDATE SET count = excluded.count;
END;

-- The log's totals at every 4096th entry: those at any entry are the mark before it and at most 4095 entries.
CREATE TABLE log_marks (
    tenant  TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    actions INTEGER NOT NULL,
    cost    INTEGER NOT NULL,
    flagged INTEGER NOT NULL,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;

-- A schedule makes the pack of each calendar period once that is over. Whoever moves `period_start` on has made it.
CREATE TABLE compliance_schedules (
    tenant       TEXT NOT NULL,
    id           TEXT NOT NULL,
    name         TEXT NOT NULL,
    cadence      TEXT NOT NULL,
    webhook_id   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    period_start INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    last_run_at  INTEGER,
    last_error   TEXT NOT NULL,
    run_count    INTEGER NOT NULL,
    fail_count   INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX compliance_schedules_due ON compliance_schedules (due_at);

-- What there was before.
INSERT INTO evidence_counts (tenant, what, second, count, amount)
    SELECT tenant, 'entry:' || action, second, sum(n) OVER (PARTITION BY tenant, action ORDER BY second), 0
    FROM (SELECT tenant, action, at / 1000000 AS second, count(*) AS n FROM audit_entries WHERE kind = 'governance'
          GROUP BY 1, 2, 3);
INSERT INTO evidence_counts (tenant, what, second, count, amount)
    SELECT tenant, what, second, n,
        CASE WHEN units + nanos / 1000000000 < 9223372036 THEN units * 1000000000 + nanos ELSE 9223372036854775807 END
    FROM (SELECT tenant, what, second, sum(n) OVER upto AS n, sum(units) OVER upto AS units, sum(nanos) OVER upto AS nanos
          FROM (SELECT tenant, what, second, count(*) AS n, sum(amount / 1000000000) AS units,
                    sum(amount % 1000000000) AS nanos
                FROM (SELECT tenant, 'payment:authorized' AS what, created_at / 1000000 AS second, amount
                      FROM authorizations
                      UNION ALL
                      SELECT tenant, 'payment:' || status, settled_at / 1000000,
                          CASE status WHEN 'captured' THEN captured ELSE amount END
                      FROM authorizations WHERE settled_at IS NOT NULL)
                GROUP BY 1, 2, 3)
          WINDOW upto AS (PARTITION BY tenant, what ORDER BY second));
INSERT INTO evidence_counts (tenant, what, second, count, amount)
    SELECT tenant, what, second, sum(n) OVER (PARTITION BY tenant, what ORDER BY second), 0
    FROM (SELECT tenant, CASE WHEN status BETWEEN 200 AND 299 THEN 'delivery:succeeded' ELSE 'delivery:failed' END AS what,
              at / 1000000 AS second, count(*) AS n
          FROM webhook_attempts GROUP BY 1, 2, 3);
INSERT INTO log_marks (tenant, seq, actions, cost, flagged)
    SELECT tenant, (block + 1) * 4096, actions,
        CASE WHEN units + nanos / 1000000000 < 9223372036 THEN units * 1000000000 + nanos ELSE 9223372036854775807 END,
        flagged
    FROM (SELECT tenant, block, n, sum(actions) OVER upto AS actions, sum(units) OVER upto AS units,
              sum(nanos) OVER upto AS nanos, sum(flagged) OVER upto AS flagged
          FROM (SELECT tenant, (seq - 1) / 4096 AS block, count(*) AS n, sum(kind = 'action') AS actions,
                    sum((kind = 'action') * (cost / 1000000000)) AS units,
                    sum((kind = 'action') * (cost % 1000000000)) AS nanos, sum(flagged) AS flagged
                FROM audit_entries GROUP BY 1, 2)
          WINDOW upto AS (PARTITION BY tenant ORDER BY block))
    WHERE n = 4096;
