//! What an attacker with write access to the database file types, for the demonstration of what verification detects.

use std::path::Path;

use rusqlite::Connection;

use crate::error::Result;

/// Changes made without the master key: what each does, and its SQL.
pub const BY_HAND: [(&str, &str); 4] = [
    ("lower what an agent spent, in place", "UPDATE audit_entries SET cost = 1000000000 WHERE place = 5"),
    (
        "delete an entry and move the later ones up",
        "DELETE FROM audit_entries WHERE place = 6;
        UPDATE audit_entries SET place = -place WHERE place > 6; UPDATE audit_entries SET place = -place - 1 WHERE place < 0",
    ),
    (
        "cut off the end, and set the head back to the entry that is now the last",
        "DELETE FROM audit_entries WHERE place > 8;
        UPDATE audit_heads SET seq = 8, entry_hash = (SELECT entry_hash FROM audit_entries WHERE place = 8)",
    ),
    (
        "replace what an entry says in its details",
        "UPDATE audit_entries SET details = '{\"paid\":\"nobody\"}' WHERE place = 7",
    ),
];

/// Empties the log, for an attacker who then writes another one with the stolen master key.
pub const EMPTY_LOG: &str = "DELETE FROM audit_entries; DELETE FROM tree_tiles; DELETE FROM audit_tree_heads";

/// Runs the attacker's SQL on the database file at `path`.
pub fn run(path: &Path, sql: &str) -> Result<()> {
    Ok(Connection::open(path)?.execute_batch(sql)?)
}
