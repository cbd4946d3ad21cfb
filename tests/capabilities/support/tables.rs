//! What tests know of the database's tables: the posting lists, read without the code that writes them, and how earlier
//! versions left a store. Shared with the tests that act as an attacker with the file.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

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
pub fn postings(sql: &Connection) -> Named {
    let mut all = Named::new();
    let mut select = sql.prepare("SELECT tenant, of, block, entries FROM audit_postings").unwrap();
    let mut rows = select.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (block, entries): (i64, Vec<u8>) = (row.get(2).unwrap(), row.get(3).unwrap());
        assert_eq!(bytes(&places(&entries)), entries);
        assert!(!entries.is_empty());
        let named = all.entry((row.get(0).unwrap(), row.get(1).unwrap())).or_default();
        named.extend(places(&entries).iter().map(|place| block * 256 + 1 + place));
    }
    all
}

/// What the folded entries have.
pub fn right_postings(sql: &Connection) -> Named {
    let mut all = Named::new();
    for (prefix, column) in KINDS {
        let select = format!(
            "SELECT tenant, {column}, place - base FROM log_folds JOIN logs USING (tenant) JOIN audit_entries
                ON place > base AND place <= base + up_to"
        );
        let mut select = sql.prepare(&select).unwrap();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let of = format!("{prefix}{}", row.get::<_, String>(1).unwrap());
            all.entry((row.get(0).unwrap(), of)).or_default().insert(row.get(2).unwrap());
        }
    }
    all
}

/// Puts a store back to how version 17 left it, before calls under way and the counts of upstreams lay in one table.
pub fn as_version_17(sql: &Connection) {
    sql.execute_batch(
        "CREATE TABLE proxy_calls (tenant TEXT NOT NULL, id TEXT NOT NULL, upstream TEXT NOT NULL, tool TEXT NOT NULL,
             session_id TEXT NOT NULL, cost INTEGER NOT NULL, uses TEXT NOT NULL, started_at INTEGER NOT NULL,
             lease INTEGER NOT NULL, PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;
         CREATE INDEX proxy_calls_lease ON proxy_calls (lease);
         INSERT INTO proxy_calls SELECT tenant, id, upstream, tool, session_id, cost, uses, started_at, lease FROM calls
             WHERE lease IS NOT NULL;
         ALTER TABLE upstreams ADD COLUMN calls INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE upstreams ADD COLUMN errors INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE upstreams ADD COLUMN latency INTEGER NOT NULL DEFAULT 0;
         UPDATE upstreams SET (calls, errors, latency) =
             (SELECT calls, errors, latency FROM calls WHERE id = ':' || name AND calls.tenant = upstreams.tenant);
         DROP TABLE calls; DROP TABLE kept_answers; DROP INDEX secrets_sent;
         DROP TABLE former_secrets; DROP INDEX secrets_by_storer; ALTER TABLE secrets DROP COLUMN stored_by;
         ALTER TABLE upstreams DROP COLUMN limits;
         DROP TABLE subject_erasures; DROP TABLE erased_entries; ALTER TABLE idempotency DROP COLUMN session_id;
         DROP INDEX tenants_by_name; ALTER TABLE tenants DROP COLUMN name; DROP TABLE daily_spend;
         ALTER TABLE sessions DROP COLUMN daily_limit; ALTER TABLE sessions DROP COLUMN daily_ceiling;
         ALTER TABLE api_keys DROP COLUMN max_daily_spend;
         DELETE FROM schema_migrations WHERE version >= 18; PRAGMA user_version = 17",
    )
    .unwrap();
}

/// Shows this connection the entries as they lay in their table before they had places, for migrations from then.
pub fn as_they_lay(sql: &Connection) {
    sql.execute_batch(
        "CREATE TEMP VIEW audit_entries AS SELECT tenant, place - base AS seq, e.* FROM logs
             JOIN main.audit_entries AS e ON place > base AND place < base + 549755813888",
    )
    .unwrap();
}

/// Puts a store back to how version 16 left it, before there were posting lists.
pub fn as_version_16(sql: &Connection) {
    as_version_17(sql);
    sql.execute_batch(
        "ALTER TABLE log_folds RENAME TO audit_folds; DROP TABLE audit_postings;
         ALTER TABLE audit_entries RENAME TO by_place; DROP INDEX audit_flagged;
         CREATE TABLE audit_entries (tenant TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL,
             kind TEXT NOT NULL, session_id TEXT NOT NULL, agent_id TEXT NOT NULL, tool TEXT NOT NULL,
             action TEXT NOT NULL, cost INTEGER NOT NULL, flagged INTEGER NOT NULL, flag_reason TEXT NOT NULL,
             actor TEXT NOT NULL, details TEXT, details_salt BLOB, details_digest BLOB, prev_hash BLOB NOT NULL,
             entry_hash BLOB NOT NULL, indexed INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (tenant, seq)
         ) STRICT, WITHOUT ROWID;
         INSERT INTO audit_entries SELECT tenant, place - base, id, at, kind, session_id, agent_id, tool, action, cost,
             flagged, flag_reason, actor, details, details_salt, details_digest, prev_hash, entry_hash, 1
             FROM logs JOIN by_place ON place > base AND place < base + 549755813888;
         DROP TABLE by_place; DROP TABLE logs;
         CREATE INDEX audit_flagged ON audit_entries (tenant, seq) WHERE flagged = 1;
         CREATE INDEX audit_by_session ON audit_entries (tenant, session_id, seq) WHERE indexed = 1;
         CREATE INDEX audit_by_agent ON audit_entries (tenant, agent_id, seq) WHERE indexed = 1;
         CREATE INDEX audit_by_tool ON audit_entries (tenant, tool, seq) WHERE indexed = 1;
         DELETE FROM schema_migrations WHERE version = 17; PRAGMA user_version = 16",
    )
    .unwrap();
}

/// Makes them anew, as the migration does, of the entries that are said to be folded.
pub fn fill_postings(sql: &Connection) {
    sql.execute_batch("DELETE FROM audit_postings").unwrap();
    sql.execute_batch(&POSTINGS[POSTINGS.find("WITH folded").unwrap()..]).unwrap();
}
