//! What tests know of the database's tables: the posting lists, read without the code that writes them, and how earlier
//! versions left a store. Shared with the tests that act as an attacker with the file.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::Database;

const POSTINGS: &str = include_str!("../../../crates/store/src/sqlite/migrations/0017_postings.sql");
/// What an entry can be found by: the prefix of its posting list, and its column.
pub const KINDS: [(&str, &str); 3] = [("s:", "session_id"), ("a:", "agent_id"), ("t:", "tool")];

/// The numbers of entries by tenant and what they have.
type Named = BTreeMap<(String, String), BTreeSet<i64>>;

pub fn places(bytes: &[u8]) -> BTreeSet<i64> {
    if bytes.len() < 32 {
        return bytes.iter().map(|place| i64::from(*place)).collect();
    }
    (0..256)
        .filter(|place| bytes[place / 8] & (0x80 >> (place % 8)) != 0)
        .map(|place| place.cast_signed() as i64)
        .collect()
}

pub fn bytes(places: &BTreeSet<i64>) -> Vec<u8> {
    let place = |place: &i64| u8::try_from(*place).unwrap();
    if places.len() < 32 {
        return places.iter().map(place).collect();
    }
    let mut bits = vec![0; 32];
    places.iter().map(place).for_each(|place| bits[usize::from(place / 8)] |= 0x80 >> (place % 8));
    bits
}

/// What is stored, each row in its one form.
pub fn postings(sql: &Database) -> Named {
    let mut all = Named::new();
    for row in sql.rows("SELECT tenant, of, block, entries FROM audit_postings", &[]) {
        let (block, entries) = (row.get::<i64>("block"), row.get::<Vec<u8>>("entries"));
        assert_eq!(bytes(&places(&entries)), entries);
        assert!(!entries.is_empty());
        let named = all.entry((row.get("tenant"), row.get("of"))).or_default();
        named.extend(places(&entries).iter().map(|place| block * 256 + 1 + place));
    }
    all
}

/// What the folded entries have.
pub fn right_postings(sql: &Database) -> Named {
    let mut all = Named::new();
    for (prefix, column) in KINDS {
        let entries = sql.entries();
        let select = format!(
            "SELECT tenant, {column}, number FROM ({entries}) AS entries JOIN log_folds USING (tenant) WHERE number <= up_to"
        );
        for row in sql.rows(&select, &[]) {
            let of = format!("{prefix}{}", row.get::<String>(column));
            all.entry((row.get("tenant"), of)).or_default().insert(row.get("number"));
        }
    }
    all
}

/// Makes them anew, of the entries that are said to be folded.
pub fn refill_postings(sql: &Database) {
    if let Database::File(file) = sql {
        return fill_postings(file);
    }
    sql.batch("DELETE FROM audit_postings");
    for ((tenant, of), numbers) in right_postings(sql) {
        let mut blocks: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for number in numbers {
            blocks.entry((number - 1) / 256).or_default().insert((number - 1) % 256);
        }
        for (block, places) in blocks {
            sql.change(
                "INSERT INTO audit_postings VALUES (?1, ?2, ?3, ?4)",
                params![tenant, of, block, bytes(&places)],
            );
        }
    }
}

const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/store/src/sqlite/migrations");

fn names(sql: &Connection, query: &str) -> Vec<String> {
    sql.prepare(query).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Puts a store back to how a version left it: with the schema that its migrations make, and the rows that both have. What
/// lies elsewhere by now, `moved` copies from the schema `later`.
fn as_version(sql: &Connection, version: i64, moved: &str) {
    let folder = tempfile::tempdir().unwrap();
    let later = folder.path().join("later.db");
    sql.execute("VACUUM INTO ?1", [later.to_str().unwrap()]).unwrap();
    sql.execute("ATTACH ?1 AS later", [later.to_str().unwrap()]).unwrap();
    sql.execute_batch("PRAGMA foreign_keys = OFF; BEGIN").unwrap();
    let tables = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    for table in names(sql, tables) {
        sql.execute_batch(&format!("DROP TABLE main.{table}")).unwrap();
    }
    sql.execute_batch(
        "CREATE TABLE main.schema_migrations (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL,
             checksum BLOB NOT NULL, applied_at INTEGER NOT NULL) STRICT",
    )
    .unwrap();
    let mut files: Vec<_> = std::fs::read_dir(MIGRATIONS).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let number = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap()[..4].parse::<i64>().unwrap();
    for file in files.iter().filter(|file| number(file) <= version) {
        sql.execute_batch(&std::fs::read_to_string(file).unwrap()).unwrap();
    }
    // Triggers would count every row once more.
    let triggers = names(sql, "SELECT sql FROM main.sqlite_schema WHERE type = 'trigger'");
    for trigger in names(sql, "SELECT name FROM main.sqlite_schema WHERE type = 'trigger'") {
        sql.execute_batch(&format!("DROP TRIGGER main.{trigger}")).unwrap();
    }
    for table in names(sql, &format!("{tables} AND name IN (SELECT name FROM later.sqlite_schema)")) {
        if moved.contains(&format!("INSERT INTO main.{table} ")) {
            continue;
        }
        let columns = |condition: &str| {
            names(sql, &format!("SELECT name FROM pragma_table_info('{table}', 'main') WHERE {condition}"))
        };
        let is_later = format!("name IN (SELECT name FROM pragma_table_info('{table}', 'later'))");
        let both = columns(&is_later);
        // Numbers that `moved` sets.
        let lost = columns(&format!("\"notnull\" AND dflt_value IS NULL AND NOT {is_later}"));
        let into = [both.clone(), lost.clone()].concat().join(", ");
        let from = [both, vec!["0".to_owned(); lost.len()]].concat().join(", ");
        let copy =
            format!("DELETE FROM main.{table}; INSERT INTO main.{table} ({into}) SELECT {from} FROM later.{table}");
        sql.execute_batch(&copy).unwrap();
    }
    sql.execute_batch(moved).unwrap();
    sql.execute_batch(&triggers.join(";")).unwrap();
    sql.execute("DELETE FROM main.schema_migrations WHERE version > ?1", [version]).unwrap();
    sql.execute_batch("COMMIT; DETACH later").unwrap();
    sql.pragma_update(None, "user_version", version).unwrap();
}

/// Before calls under way and the counts of upstreams lay in one table.
pub fn as_version_17(sql: &Connection) {
    as_version(
        sql,
        17,
        "INSERT INTO main.proxy_calls SELECT tenant, id, upstream, tool, session_id, cost, uses, started_at, lease
             FROM later.calls WHERE lease IS NOT NULL;
         UPDATE main.upstreams SET (calls, errors, latency) = (SELECT calls, errors, latency FROM later.calls
             WHERE id = ':' || name AND calls.tenant = upstreams.tenant)",
    );
}

/// Shows this connection the entries as they lay in their table before they had places, for migrations from then.
pub fn as_they_lay(sql: &Connection) {
    sql.execute_batch(
        "CREATE TEMP VIEW audit_entries AS SELECT tenant, place - base AS seq, e.* FROM logs
             JOIN main.audit_entries AS e ON place > base AND place < base + 549755813888",
    )
    .unwrap();
}

/// Before there were posting lists.
pub fn as_version_16(sql: &Connection) {
    as_version(
        sql,
        16,
        "INSERT INTO main.audit_folds SELECT * FROM later.log_folds;
         INSERT INTO main.audit_entries (tenant, seq, id, at, kind, session_id, agent_id, tool, action, cost, flagged,
             flag_reason, actor, details, details_salt, details_digest, prev_hash, entry_hash, indexed)
             SELECT tenant, place - base, id, at, kind, session_id, agent_id, tool, action, cost, flagged, flag_reason, actor,
             details, details_salt, details_digest, prev_hash, entry_hash, 1 FROM later.logs
             JOIN later.audit_entries ON place > base AND place < base + 549755813888",
    );
}

/// The same, as the migration does.
pub fn fill_postings(sql: &Connection) {
    sql.execute_batch("DELETE FROM audit_postings").unwrap();
    sql.execute_batch(&POSTINGS[POSTINGS.find("WITH folded").unwrap()..]).unwrap();
}
