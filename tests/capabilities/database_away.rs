//! A server whose database on Postgres is away for a while, and the connections that it holds. Nothing to test without Postgres.

use std::{
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::support::{House, Server, eventually, lock, on_postgres, text, until};

/// Stands between a server and its database, and can be cut.
struct Line {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Line {
    fn to(database: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self { address: listener.local_addr().unwrap(), is_cut: Arc::default(), open: Arc::default() };
        let (is_cut, open) = (Arc::clone(&line.is_cut), Arc::clone(&line.open));
        thread::spawn(move || {
            for near in listener.incoming().map(Result::unwrap) {
                let mut all = lock(&open);
                if is_cut.load(Ordering::Relaxed) {
                    continue;
                }
                let far = TcpStream::connect(database).unwrap();
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || {
                        // One that ends or is cut ends the other as well.
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                all.extend([near, far]);
            }
        });
        line
    }

    /// The database is away: connections break, and new ones are closed at once.
    fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
        for stream in lock(&self.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::Relaxed);
    }
}

/// A server whose database is behind a line.
fn behind_a_line(house: &House) -> Option<(Server, Line)> {
    let url = on_postgres::url(&house.db())?;
    let (_, key) = on_postgres::address(&house.db());
    let (host, _) = url.split_once('@').unwrap().1.split_once('/').unwrap();
    let line = Line::to(host.parse().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldir-mcp"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).env_clear().envs(key);
    command.env("DATABASE_URL", url.replace(host, &line.address.to_string()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some((Server::start(command), line))
}

fn check<'a>(ready: &'a Value, name: &str) -> &'a Value {
    ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

#[test]
fn a_server_is_not_ready_while_its_database_is_away_and_lives_on() {
    let house = House::new();
    let Some((server, line)) = behind_a_line(&house) else { return };
    let anonymous = server.anonymous();
    let operator = server.first_key();
    assert_eq!(anonymous.get("/readyz").ok()["ready"], true);
    line.cut();
    let told = "the server is not ready, and says why";
    let database = eventually(told, || {
        let ready = anonymous.get("/readyz");
        let check = (ready.status == 503).then(|| check(&ready.json(), "database").clone())?;
        text(&check, "message").contains("cannot be reached since").then_some(check)
    });
    assert_eq!(database["ok"], false, "{database}");
    for path in ["/livez", "/healthz"] {
        assert_eq!(anonymous.get(path).status, 200, "{path}");
    }
    operator.get("/v1/sessions").refused(503, "unavailable");
    line.mend();
    until("the server is ready again", || anonymous.get("/readyz").status == 200);
    operator.session(&json!({}));
}

#[test]
fn a_server_told_to_stop_while_its_database_is_away_ends() {
    let house = House::new();
    let Some((server, line)) = behind_a_line(&house) else { return };
    let operator = server.first_key();
    operator.session(&json!({}));
    line.cut();
    let Server { process, .. } = server;
    process.terminate();
    let (well, errors) = process.finish();
    assert!(well, "{errors}");
}

/// Connections of servers of this house.
fn connections(house: &House) -> Option<i64> {
    let count = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'haldir' AND pid <> pg_backend_pid()";
    on_postgres::is_used().then(|| house.sql_value(count))
}

#[test]
fn connections_that_a_setting_names_are_open_from_the_start() {
    let house = House::new();
    if connections(&house).is_none() {
        return;
    }
    let mut command = house.serving();
    command.args(["--pg-pool-min", "3", "--pg-pool-max", "3"]);
    let server = Server::start(command);
    let operator = server.first_key();
    assert_eq!(connections(&house), Some(4), "three for reading, one for writing; look-ups of keys have not begun");
    // What ends them is what ends them in a failing network; one that is needed is opened anew.
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'haldir' AND pid <> pg_backend_pid()";
    assert_eq!(house.sql_value::<i64>(ended), 4);
    until("the server reads again", || operator.get("/v1/sessions").status == 200);
    operator.session(&json!({}));
    let open = connections(&house).unwrap();
    assert!((2..=5).contains(&open), "{open}");
}
