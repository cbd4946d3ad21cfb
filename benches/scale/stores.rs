//! Where the logs are: in files, or in databases on a Postgres server. They are kept, and used again if they are there.

#[cfg(feature = "postgres")]
use std::process::Command;
use std::{path::PathBuf, time::Duration};

use haldir::{error::Result, store::Store};
#[cfg(feature = "postgres")]
use haldir::{
    error::{Code, Error},
    store::postgres::PostgresSettings,
};

pub enum Stores {
    Folder(PathBuf),
    /// Its address, with a database to begin with: `postgres://USER@HOST:PORT/postgres`. Others are made with `createdb`.
    #[cfg(feature = "postgres")]
    Server(String),
}

impl Stores {
    /// The file of a log of so many entries.
    pub fn path(&self, entries: i64) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.join(format!("scale-{entries}.db"))),
            #[cfg(feature = "postgres")]
            Self::Server(_) => None,
        }
    }

    /// The store of a log of so many entries; it is empty at first.
    pub fn open(&self, entries: i64) -> Result<Store> {
        match self {
            Self::Folder(folder) => Store::open(&folder.join(format!("scale-{entries}.db"))),
            #[cfg(feature = "postgres")]
            Self::Server(server) => {
                let (url, name) = (database(server, entries), format!("haldir_scale_{entries}"));
                if psql(&url, "SELECT 1").is_err() {
                    run(Command::new("createdb").args(["--maintenance-db", server, &name]))?;
                }
                Store::open_postgres(PostgresSettings::parse(&url)?)
            }
        }
    }

    /// What a proof takes at most in the long log: it is read in some twenty statements.
    pub fn proof_goal(&self) -> Duration {
        match self {
            Self::Folder(_) => Duration::from_millis(1),
            #[cfg(feature = "postgres")]
            Self::Server(_) => Duration::from_millis(4),
        }
    }

    /// How many bytes the server has written to its write-ahead log so far.
    pub fn wal_bytes(&self) -> Result<Option<u64>> {
        match self {
            Self::Folder(_) => Ok(None),
            #[cfg(feature = "postgres")]
            Self::Server(server) => {
                let written = psql(server, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")?;
                written.trim().parse().map(Some).map_err(Error::internal)
            }
        }
    }

    /// Shows how large the tables and indexes of a log are, those of the partitions together.
    #[cfg(feature = "postgres")]
    pub fn show_sizes(&self, entries: i64) -> Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Server(server) => {
                let sizes = psql(&database(server, entries), &SIZES.replace(":entries", &entries.to_string()))?;
                println!("\n| table or index | MB | bytes for each entry |\n|---|---|---|\n{sizes}");
                Ok(())
            }
        }
    }
}

/// Relations that take a byte or more for each entry; tables with what is too long for a row.
#[cfg(feature = "postgres")]
const SIZES: &str = r"SELECT format('| %s | %s | %s |', name, round(bytes / 1e6, 1), round(bytes / :entries::numeric, 1)) FROM
    (SELECT regexp_replace(relname, '^(audit_entries)_\d+', '\1') AS name, sum(pg_table_size(oid)) AS bytes FROM pg_class
    WHERE relnamespace = 'haldir'::regnamespace AND relkind IN ('r', 'i') GROUP BY name) AS sizes
    WHERE bytes >= :entries ORDER BY bytes DESC";

#[cfg(feature = "postgres")]
fn database(server: &str, entries: i64) -> String {
    let (address, _) = server.rsplit_once('/').unwrap_or((server, ""));
    format!("{address}/haldir_scale_{entries}")
}

#[cfg(feature = "postgres")]
fn psql(url: &str, sql: &str) -> Result<String> {
    run(Command::new("psql").args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", sql, url]))
}

#[cfg(feature = "postgres")]
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(Error::internal)?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(Error::internal);
    }
    Err(Error::new(Code::Unavailable, String::from_utf8_lossy(&output.stderr).into_owned()))
}
