//! The database beside the programs that use it, as an insider with full access to it reads and changes it: a file, or one on
//! Postgres. Tests speak SQL that both know, and leave to this module what only one of them has.

use std::path::Path;

use rusqlite::{
    params,
    types::{FromSql, ToSql, Value, ValueRef},
};

/// A connection of the insider's.
///
/// Parameters are `?1`. An entry's `place` is its number in the log of the first tenant. `zeroblob(n)` is n bytes of zeros.
pub enum Database {
    File(rusqlite::Connection),
    Postgres(postgres::Connection),
}

/// A row of a result: the names and values of its columns.
pub struct Row(pub Vec<(String, Value)>);

impl Row {
    /// The value of a column.
    #[track_caller]
    pub fn get<T: FromSql>(&self, column: &str) -> T {
        let (_, value) = self.0.iter().find(|(name, _)| name == column).unwrap_or_else(|| panic!("no column {column}"));
        read(value)
    }
}

#[track_caller]
fn read<T: FromSql>(value: &Value) -> T {
    T::column_result(ValueRef::from(value)).unwrap_or_else(|error| panic!("{value:?}: {error}"))
}

/// Values for the parameters of a statement: `rusqlite::params![…]`.
type Params<'p> = &'p [&'p dyn ToSql];

impl Database {
    /// Opens the database that is the file `db`, or stands for it. What is changed in a file need not survive a power cut.
    pub fn open(db: &Path) -> Self {
        if let Some(url) = super::on_postgres::url(db) {
            return Self::Postgres(postgres::Connection::open(&url));
        }
        let connection = rusqlite::Connection::open(db).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        Self::File(connection)
    }

    /// Runs a statement; returns how many rows it changed, or why the database refuses it.
    pub fn execute(&self, sql: &str, params: Params<'_>) -> Result<usize, String> {
        match self {
            Self::File(file) => file.execute(sql, params).map_err(|error| error.to_string()),
            Self::Postgres(connection) => connection.execute(sql, params),
        }
    }

    /// Runs a statement that the database takes; returns how many rows it changed.
    #[track_caller]
    pub fn change(&self, sql: &str, params: Params<'_>) -> usize {
        self.execute(sql, params).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs several statements without parameters.
    #[track_caller]
    pub fn batch(&self, sql: &str) {
        let outcome = match self {
            Self::File(file) => file.execute_batch(sql).map_err(|error| error.to_string()),
            Self::Postgres(connection) => connection.batch(sql),
        };
        outcome.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// All rows of a query.
    #[track_caller]
    pub fn rows(&self, sql: &str, params: Params<'_>) -> Vec<Row> {
        let rows = match self {
            Self::File(file) => rows_of(file, sql, params).map_err(|error| error.to_string()),
            Self::Postgres(connection) => connection.rows(sql, params),
        };
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The first column of all rows of a query.
    #[track_caller]
    pub fn column<T: FromSql>(&self, sql: &str, params: Params<'_>) -> Vec<T> {
        self.rows(sql, params).iter().map(|row| read(&row.0[0].1)).collect()
    }

    /// The value of a query that has one.
    #[track_caller]
    pub fn value<T: FromSql>(&self, sql: &str, params: Params<'_>) -> T {
        let mut all = self.column(sql, params);
        assert_eq!(all.len(), 1, "rows of {sql}");
        all.remove(0)
    }

    /// The columns of a table, in their order.
    #[track_caller]
    pub fn columns(&self, table: &str) -> Vec<String> {
        match self {
            Self::File(_) => self.column("SELECT name FROM pragma_table_info(?1) ORDER BY cid", params![table]),
            Self::Postgres(_) => {
                let columns = "SELECT attname::text FROM pg_attribute
                    WHERE attrelid = to_regclass(?1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
                let columns = self.column::<String>(columns, params![table]).into_iter();
                let is_place = |column: &str| table == "audit_entries" && column == "seq";
                columns.map(|column| if is_place(&column) { "place".to_owned() } else { column }).collect()
            }
        }
    }

    /// Has every process read anew what it needs, as the batch of another process does. On Postgres a process goes on from the head of a
    /// log that it wrote last, and writes over an altered one, until it finds that another process has written.
    pub fn written_by_another(&self) {
        if let Self::Postgres(_) = self {
            self.batch("UPDATE tenant_batches SET number = -1");
        }
    }

    /// Keeps the rows of tables, so that [`Self::put_back`] finds them.
    #[track_caller]
    pub fn keep(&self, tables: &[&str]) {
        for table in tables {
            self.batch(&format!("CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}"));
        }
    }

    /// Puts back the rows that were kept.
    #[track_caller]
    pub fn put_back(&self, tables: &[&str]) {
        for table in tables {
            self.batch(&format!(
                "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}; DROP TABLE kept_{table}"
            ));
        }
    }

    /// From here on, up to [`Self::end_snapshot`], queries see one state of the database.
    pub fn begin_snapshot(&self) {
        self.batch(match self {
            Self::File(_) => "BEGIN",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        });
    }

    pub fn end_snapshot(&self) {
        self.batch("COMMIT");
    }

    /// Entries of all tenants, as a query: the columns of their rows, `tenant`, and `number` in the tenant's log.
    pub fn entries(&self) -> &'static str {
        match self {
            Self::File(_) => {
                "SELECT tenant, place - base AS number, e.* FROM logs JOIN audit_entries AS e
                    ON place > base AND place < base + 549755813888"
            }
            Self::Postgres(_) => "SELECT tenant, seq AS number, e.* FROM logs JOIN audit_entries AS e USING (log)",
        }
    }

    /// Copies an entry of the first tenant to another place, with another value in one of its columns, if one is given.
    #[track_caller]
    pub fn copy_entry(&self, from: i64, to: i64, altered: Option<(&str, &str)>) {
        let columns = self.columns("audit_entries");
        let value = |name: &String| match altered {
            _ if name == "place" => to.to_string(),
            Some((column, value)) if name == column => value.to_owned(),
            _ => name.clone(),
        };
        let values: Vec<_> = columns.iter().map(value).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        let copy = format!("INSERT INTO audit_entries ({columns}) SELECT {values} FROM audit_entries WHERE place = ?1");
        assert_eq!(self.change(&copy, params![from]), 1);
    }

    /// Moves the entries of one tenant's log from number `first` on to that of another, each `by` numbers further.
    #[track_caller]
    pub fn move_entries(&self, from: &str, to: &str, first: i64, by: i64) {
        let moved = match self {
            Self::File(_) => {
                let base = |tenant: &str| self.value::<i64>("SELECT base FROM logs WHERE tenant = ?1", params![tenant]);
                let (from, to) = (base(from), base(to));
                self.change(
                    "UPDATE audit_entries SET place = place + ?1 WHERE place >= ?2 AND place < ?2 + 1000",
                    params![to - from + by, from + first],
                )
            }
            Self::Postgres(_) => self.change(
                "UPDATE audit_entries SET log = (SELECT log FROM logs WHERE tenant = ?2), seq = seq + ?3
                    WHERE log = (SELECT log FROM logs WHERE tenant = ?1) AND seq >= ?4",
                params![from, to, by, first],
            ),
        };
        assert!(moved > 0, "no entries of {from} from {first} on");
    }

    /// The column of `logs` that says where a log's entries lie, and how many of its steps are from one log to the next.
    pub fn beginning_of_logs(&self) -> (&'static str, i64) {
        match self {
            Self::File(_) => ("base", 1 << 40),
            Self::Postgres(_) => ("log", 1),
        }
    }

    /// What is wrong with the database itself, apart from what is in its rows.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::File(_) => {
                self.column("SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'", &[])
            }
            // Its server was not touched.
            Self::Postgres(_) => Vec::new(),
        }
    }

    /// The bytes of all rows of all tables.
    pub fn bytes_of_rows(&self) -> Vec<u8> {
        let tables: Vec<String> = self.column("SELECT tablename::text FROM pg_tables WHERE schemaname = 'haldir'", &[]);
        let rows = tables.iter().flat_map(|table| self.rows(&format!("SELECT * FROM {table}"), &[]));
        let mut bytes = Vec::new();
        for (_, value) in rows.flat_map(|row| row.0) {
            match value {
                Value::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                Value::Blob(blob) => bytes.extend_from_slice(&blob),
                other => bytes.extend_from_slice(format!("{other:?}").as_bytes()),
            }
            bytes.push(b'\n');
        }
        bytes
    }
}

fn rows_of(file: &rusqlite::Connection, sql: &str, params: Params<'_>) -> rusqlite::Result<Vec<Row>> {
    let mut statement = file.prepare_cached(sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let rows = statement.query_map(params, |row| {
        names
            .iter()
            .enumerate()
            .map(|(index, name)| Ok((name.clone(), row.get(index)?)))
            .collect::<Result<_, _>>()
            .map(Row)
    })?;
    rows.collect()
}

mod postgres {
    //! The same on Postgres.

    use std::error::Error;

    use bytes::BytesMut;
    use rusqlite::types::{ToSqlOutput, Value};
    use tokio::runtime::{Builder, Runtime};
    use tokio_postgres::{
        Client, Config, NoTls,
        types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
    };

    use super::{Params, Row};

    /// Runs only while a statement is waited for.
    pub struct Connection {
        runtime: Runtime,
        client: Client,
    }

    impl Connection {
        pub fn open(url: &str) -> Self {
            let mut config: Config = url.parse().unwrap();
            config.options("-c search_path=haldir,tests");
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let (client, connection) = runtime.block_on(config.connect(NoTls)).unwrap();
            drop(runtime.spawn(connection));
            Self { runtime, client }
        }

        pub fn execute(&self, sql: &str, params: Params<'_>) -> Result<usize, String> {
            let values = values(params);
            let changed = self.runtime.block_on(self.client.execute(&spelled(sql), &borrowed(&values)));
            changed.map(|count| usize::try_from(count).unwrap()).map_err(|error| message(&error))
        }

        pub fn batch(&self, sql: &str) -> Result<(), String> {
            self.runtime.block_on(self.client.batch_execute(&spelled(sql))).map_err(|error| message(&error))
        }

        pub fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, String> {
            let values = values(params);
            let rows = self.runtime.block_on(self.client.query(&spelled(sql), &borrowed(&values)));
            let read = |row: tokio_postgres::Row| {
                let columns = row.columns().iter().enumerate();
                let named = |(index, column): (usize, &tokio_postgres::Column)| {
                    let name = if column.name() == "seq" { place_or_seq(sql) } else { column.name() };
                    let value = row.try_get::<_, Read>(index).unwrap_or_else(|error| panic!("{sql}: {name}: {error}"));
                    (name.to_owned(), value.0)
                };
                Row(columns.map(named).collect())
            };
            rows.map(|rows| rows.into_iter().map(read).collect()).map_err(|error| message(&error))
        }
    }

    /// What the column is called in the statement.
    fn place_or_seq(sql: &str) -> &'static str {
        if sql.split(|c: char| !is_of_word(c)).any(|word| word == "place") { "place" } else { "seq" }
    }

    fn is_of_word(c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_'
    }

    /// A statement as Postgres has it. No text in one has these words or a question mark.
    fn spelled(sql: &str) -> String {
        let words = sql.split_inclusive(|c: char| !is_of_word(c));
        let spelled = words.map(|word| match word.strip_prefix("place") {
            Some(rest) if !rest.starts_with(is_of_word) => format!("seq{rest}"),
            _ => word.replace('?', "$"),
        });
        spelled.collect()
    }

    /// The server's words, which the driver's message leaves out.
    fn message(error: &tokio_postgres::Error) -> String {
        error.source().map_or_else(|| error.to_string(), ToString::to_string)
    }

    #[derive(Debug)]
    struct Parameter(Value);

    fn values(params: Params<'_>) -> Vec<Parameter> {
        let value = |param: &&dyn rusqlite::ToSql| match param.to_sql().unwrap() {
            ToSqlOutput::Borrowed(value) => value.try_into().unwrap(),
            ToSqlOutput::Owned(value) => value,
            other => panic!("{other:?} is no value"),
        };
        params.iter().map(value).map(Parameter).collect()
    }

    fn borrowed(values: &[Parameter]) -> Vec<&(dyn ToSql + Sync)> {
        values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
    }

    /// A value of another type than the column's is refused, as in a file's strict tables.
    impl ToSql for Parameter {
        fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
            match &self.0 {
                Value::Null => Ok(IsNull::Yes),
                Value::Integer(integer) if *ty == Type::INT4 => i32::try_from(*integer)?.to_sql(ty, out),
                Value::Integer(integer) if *ty == Type::INT8 => integer.to_sql(ty, out),
                Value::Text(text) if *ty == Type::TEXT => text.to_sql(ty, out),
                Value::Blob(blob) if *ty == Type::BYTEA => blob.to_sql(ty, out),
                other => Err(format!("{other:?} is no {ty}").into()),
            }
        }

        fn accepts(_: &Type) -> bool {
            true
        }

        to_sql_checked!();
    }

    /// An integer that is sent as a number of any size, such as a sum: four words, and then its digits to the base of 10,000.
    fn whole(raw: &[u8]) -> Option<i64> {
        let words: Vec<_> = raw.as_chunks().0.iter().map(|word| i64::from(i16::from_be_bytes(*word))).collect();
        let [_, weight, sign, fraction, digits @ ..] = &words[..] else { return None };
        let digits = digits.iter().chain(std::iter::repeat(&0)).take(usize::try_from(weight + 1).ok()?);
        let number = digits.fold(0, |number, digit| number * 10_000 + digit);
        (*fraction == 0).then_some(if *sign == 0 { number } else { -number })
    }

    /// A value that was read.
    struct Read(Value);

    impl<'r> FromSql<'r> for Read {
        fn from_sql(ty: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            Ok(Self(match *ty {
                Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
                Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
                Type::BOOL => Value::Integer(bool::from_sql(ty, raw)?.into()),
                Type::TEXT => Value::Text(String::from_sql(ty, raw)?),
                Type::BYTEA => Value::Blob(raw.to_vec()),
                Type::NUMERIC => Value::Integer(whole(raw).ok_or("is no integer")?),
                // When something happened; no test looks at it.
                Type::TIMESTAMPTZ => Value::Null,
                ref other => return Err(format!("is a {other}").into()),
            }))
        }

        fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
            Ok(Self(Value::Null))
        }

        fn accepts(_: &Type) -> bool {
            true
        }
    }
}
