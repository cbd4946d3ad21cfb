-- How old the data of a replica is: a server that reads one writes the primary's time here, once a second.
CREATE TABLE replica_heartbeat (
    single BOOLEAN NOT NULL PRIMARY KEY DEFAULT true CHECK (single),
    at BIGINT NOT NULL,
    store TEXT COLLATE "C" NOT NULL -- random: tells this database from others, of which no replica is to be read
);
INSERT INTO replica_heartbeat (at, store) VALUES (0, gen_random_uuid()::text);

-- Which process does a background job, and until when another leaves it to that one.
CREATE TABLE job_leases (
    job TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL
);
