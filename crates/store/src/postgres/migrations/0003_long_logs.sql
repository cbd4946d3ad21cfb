-- The number of a tenant's log; none where there is no log. As a function it is called before a statement runs, so that the server opens the
-- one partition that the log lies in; with a subselect it opens all of them.
CREATE FUNCTION log_of(owner TEXT) RETURNS BIGINT LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN
    RETURN (SELECT log FROM haldir.logs WHERE tenant = owner);
END $$;

-- A partition is vacuumed once a thousand of its entries were erased, or a million appended. By default the server waits for a fifth of its
-- rows: in a long log, erased details would stay in its pages for months.
DO $$ BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('ALTER TABLE audit_entries_%s SET (
            autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
            autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000)', part);
    END LOOP;
END $$;
