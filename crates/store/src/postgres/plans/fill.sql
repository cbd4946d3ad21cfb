-- Fills every table with :rows rows, i = 1 …; :spread is the number of the tenant that a row belongs to. Rows stand for themselves: no
-- trigger runs.
SET session_replication_role = replica;
DO $$ DECLARE
    filled RECORD;
    columns TEXT;
    items TEXT;
BEGIN
    FOR filled IN SELECT oid, relname FROM pg_class WHERE relnamespace = 'haldir'::regnamespace AND relkind IN ('r', 'p')
        AND NOT relispartition AND relname NOT IN ('schema_migrations', 'replica_heartbeat')
    LOOP
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum), string_agg(
            CASE WHEN attnotnull THEN item ELSE format('CASE WHEN i %% 2 = 0 THEN %s END', item) END, ', ' ORDER BY attnum)
        INTO columns, items FROM (
            SELECT attnum, attname, attnotnull, CASE
                WHEN atttypid = 'timestamptz'::regtype THEN 'now()'
                WHEN attname = 'tenant' AND is_unique THEN '''tenant-'' || i'
                WHEN attname = 'tenant' THEN '''tenant-'' || (:spread)'
                WHEN attname = 'log' AND NOT is_unique THEN ':spread'
                WHEN attname = 'flagged' THEN '(i % 50 = 0)::int'
                WHEN attname = 'status' AND atttypid = 'text'::regtype THEN 'CASE i % 100 WHEN 0 THEN ''pending'' WHEN 1 THEN ''authorized'' ELSE ''approved'' END'
                WHEN attname = 'of' AND atttypid = 'text'::regtype AND NOT is_unique THEN 'CASE WHEN i % 2 = 0 THEN '''' ELSE ''of-'' || i % 40 END'
                WHEN atttypid = 'bigint'::regtype AND attname ~ '(^|_)(at|start|until|second|day|hour|month|seq|block|before|rank)$' THEN 'i'
                WHEN atttypid = 'bigint'::regtype THEN number
                WHEN atttypid = 'bytea'::regtype THEN format('int8send(%s)', number)
                ELSE format('%L || %s', attname || '-', number)
            END AS item FROM (
                SELECT *, CASE WHEN is_unique THEN 'i' ELSE '(i % 40)' END AS number FROM (
                    SELECT attnum, attname, attnotnull, atttypid, EXISTS (SELECT FROM pg_index
                        WHERE indrelid = filled.oid AND indisunique AND indkey[indnkeyatts - 1] = attnum) AS is_unique
                    FROM pg_attribute WHERE attrelid = filled.oid AND attnum > 0 AND NOT attisdropped
                ) AS of_index
            ) AS numbered
        ) AS of_column;
        EXECUTE format('TRUNCATE haldir.%I', filled.relname);
        EXECUTE format('INSERT INTO haldir.%I (%s) SELECT %s FROM generate_series(1, :rows::bigint) AS i', filled.relname, columns, items);
    END LOOP;
END $$;
ANALYZE;
