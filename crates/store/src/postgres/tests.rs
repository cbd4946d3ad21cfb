//! Tests against a server that [`SERVER`] names.

use std::{
    collections::BTreeSet,
    env,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::executor::block_on;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use tokio_postgres::Client;

use super::{server::PLANNING, *};
use crate::{
    ReadTx, Store, Usage,
    database::params,
    model::{Month, TenantId, UnixMicros},
};

/// The variable that names a server to test: `postgres://USER@HOST:PORT/DATABASE`.
const SERVER: &str = "HALDIR_TEST_POSTGRES";

/// A database of its own for one test.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// `None`, and a word about it, where there is no server.
    pub(crate) fn create(name: &str) -> Option<Self> {
        let Ok(server) = env::var(SERVER) else {
            eprintln!("left out: {SERVER} names no server");
            return None;
        };
        let name = format!("haldir_store_{name}_{}", std::process::id());
        assert!(Command::new("createdb").args(["--maintenance-db", &server, &name]).status().unwrap().success());
        Some(Self { server, name })
    }

    fn settings_url(&self) -> String {
        let (address, _) = self.server.rsplit_once('/').unwrap();
        format!("{address}/{}", self.name)
    }

    pub(crate) fn settings(&self) -> PostgresSettings {
        PostgresSettings::parse(&self.settings_url()).unwrap()
    }

    /// A connection to it, once it has its tables. The server is the client's.
    pub(super) fn connect(&self) -> (Server, Client) {
        let server = Server::start(self.settings(), None).unwrap();
        migrations::up(&server).unwrap();
        let client = server.connect().map_err(|failure| failure.error).unwrap().0;
        (server, client)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = Command::new("dropdb").args(["--force", "--maintenance-db", &self.server, &self.name]).status();
        assert!(dropped.unwrap().success());
    }
}

#[test]
fn every_transaction_has_the_settings_of_the_planner_also_behind_a_pool() {
    let Some(database) = Database::create("planner") else { return };
    // Where it is not asked, haldir does not know whether a pool is in front.
    for named in [None, Some(true), Some(false)] {
        let settings = PostgresSettings { named_statements: named, ..database.settings() };
        let connection = PostgresConnection::new(Arc::new(Server::start(settings, None).unwrap()), None);
        connection.begin_read().unwrap();
        for setting in PLANNING {
            let (name, expected) = setting.split_once('=').unwrap();
            let connection: &dyn Connection = &connection;
            let found: String = connection.one("SELECT current_setting(?1)", params![name]).unwrap();
            assert_eq!(found, expected, "{name} with {named:?}");
        }
        connection.end_read().unwrap();
    }
}

/// Ends all connections to the database but this one, as a failing server or network would.
const END_CONNECTIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'haldir'";

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_at_any_moment_loses_nothing_and_repeats_nothing() {
    const WRITERS: i64 = 8;
    const WRITES: i64 = 150;
    let Some(database) = Database::create("lost") else { return };
    let stores = [(); 2].map(|()| Store::open_postgres(database.settings()).unwrap());
    let mut settings = database.settings();
    settings.config.application_name("the test");
    let server = Server::start(settings, None).unwrap();
    let client = server.connect().map_err(|failure| failure.error).unwrap().0;
    let is_done = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&is_done);
    let ending = tokio::spawn(async move {
        let mut ended = 0;
        while !done.load(Ordering::Relaxed) {
            ended += client.query_one(END_CONNECTIONS, &[]).await.unwrap().get::<_, i64>(0);
            // Longer than it takes to connect anew, and of no common measure with a batch.
            tokio::time::sleep(Duration::from_millis(61)).await;
        }
        ended
    });
    let month = Month(24_000);
    let used = Usage { calls: 1, secret_reads: 0 };
    let writers = (0..WRITERS).map(|number| {
        let store = stores[usize::try_from(number).unwrap() % stores.len()].clone();
        // Half of them share a tenant.
        let tenant = TenantId::parse(format!("tenant-{}", number.max(WRITERS / 2))).unwrap();
        tokio::spawn(async move {
            for _ in 0..WRITES {
                let of = tenant.clone();
                store.write(&tenant, move |tx| Ok(tx.add_usage(&of, month, used)?)).await.unwrap();
            }
            tenant
        })
    });
    let tenants = futures::future::join_all(writers).await.into_iter().map(Result::unwrap);
    is_done.store(true, Ordering::Relaxed);
    assert!(ending.await.unwrap() > 10, "too few connections were lost");
    let tenants: BTreeSet<TenantId> = tenants.collect();
    let calls = |tenant: &TenantId| {
        stores[0].scan({
            let tenant = tenant.clone();
            move |tx| Ok(tx.usage(&tenant, month)?.calls)
        })
    };
    let mut all = 0;
    for tenant in &tenants {
        all += match calls(tenant).await {
            Ok(calls) => calls,
            // A pooled connection was lost without being used since.
            Err(_) => calls(tenant).await.unwrap(),
        };
    }
    assert_eq!(all, WRITERS * WRITES);
}

/// Stands in front of a server. The first commit that a client sends arrives only after a while, when the client has been cut off.
async fn late_commits(server: std::net::SocketAddr) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            let is_over = Arc::clone(&is_over);
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let mut buffer = vec![0; 65_536];
                while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                    let chunk = &buffer[..length];
                    let is_commit = chunk.windows(7).any(|window| window == b"COMMIT\0");
                    if is_commit && !is_over.swap(true, Ordering::Relaxed) {
                        back.abort();
                        drop(from_client);
                        tokio::time::sleep(Duration::from_millis(700)).await;
                        to_server.write_all(chunk).await.unwrap();
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        return;
                    }
                    to_server.write_all(chunk).await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_late_is_not_made_twice() {
    let Some(database) = Database::create("late") else { return };
    let tenant = TenantId::local();
    let month = Month(24_000);
    // The tables, and the first batch, are made directly.
    let direct = Store::open_postgres(database.settings()).unwrap();
    let url = database.settings_url();
    let (host, name) = url.trim_start_matches("postgres://").split_once('/').unwrap();
    let (name_of_user, host) = host.split_once('@').unwrap();
    let late = late_commits(host.parse().unwrap()).await;
    let behind = PostgresSettings::parse(&format!("postgres://{name_of_user}@{late}/{name}")).unwrap();
    // Without a look whether a copy is complete, whose commit would be the first.
    let store = tokio::task::spawn_blocking(|| Store::open_postgres_unfinished(behind).unwrap()).await.unwrap();
    for _ in 0..3 {
        let of = tenant.clone();
        let used = Usage { calls: 1, secret_reads: 0 };
        store.write(&tenant, move |tx| Ok(tx.add_usage(&of, month, used)?)).await.unwrap();
    }
    let calls = direct.scan(move |tx| Ok(tx.usage(&TenantId::local(), month)?.calls)).await.unwrap();
    assert_eq!(calls, 3);
}

/// The variable that names a replica of that server.
const REPLICA: &str = "HALDIR_TEST_POSTGRES_REPLICA";

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_in_the_way_of_replay_is_made_on_the_primary() {
    let Some(database) = Database::create("replay") else { return };
    let Ok(replica) = env::var(REPLICA) else {
        eprintln!("left out: {REPLICA} names no replica");
        return;
    };
    let (address, _) = replica.rsplit_once('/').unwrap();
    let at = PostgresSettings::parse(&format!("{address}/{}", database.name)).unwrap();
    let mut settings = database.settings();
    settings.replica = Some(Box::new(ReplicaSettings { at, max_age: Duration::from_secs(60) }));
    let store = tokio::task::spawn_blocking(|| Store::open_postgres(settings).unwrap()).await.unwrap();
    let server = Server::start(database.settings(), None).unwrap();
    let client = Arc::new(server.connect().map_err(|failure| failure.error).unwrap().0);
    client.batch_execute("CREATE TABLE haldir.vacuumed AS SELECT generate_series(1, 1000) AS n").await.unwrap();
    let tenant = TenantId::local();
    store.write(&tenant, |tx| Ok(tx.insert_tenant(&TenantId::local(), &[0], UnixMicros(0))?)).await.unwrap();
    let count = |tx: &ReadTx| tx.one::<i64>("SELECT count(*) FROM vacuumed", &[]);
    let is_read = async || {
        let limit = Instant::now() + Duration::from_secs(60);
        while store.lagging_scan(&tenant, move |tx| Ok(count(tx)?)).await.unwrap().1.is_none() {
            assert!(Instant::now() < limit, "the replica is not read");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    is_read().await;

    let runs = Arc::new(AtomicUsize::new(0));
    let (counted, primary) = (Arc::clone(&runs), Arc::clone(&client));
    let work = move |tx: &ReadTx| {
        let found = count(tx)?;
        if counted.fetch_add(1, Ordering::Relaxed) == 0 {
            // What this snapshot of the replica still sees is removed.
            block_on(primary.batch_execute("DELETE FROM haldir.vacuumed")).unwrap();
            block_on(primary.batch_execute("VACUUM haldir.vacuumed")).unwrap();
            let limit = Instant::now() + Duration::from_secs(60);
            while Instant::now() < limit {
                count(tx)?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(found)
    };
    let (found, age) = store.lagging_scan(&tenant, work).await.unwrap();
    assert_eq!((found, age, runs.load(Ordering::Relaxed)), (0, None, 2), "the replica has ended no read");
    is_read().await;
}

/// Reads on so many connections at a time.
fn read_at_once(store: &Store, connections: usize) -> crate::CoreResult<i64> {
    store.read(|tx| {
        let calls = tx.usage(&TenantId::local(), Month(24_000))?.calls;
        if connections > 1 { read_at_once(store, connections - 1) } else { Ok(calls) }
    })
}

#[test]
fn connections_for_reading_are_open_from_the_start_and_each_that_is_lost_is_replaced_by_a_read() {
    const LEAST: usize = 3;
    const OPEN: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'haldir'";
    let Some(database) = Database::create("pool") else { return };
    let mut settings = database.settings();
    (settings.pool_min, settings.pool_max) = (LEAST, LEAST);
    let store = Store::open_postgres(settings).unwrap();
    let mut settings = database.settings();
    settings.config.application_name("the test");
    let server = Server::start(settings, None).unwrap();
    let client = server.connect().map_err(|failure| failure.error).unwrap().0;
    let count = |sql: &str| block_on(client.query_one(sql, &[])).unwrap().get::<_, i64>(0);
    assert_eq!(count(OPEN), 3);
    assert_eq!(count(END_CONNECTIONS), 3);
    assert!((0..100_000).any(|_| count(OPEN) == 0), "they did not end");
    // A read may meet a connection before its loss is seen, and fails; that connection is not used again.
    assert!((0..=LEAST).any(|_| read_at_once(&store, LEAST).is_ok()));
    assert_eq!(count(OPEN), 3);
}
