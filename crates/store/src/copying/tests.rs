use super::*;
use crate::database::ColumnType;

/// Rows of the log: several batches.
const ENTRIES: i64 = 5_000;
const LOGS: i64 = 3;

/// Values of each kind that a column can hold, other ones in each row.
fn cell(table: &str, column: &crate::sqlite::SchemaColumn, row: i64) -> Cell {
    let text =
        |text: String| if column.column_type == ColumnType::Text { Cell::Text(text) } else { Cell::Blob(text.into()) };
    match (table, &*column.name) {
        ("logs", "base") => return Cell::Integer(row << 40),
        ("audit_entries", "place") => return Cell::Integer(((row % LOGS) << 40) + row + 1),
        ("meta", "key") if row == 0 => return text("master_key_check".to_owned()),
        ("idempotency", "body") => return text("b".repeat(1_000_000)),
        _ => {}
    }
    let is_key = column.key_place > 0;
    if !is_key && row % 5 == 3 && is_nullable(table, &column.name) {
        return Cell::Null;
    }
    if column.column_type == ColumnType::Integer {
        return Cell::Integer(if !is_key && row % 5 == 4 { i64::MAX - row } else { row });
    }
    text(match row % 4 {
        // The two databases order these keys differently.
        0 => format!("a\0{row}"),
        1 => format!("a\u{1}\u{10fffe}{row}"),
        2 => format!("取消 {row}"),
        _ => format!("{} {row}", column.name),
    })
}

/// Columns that are null in some rows.
fn is_nullable(table: &str, column: &str) -> bool {
    match table {
        "approvals" => ["details", "decided_at", "arguments"].contains(&column),
        "audit_entries" => column.starts_with("details"),
        "api_keys" => column.starts_with("max_"),
        "sessions" => ["parent", "revoked_at", "daily_limit"].contains(&column),
        "erased_entries" => column == "leaf",
        "calls" => true,
        _ => false,
    }
}

/// Puts rows into every table.
async fn fill(store: &Store) {
    store
        .write_for_all(|tx| {
            for table in table::all()? {
                let connection = tx.any_change()?;
                if DERIVED.contains(&&*table.name) {
                    connection.execute(&table.empty, &[])?;
                }
                let rows = match &*table.name {
                    "audit_entries" => ENTRIES,
                    "logs" => LOGS,
                    _ => 9,
                };
                for row in 0..rows {
                    let cells: Vec<_> = table.columns.iter().map(|column| cell(&table.name, column, row)).collect();
                    table.write(connection, &cells)?;
                }
            }
            Ok(())
        })
        .await
        .unwrap();
}

/// All rows of all tables.
fn contents(store: &Store) -> Vec<(String, Vec<Vec<Cell>>)> {
    let read = |tx: &ReadTx| {
        let mut all = Vec::new();
        for table in table::all()? {
            let (mut rows, mut batch) = (Vec::new(), table.read_batch(tx, table.first_key())?);
            while !batch.is_last {
                rows.append(&mut batch.rows);
                batch = table.read_batch(tx, batch.last_key)?;
            }
            rows.append(&mut batch.rows);
            all.push((table.name, rows));
        }
        Ok(all)
    };
    store.read(read).unwrap()
}

async fn begin(source: &Store, target: &Store) -> CoreResult<Copy> {
    Copy::begin(source.clone(), target.clone(), Arc::default()).await
}

async fn copy(source: &Store, target: &Store) {
    let mut copy = begin(source, target).await.unwrap();
    copy.run().await.unwrap();
    copy.verify_rows().await.unwrap();
    copy.finish().await.unwrap();
}

#[track_caller]
fn refused<T>(outcome: CoreResult<T>, why: &str) {
    let error = outcome.err().expect("it was not refused");
    assert!(error.code == Code::Conflict && error.message.contains(why), "{error:?}");
}

fn store(folder: &tempfile::TempDir, name: &str) -> Store {
    Store::open_unfinished(&folder.path().join(name)).unwrap()
}

/// A filled store in a file.
async fn filled(folder: &tempfile::TempDir, name: &str) -> Store {
    let store = store(folder, name);
    fill(&store).await;
    store
}

/// Copies, and is interrupted behind each batch with another one under way, as a process that is killed and started again.
async fn copy_in_pieces(source: &Store, open: impl Fn() -> Store, open_finished: impl Fn() -> CoreResult<Store>) {
    for piece in 0_u64.. {
        let target = open();
        let mut copy = begin(source, &target).await.unwrap();
        assert_eq!(copy.is_resumed(), piece > 0);
        let (counter, until) = (Arc::clone(&copy.counter), copy.rows() + 1);
        let reached = async {
            while counter.done.load(Ordering::Relaxed) < until {
                tokio::task::yield_now().await;
            }
        };
        let is_done = tokio::select! {
            biased;
            () = reached => false,
            done = copy.run() => done.map(|()| true).unwrap(),
        };
        // A write that is under way is made or not, as when the process is killed.
        target.close();
        let error = open_finished().err().expect("a store that is copied into was opened");
        assert!(error.code == Code::Unavailable && error.message.contains("haldir migrate copy"), "{error:?}");
        if is_done {
            assert!(piece > 20, "it was interrupted {piece} times");
            break;
        }
    }
    let target = open();
    let copy = begin(source, &target).await.unwrap();
    copy.verify_rows().await.unwrap();
    copy.finish().await.unwrap();
    open_finished().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_at_any_batch_goes_on_and_ends_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let source = filled(&folder, "source.db").await;
    let empty: Vec<_> = contents(&source).into_iter().filter(|(_, rows)| rows.is_empty()).collect();
    assert!(empty.is_empty(), "{empty:?}");
    copy_in_pieces(&source, || store(&folder, "target.db"), || Store::open(&folder.path().join("target.db"))).await;
    assert!(contents(&source) == contents(&store(&folder, "target.db")));
    let again = begin(&source, &store(&folder, "target.db")).await;
    refused(again, "holds a complete copy of it already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_a_row_in_any_table_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (filled(&folder, "source.db").await, store(&folder, "target.db"));
    for (index, table) in table::all().unwrap().iter().enumerate() {
        target
            .write_for_all(move |tx| {
                let (table, connection) = (&table::all()?[index], tx.any_change()?);
                let cells: Vec<_> = table.columns.iter().map(|column| cell(&table.name, column, 1)).collect();
                Ok(table.write(connection, &cells)?)
            })
            .await
            .unwrap();
        let before = contents(&target);
        refused(begin(&source, &target).await, &format!("its table {} has rows", table.name));
        assert!(before == contents(&target) && !target.read(|tx| Ok(is_unfinished(tx)?)).unwrap());
        let tables = table::all().unwrap();
        target
            .write_for_all(move |tx| {
                let connection = tx.any_change()?;
                Ok(tables.iter().try_for_each(|table| connection.execute(&table.empty, &[]).map(drop))?)
            })
            .await
            .unwrap();
    }
    copy(&source, &target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_meanwhile_on_either_side_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (filled(&folder, "source.db").await, store(&folder, "target.db"));
    let mut copy = begin(&source, &target).await.unwrap();
    copy.run().await.unwrap();
    copy.verify_rows().await.unwrap();
    let change = |sql: &'static str| move |tx: &mut Tx| Ok(tx.change(sql, &[]).map(drop)?);
    source.write_for_all(change("UPDATE sessions SET spent = spent + 1 WHERE depth = 0")).await.unwrap();
    refused(copy.verify_rows().await, "the source was changed while it was copied, in the tables sessions (9 rows");
    source.write_for_all(change("UPDATE sessions SET spent = spent - 1 WHERE depth = 0")).await.unwrap();
    copy.verify_rows().await.unwrap();
    let gone = "DELETE FROM calls WHERE lease = 1";
    target.write_for_all(change(gone)).await.unwrap();
    refused(
        copy.verify_rows().await,
        "the target does not hold what was copied, in the tables calls (9 rows were copied, 8",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_copy_is_gone_on_with_from_its_own_source_and_by_one_process_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (filled(&folder, "source.db").await, store(&folder, "target.db"));
    let other = filled(&folder, "other.db").await;
    let key = "UPDATE meta SET value = x'01' WHERE key = 'master_key_check'";
    other.write_for_all(move |tx| Ok(tx.change(key, &[]).map(drop)?)).await.unwrap();
    let mut one = begin(&source, &target).await.unwrap();
    let mut two = begin(&source, &target).await.unwrap();
    assert!(one.copy_table().await.unwrap());
    refused(two.copy_table().await, "another process copies");
    refused(two.finish().await, "another process copies");
    refused(begin(&other, &target).await, "another store");
    refused(begin(&store(&folder, "empty.db"), &target).await, "nothing to copy");
    let error = begin(&target, &other).await.err().unwrap();
    assert!(error.message.contains("has not ended"), "{error}");
    one.run().await.unwrap();
    one.verify_rows().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_a_bound_in_rows_and_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let source = filled(&folder, "source.db").await;
    let batches = |name: &'static str| {
        source
            .read(move |tx| {
                let tables = table::all()?;
                let table = tables.iter().find(|table| table.name == name).unwrap();
                let (mut sizes, mut batch) = (Vec::new(), table.read_batch(tx, table.first_key())?);
                while !batch.is_last {
                    sizes.push(batch.rows.len());
                    batch = table.read_batch(tx, batch.last_key)?;
                }
                sizes.push(batch.rows.len());
                Ok(sizes)
            })
            .unwrap()
    };
    assert_eq!(batches("audit_entries"), [2_048, 2_048, 904]);
    // Of a megabyte each.
    assert_eq!(batches("idempotency"), [5, 4]);
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use crate::{
        database::{Columns, FromRow},
        postgres::tests::Database,
        tables::appending::NEW_LOG,
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_is_the_same_after_a_copy_to_postgres_and_back_whatever_interrupts_them() {
        let Some(database) = Database::create("copy") else { return };
        let folder = tempfile::tempdir().unwrap();
        let source = filled(&folder, "source.db").await;
        let (open, open_finished) = (
            || Store::open_postgres_unfinished(database.settings()).unwrap(),
            || Store::open_postgres(database.settings()),
        );
        copy_in_pieces(&source, open, open_finished).await;
        let there = open();
        // Numbers that the database gives go on behind those that were copied.
        let next = there.write_for_all(|tx| Ok(tx.one::<i64>(NEW_LOG, params!["new"])?)).await.unwrap();
        assert_eq!(next, LOGS << 40);
        let id = "INSERT INTO former_secrets (tenant, name, version, sealed, scope_required, disclosure, created_at, upstreams,
            stored_by, replaced_at) VALUES ('t', 'n', 1, 's', '', '', 1, '[]', '', 1) RETURNING id";
        let next = there.write_for_all(|tx| Ok(tx.one::<i64>(id, &[])?)).await.unwrap();
        assert_eq!(next, 9);
        let undo = |sql: &'static str| move |tx: &mut Tx| Ok(tx.change(sql, &[]).map(drop)?);
        there.write_for_all(undo("DELETE FROM logs WHERE tenant = 'new'")).await.unwrap();
        there.write_for_all(undo("DELETE FROM former_secrets WHERE id = 9")).await.unwrap();
        let back = store(&folder, "back.db");
        copy(&there, &back).await;
        assert!(contents(&source) == contents(&back));
    }

    /// Table, column, type, place in the primary key.
    type Described = (String, String, String, i64);

    struct DescribedRow(Described);

    impl FromRow for DescribedRow {
        fn from_row(columns: &mut Columns<'_>) -> Result<Self> {
            Ok(Self((columns.next()?, columns.next()?, columns.next()?, columns.next()?)))
        }
    }

    const DESCRIBED: &str =
        "SELECT c.table_name::text, c.column_name::text, c.data_type::text, coalesce(k.ordinal_position, 0)::bigint
        FROM information_schema.columns AS c JOIN pg_class AS t
            ON t.relname = c.table_name AND t.relnamespace = 'haldir'::regnamespace AND NOT t.relispartition
        LEFT JOIN information_schema.key_column_usage AS k
            ON k.table_schema = 'haldir' AND k.table_name = c.table_name AND k.column_name = c.column_name
                AND k.constraint_name = c.table_name || '_pkey'
        WHERE c.table_schema = 'haldir' ORDER BY 1, 2";
    /// Tables of the program's processes, and of its migrations.
    const OWN: [&str; 4] = ["batches", "replica_heartbeat", "schema_migrations", "tenant_batches"];

    #[tokio::test(flavor = "multi_thread")]
    async fn every_table_and_column_of_postgres_is_one_that_is_copied() {
        let Some(database) = Database::create("schema") else { return };
        let there = Store::open_postgres(database.settings()).unwrap();
        let found: Vec<DescribedRow> = there.read(|tx| Ok(tx.all(DESCRIBED, &[])?)).unwrap();
        let found: Vec<_> = found.into_iter().map(|row| row.0).filter(|(table, ..)| !OWN.contains(&&**table)).collect();
        let mut expected = Vec::new();
        for table in table::all().unwrap() {
            for column in &table.columns {
                let column_type = match column.column_type {
                    ColumnType::Integer => "bigint",
                    ColumnType::Text => "text",
                    ColumnType::Blob => "bytea",
                };
                // A log's number stands beside its entries' numbers there, not in one integer with them.
                let names: &[&str] = match (&*table.name, &*column.name) {
                    ("logs", "base") => &["log"],
                    ("audit_entries", "place") => &["log", "seq"],
                    (_, name) => &[name],
                };
                for (place, name) in (column.key_place..).zip(names) {
                    expected.push((table.name.clone(), (*name).to_owned(), column_type.to_owned(), place));
                }
            }
        }
        expected.sort();
        assert_eq!(found, expected);
    }
}
