//! What Postgres makes of every statement.

use futures::executor::block_on;
use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage, types::Type};

use super::{connection, dialect, failure::error_text, session::MAX_ROWS, tests::Database};
use crate::tables;

/// Fills every table with so many rows. Columns that end a unique index differ in each row, others have a few values each; half of
/// what may be null is.
const FILL: &str = include_str!("plans/fill.sql");

/// How the rows are spread: nearly all in one tenant, or over many.
const ONE_TENANT: &str = "CASE WHEN i % 20 = 0 THEN i ELSE 1 END";
const MANY_TENANTS: &str = "i % 500 + 1";

/// Statements that scan a table, and why they may.
const MAY_SCAN: [(&str, &str); 5] = [
    ("ABANDONED_CALLS", "in-flight calls are few, and looked at now and then: see there"),
    ("ANY_KEY", "it ends with the first row"),
    ("FORGET_BATCHES", "one row for each process of a week, once in the life of a process"),
    ("WAITING_EVENTS", "webhooks are few: for the operator's metrics"),
    ("DEAD_LETTERS", "their number is bounded: for the operator's metrics"),
];
/// Statements that sort, and why they may.
const MAY_SORT: [(&str, &str); 1] = [("LOCK_ALL", "the tenants of one batch")];
/// Statements that read all rows of a tenant by an index of few of them.
const FEW: [&str; 2] = ["SECRETS_FOR", "FORMER_FOR"];

/// Statements whose rows are sent with [`crate::database::Connection::send_row`].
const ROW_BY_ROW: [&str; 9] = [
    "ADD_LOGGED", "ADD_USAGE", "INSERT_AUTHORIZATION", "INSERT_ENTRY", "INSERT_SESSION", "PUT_AGENT", "PUT_POSTING",
    "PUT_TOOL_USE", "SET_SPENT",
];

/// The statements with their names, in SQL as Postgres gets it, with types where they do not follow from the statement: the connection
/// always gives them.
fn statements() -> Vec<(String, &'static str, String, Vec<Type>)> {
    let all = tables::ALL.concat().into_iter().chain(connection::ALL.iter().copied());
    let all = all.map(|(name, sql)| {
        let types: &[Type] = match name {
            "FORWARD" | "FORWARD_FLAGGED" | "BACKWARD" | "BACKWARD_FLAGGED" => {
                &[Type::TEXT, Type::INT8, Type::INT8, Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8]
            }
            "DECIDED_OF_AGENT" => &[Type::TEXT, Type::INT8, Type::TEXT, Type::INT8, Type::INT8, Type::TEXT],
            _ => &[],
        };
        (name.to_owned(), sql, dialect::translate(sql), types.to_vec())
    });
    all.collect()
}

#[test]
fn every_statement_finds_its_rows_by_index_and_in_order() {
    let Some(database) = Database::create("plans") else { return };
    let (_server, client) = database.connect();
    block_on(client.batch_execute("SET search_path TO haldir")).unwrap();
    let (mut all, mut refused) = (statements(), Vec::new());
    assert!(all.len() > 150, "the lists are incomplete");
    for (name, _, text, types) in &mut all {
        match block_on(client.prepare_typed(text, types)) {
            Ok(prepared) => *types = prepared.params().to_vec(),
            Err(error) => refused.push(format!("{name}: {}\n{text}", error_text(&error))),
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n\n"));
    for (name, sql, _, types) in all.clone().iter().filter(|(name, ..)| ROW_BY_ROW.contains(&name.as_str())) {
        let many = dialect::translate_many(sql, MAX_ROWS, types.len()).unwrap_or_else(|| panic!("{name} has one row"));
        all.push((format!("{name}, many"), sql, many, vec![types.clone(); MAX_ROWS].concat()));
    }
    // A connection keeps the plans that it made of a new database, or of tables that the server has just analysed for the first time, when
    // they had some fifty rows.
    let mut problems = Vec::new();
    for filled in [None, Some((60, ONE_TENANT)), Some((10_000, ONE_TENANT)), Some((10_000, MANY_TENANTS))] {
        if let Some((rows, spread)) = filled {
            let fill = FILL.replace(":spread", spread).replace(":rows", &rows.to_string());
            block_on(client.batch_execute(&fill)).unwrap();
        }
        for (name, sql, text, types) in &all {
            let plan = plan(&client, text, types);
            let mut looked = Look { name, sql, is_new: filled.is_none(), problems: Vec::new() };
            looked.at(&plan, false);
            looked.at_partitions(&plan);
            problems.extend(looked.problems.iter().map(|problem| format!("{name}, rows {filled:?}: {problem}")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The plan of a statement that is prepared, when it is run for `tenant-1`.
fn plan(client: &Client, text: &str, types: &[Type]) -> Value {
    let values = types.iter().map(|of| match *of {
        Type::TEXT => "'tenant-1'",
        Type::BYTEA => "''::bytea",
        _ => "1",
    });
    let list = |items: Vec<&str>| if items.is_empty() { String::new() } else { format!(" ({})", items.join(", ")) };
    let prepare = format!("PREPARE planned{} AS {text}", list(types.iter().map(Type::name).collect()));
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE planned{}", list(values.collect()));
    if let Err(error) = block_on(client.batch_execute(&prepare)) {
        panic!("{}: {prepare}", error_text(&error));
    }
    let rows = block_on(client.simple_query(&explain)).unwrap();
    block_on(client.batch_execute("DEALLOCATE planned")).unwrap();
    let json = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    serde_json::from_str::<Value>(json.unwrap()).unwrap()[0]["Plan"].take()
}

struct Look<'s> {
    name: &'s str,
    sql: &'s str,
    /// Whether the database is new. To the planner one index is as good as another then; it plans anew within a minute of a table's first
    /// fifty rows.
    is_new: bool,
    problems: Vec<String>,
}

fn children(node: &Value) -> &[Value] {
    node["Plans"].as_array().map_or(&[], Vec::as_slice)
}

impl Look<'_> {
    fn is_listed(&self, list: &[(&str, &str)]) -> bool {
        list.iter().any(|(name, _)| *name == self.name)
    }

    /// Looks at a step and what is below it. `is_limited`: every row that the step finds is one of the first that are asked for.
    fn at(&mut self, node: &Value, is_limited: bool) {
        let text = |key: &str| node[key].as_str().unwrap_or_default();
        let (kind, relation, condition) = (text("Node Type"), text("Relation Name"), text("Index Cond"));
        let is_filtered = !text("Filter").is_empty();
        match kind {
            "Seq Scan" if !self.is_listed(&MAY_SCAN) => self.problems.push(format!("scans {relation}")),
            "Sort" | "Incremental Sort" if !self.is_listed(&MAY_SORT) => {
                self.problems.push(format!("sorts by {}", node["Sort Key"]));
            }
            "Bitmap Heap Scan" | "Hash" | "Materialize" | "Memoize" => {
                self.problems.push(format!("has {kind} {relation}: rows are read before they are asked for"));
            }
            "Aggregate" if text("Strategy") == "Hashed" => {
                self.problems.push("groups in a table of its own".to_owned());
            }
            "Index Scan" | "Index Only Scan" => {
                let index = text("Index Name");
                let is_whole = condition.is_empty() && (is_filtered || !is_limited);
                if is_whole && !self.is_listed(&MAY_SCAN) {
                    self.problems.push(format!("reads all of {index}"));
                }
                // The tenant alone leaves a whole tenant to read; only lists of one may do that, a page at a time.
                let by_tenant_alone = relation != "logs"
                    && !condition.contains(" AND ")
                    && ["tenant = $1)", "log = log_of($1))"].iter().any(|end| condition.ends_with(end));
                let may = self.is_new
                    || FEW.contains(&self.name)
                    || self.sql.matches("tenant = ?1").count() == 1 && !self.sql.contains(" AND ");
                if by_tenant_alone && !may {
                    self.problems.push(format!("reads a whole tenant by {index}: {condition}"));
                }
            }
            _ => {}
        }
        let passes_all = ["Append", "Merge Append", "Subquery Scan"].contains(&kind) && !is_filtered;
        let is_limited = kind == "Limit" || is_limited && passes_all;
        for child in children(node) {
            self.at(child, is_limited);
        }
    }

    /// A log lies in one partition of sixteen, and the others are left out before the statement runs.
    fn at_partitions(&mut self, plan: &Value) {
        let (mut read, mut removed) = (0_i64, 0_i64);
        let mut nodes = vec![plan];
        while let Some(node) = nodes.pop() {
            let relation = node["Relation Name"].as_str().unwrap_or_default();
            let is_scan = node["Node Type"].as_str().is_some_and(|kind| kind.ends_with("Scan"));
            read += i64::from(is_scan && relation.starts_with("audit_entries"));
            removed += node["Subplans Removed"].as_i64().unwrap_or(0);
            nodes.extend(children(node));
        }
        // A new database has no log of the tenant, and so no partition to read.
        let expected = if self.is_new { (0, 16) } else { (1, 15) };
        if read + removed > 0 && (read, removed) != expected {
            self.problems.push(format!("reads {read} partitions of the log and leaves out {removed}"));
        }
    }
}
