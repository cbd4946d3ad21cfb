-- Which process does a background job, and until when another leaves it to that one.
CREATE TABLE job_leases (
    job TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
