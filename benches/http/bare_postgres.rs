//! The bare server on Postgres: what waits is inserted by one statement, in a transaction of its own, and answered after its commit.

use std::{sync::mpsc, thread};

use tokio::sync::oneshot;
use tokio_postgres::{Client, NoTls};

use crate::{Result, bare_http};

/// The columns of an entry of haldir's log, in a table of one log.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS bare_entries (
    log BIGINT, seq BIGINT, id TEXT COLLATE \"C\" NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL, tool TEXT NOT NULL, action TEXT NOT NULL, cost BIGINT NOT NULL, flagged BIGINT NOT NULL,
    flag_reason TEXT NOT NULL, actor TEXT NOT NULL, details TEXT, details_salt BYTEA, details_digest BYTEA, prev_hash BYTEA NOT NULL,
    entry_hash BYTEA NOT NULL, PRIMARY KEY (log, seq))";
const INSERT: &str = "INSERT INTO bare_entries SELECT 1, unnest($1::bigint[]), unnest($2::text[]), unnest($1::bigint[]),
    unnest($3::text[]), unnest($2::text[]), unnest($4::text[]), unnest($4::text[]), unnest($4::text[]), unnest($1::bigint[]), 0, '',
    unnest($4::text[]), NULL, NULL, NULL, unnest($5::bytea[]), unnest($5::bytea[])";

/// The hidden subcommand `bare-postgres URL SIZE`: every POST is one committed row.
pub fn append(url: &str, size: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(TABLE).await.map(|()| client)
    })?;
    let (sender, queue) = mpsc::channel();
    thread::spawn(move || {
        let written = write(&runtime, &client, &queue);
        eprintln!("the writer ended: {written:?}");
        std::process::exit(1);
    });
    bare_http::append_by(sender, size)
}

fn write(
    runtime: &tokio::runtime::Runtime,
    client: &Client,
    queue: &mpsc::Receiver<oneshot::Sender<()>>,
) -> Result<()> {
    let insert = runtime.block_on(client.prepare(INSERT))?;
    let hash = [7_u8; 32];
    let mut sequence = 0_i64;
    let mut waiting = Vec::new();
    while let Ok(first) = queue.recv() {
        waiting.push(first);
        waiting.extend(queue.try_iter());
        let count = waiting.len();
        let sequences: Vec<i64> = (sequence..).take(count).collect();
        sequence += i64::try_from(count)?;
        let (ids, kinds) = (vec!["0123456789abcdef0123456789abcdef"; count], vec!["action"; count]);
        let (names, hashes) = (vec!["a usual name"; count], vec![&hash[..]; count]);
        runtime.block_on(client.execute(&insert, &[&sequences, &ids, &kinds, &names, &hashes]))?;
        for committed in waiting.drain(..) {
            // The load generator may have hung up.
            let _ = committed.send(());
        }
    }
    Ok(())
}
