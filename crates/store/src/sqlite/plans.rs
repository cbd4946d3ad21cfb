//! What SQLite makes of every statement.

use rusqlite::{Connection, StatementStatus};

use super::{connection, migrations::Migrator};
use crate::{
    statements::{CACHED_TABLES, changed_table},
    tables::ALL,
};

#[test]
fn every_statement_finds_its_rows_by_index_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connection::open(&folder.path().join("plans.db")).unwrap();
    Migrator::new(&mut connection).up().unwrap();
    let all = ALL.concat();
    assert!(all.len() > 30, "the lists are incomplete");
    assert!(all.len() < connection::STATEMENT_CACHE, "{} statements do not fit into the cache", all.len());
    for (name, sql) in all {
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        for index in 1..=explain.parameter_count() {
            explain.raw_bind_parameter(index, 0).unwrap();
        }
        let mut rows = explain.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            // The upstreams of one secret are a list of a few names in its own row.
            let is_of_sent = ["SECRETS_FOR", "FORMER_FOR"].contains(&name);
            let is_list_in_row = is_of_sent && step.starts_with("SCAN json_each");
            // What waits in the whole store is counted for the operator's metrics, in indexes of what waits alone.
            let is_backlog = ["WAITING_APPROVALS", "WAITING_EVENTS"].contains(&name);
            let may_scan = step == "SCAN CONSTANT ROW" || name == "ABANDONED_CALLS" || is_list_in_row || is_backlog;
            assert!(!step.contains("SCAN") || may_scan, "{name} reads a whole table: {step}");
            assert!(!step.contains("TEMP B-TREE"), "{name} sorts: {step}");
            assert!(!step.contains("AUTOMATIC"), "{name} builds an index: {step}");
            // The tenant alone leaves a whole tenant to read; only lists of one may do that, a page at a time.
            let by_tenant_alone =
                step.ends_with("(tenant=?)") && step.starts_with("SEARCH") && !step.starts_with("SEARCH logs ");
            // An index of those secrets alone that may be sent to upstreams, which are few, and one of former values, which
            // are bounded; the row cache has the answer.
            let is_partial = is_of_sent
                && (step.contains("COVERING INDEX secrets_sent")
                    || step.contains("COVERING INDEX former_secrets_sent"));
            let whole = is_partial || sql.matches("tenant = ?1").count() == 1 && !sql.contains(" AND ");
            assert!(!by_tenant_alone || whole, "{name} reads a whole tenant: {step}");
        }
    }
}

#[test]
fn the_table_that_a_statement_changes_is_known() {
    let mut connection = Connection::open_in_memory().unwrap();
    Migrator::new(&mut connection).up().unwrap();
    let exists = |table: &str| connection.table_exists(None, table).unwrap();
    assert!(CACHED_TABLES.iter().all(|table| exists(table)));
    for (name, sql) in ALL.concat() {
        let changes = !connection.prepare(sql).unwrap().readonly();
        assert_eq!(changed_table(sql).is_some_and(exists), changes, "{name} changes {:?}", changed_table(sql));
    }
}

#[test]
fn a_statement_that_runs_again_is_not_planned_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connection::open(&folder.path().join("plans.db")).unwrap();
    Migrator::new(&mut connection).up().unwrap();
    for (name, sql) in ALL.concat() {
        let mut statement = connection.prepare(sql).unwrap();
        for value in [1, 2] {
            for index in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(index, value).unwrap();
            }
            // What it makes of such values is not the question.
            let _ = statement.raw_query().next();
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{name} is planned for each value anew");
    }
}

#[test]
fn no_statement_stands_outside_the_lists() {
    let mut files = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tables")];
    let mut looked_at = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        looked_at += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let is_run = ["SELECT", "INSERT", "UPDATE", "DELETE"]
                .iter()
                .any(|verb| line.contains(&format!("(\"{verb} ")) && !line.contains("concat!("));
            assert!(!is_run, "{}:{} has a statement without a name", path.display(), number + 1);
        }
    }
    assert!(looked_at > 20);
}
