//! Reads of the trail and of reports that a replica answers: `tests/postgres/run --replica` makes one. They say how old they are, and
//! whenever the replica cannot answer, or is too old, the primary does.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use crate::support::{
    Answer, Client, House, McpSession, Server, eventually, json, lock, on_postgres, refuses_to_start, text, until,
};

const AGE: &str = "haldir-data-age";

/// How the way to the replica is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Connections stand, and nothing arrives.
    Hangs,
    Closed,
}

/// A way to the replica that a test can close.
#[derive(Clone)]
struct Gate {
    address: SocketAddr,
    way: Arc<(Mutex<Way>, Condvar)>,
}

impl Gate {
    fn to(replica: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Arc::new((Mutex::new(Way::Open), Condvar::new()));
        let this = Self { address: listener.local_addr().unwrap(), way };
        let (gate, replica) = (this.clone(), replica.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if gate.is(Way::Closed) {
                    continue;
                }
                let server = TcpStream::connect(&replica).unwrap();
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (gate, from, to) = (gate.clone(), from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || gate.pass(from, to));
                }
            }
        });
        this
    }

    fn is(&self, way: Way) -> bool {
        *lock(&self.way.0) == way
    }

    fn set(&self, way: Way) {
        *lock(&self.way.0) = way;
        self.way.1.notify_all();
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut bytes = [0; 16 * 1024];
        loop {
            let way = self.way.1.wait_while(lock(&self.way.0), |way| *way == Way::Hangs).unwrap();
            if *way == Way::Closed {
                break;
            }
            drop(way);
            match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) if to.write_all(&bytes[..length]).is_ok() => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => break,
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}

/// A server that reads the replica, and an operator's client.
struct Fixture {
    operator: Client,
    server: Server,
    gate: Gate,
    _house: House,
    // Replay is paused for all databases of the replica.
    _alone: MutexGuard<'static, ()>,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        on_postgres::ask_replica("SELECT pg_wal_replay_resume()");
    }
}

impl Fixture {
    /// `None` where there is no replica.
    fn new(max_age: &str) -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let house = House::new();
        let Some((replica, database)) = on_postgres::replica(&house.db()) else {
            eprintln!("left out: there is no replica");
            return None;
        };
        let alone = lock(&ALONE);
        let (user, address) = replica.split_once('@').unwrap();
        let gate = Gate::to(address);
        let mut serving = house.serving();
        serving.env("HALDIR_PG_REPLICA", format!("{user}@{}/{database}", gate.address));
        serving.env("HALDIR_PG_REPLICA_MAX_AGE", max_age).env("HALDIR_BOOTSTRAP_TOKEN", "the operator's word");
        let server = Server::start(serving);
        let made = json!({"name": "first", "tier": "enterprise", "role": "operator", "bootstrap_token": "the operator's word"});
        let operator = server.with_key(&text(&server.anonymous().post("/v1/keys", &made).ok(), "key"));
        let this = Self { operator, server, gate, _house: house, _alone: alone };
        this.is_read();
        Some(this)
    }

    /// The last entries of the trail.
    #[track_caller]
    fn trail(&self) -> Answer {
        let answer = self.operator.get("/v1/audit?limit=5");
        answer.ok();
        answer
    }

    /// Waits until the replica answers.
    fn is_read(&self) {
        eventually("the replica answers", || age(&self.trail()));
    }

    /// Waits until the primary answers; every read before it succeeds too.
    fn is_passed_over(&self) -> Answer {
        eventually("the primary answers", || Some(self.trail()).filter(|answer| age(answer).is_none()))
    }

    fn readiness(&self) -> (bool, String) {
        let ready = self.operator.get("/readyz").ok();
        let checks = ready["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == "replica").unwrap();
        (check["ok"] == true, text(check, "message"))
    }
}

/// Has the replica replay nothing until the fixture is gone.
fn pause() {
    on_postgres::ask_replica("SELECT pg_wal_replay_pause()");
    until("replay is paused", || on_postgres::ask_replica("SELECT pg_get_wal_replay_pause_state()") == "paused");
}

fn age(answer: &Answer) -> Option<f64> {
    answer.header(AGE).map(|seconds| seconds.parse().unwrap())
}

#[test]
fn the_trail_and_reports_are_read_from_the_replica_and_say_how_old_they_are() {
    let Some(fixture) = Fixture::new("10s") else { return };
    let Fixture { operator, server, .. } = &fixture;
    let session = operator.session(&json!({"scopes": ["spend"]}));
    operator.log(&session, "seen").ok();
    let seen = eventually("the entry arrives", || {
        Some(fixture.trail()).filter(|answer| age(answer).is_some() && answer.text.contains("seen"))
    });
    assert!((0.0..10.0).contains(&age(&seen).unwrap()), "{seen:?}");
    for path in [
        "/v1/audit", "/v1/audit/stats", "/v1/audit/spend", "/v1/audit/export", "/v1/audit/export?format=csv",
        "/v1/audit/export/manifest", "/v1/admin/overview", "/v1/metrics", "/v1/compliance/score",
    ] {
        let answer = operator.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(age(&answer).is_some(), "{path}");
    }
    let of_primary = [
        "/v1/sessions", "/v1/approvals/pending", "/v1/audit/verify", "/v1/audit/tree-head", "/v1/audit/bundle",
        "/v1/compliance/evidence", "/v1/usage", "/v1/payments", "/v1/keys",
    ];
    for path in of_primary.map(str::to_owned).into_iter().chain([format!("/v1/sessions/{session}")]) {
        let answer = operator.get(&path);
        assert_eq!((answer.status, age(&answer)), (200, None), "{path}: {}", answer.text);
    }
    // An error is never the replica's: what is missing there may be at the primary.
    let refused = operator.get("/v1/audit?limit=0");
    refused.refused_field(400, "invalid_argument", "limit");
    assert_eq!(age(&refused), None);

    let says = "\"_meta\":{\"io.haldir/data_age_seconds\":";
    let plain = operator.tool_text("getAuditTrail", "{}");
    assert!(plain.text.contains(says), "{}", plain.text);
    let mcp = McpSession::begin(operator);
    assert!(mcp.tool("getSpend", &json!({})).contains(says));
    assert!(!mcp.tool("getSession", &json!({"session_id": session})).contains("data_age"));

    assert_eq!(fixture.readiness(), (true, "ok".to_owned()));
    let metrics = operator.get("/metrics").text;
    for name in ["haldir_replica_reads_total{answered_by=\"replica\"} ", "haldir_replica_age_seconds "] {
        assert!(metrics.contains(name), "{metrics}");
    }
    assert!(!server.process.errors().contains("the replica is not read"), "{}", server.process.errors());
}

#[test]
fn a_replica_that_replays_nothing_grows_old_and_is_passed_over_until_it_has_caught_up() {
    let Some(fixture) = Fixture::new("5s") else { return };
    let session = fixture.operator.session(&json!({}));
    pause();
    fixture.operator.log(&session, "hidden").ok();
    // Between the last look and the pause it may have arrived.
    let is_hidden = !fixture.trail().text.contains("hidden");
    eventually("the answers grow old", || age(&fixture.trail()).filter(|age| *age > 2.0));
    let url = format!("http://{}", fixture.server.address);
    let shown = Command::new(env!("CARGO_BIN_EXE_haldir"))
        .args(["call", "get-audit-trail", "--url", &url])
        .env_clear()
        .env("HALDIR_API_KEY", fixture.operator.key())
        .output()
        .unwrap();
    let told = String::from_utf8(shown.stderr).unwrap();
    assert!(told.contains("haldir: the data is ") && told.contains(" s old"), "{told}");
    assert!(is_hidden, "an entry that was not replayed was read from the replica");

    let fresh = fixture.is_passed_over();
    assert!(fresh.text.contains("hidden"), "{}", fresh.text);
    let (ok, message) = eventually("readiness says so", || Some(fixture.readiness()).filter(|(ok, _)| !ok));
    assert!(!ok && message.contains("more than the 5 s that are allowed"), "{message}");
    let log = || fixture.server.process.errors();
    until("the log says so", || log().contains("the replica is not read: the primary answers instead"));
    assert!(fixture.operator.get("/metrics").text.contains("haldir_replica_reads_total{answered_by=\"primary\"} "));

    on_postgres::ask_replica("SELECT pg_wal_replay_resume()");
    let seen = eventually("it is read again", || Some(fixture.trail()).filter(|answer| age(answer).is_some()));
    assert!(seen.text.contains("hidden"), "{}", seen.text);
    until("the log says so too", || log().contains("the replica is read again"));
    assert_eq!(log().matches("the replica is not read").count(), 1, "{}", log());
}

#[test]
fn a_replica_that_is_gone_or_says_nothing_costs_no_read() {
    let Some(fixture) = Fixture::new("10s") else { return };
    for way in [Way::Closed, Way::Hangs] {
        fixture.gate.set(way);
        fixture.is_passed_over();
        let (ok, _) = eventually("readiness says so", || Some(fixture.readiness()).filter(|(ok, _)| !ok));
        assert!(!ok);
        let export = fixture.operator.get("/v1/audit/export");
        assert_eq!((export.status, age(&export)), (200, None), "{}", export.text);
        fixture.gate.set(Way::Open);
        fixture.is_read();
    }
    fixture.operator.verified();
}

#[test]
fn what_is_decided_is_decided_by_the_primary_however_far_behind_the_replica_is() {
    let Some(fixture) = Fixture::new("1h") else { return };
    let operator = &fixture.operator;
    pause();
    // A key that the replica has not seen reads it, and none that it still has.
    let agent = operator.mint(&json!({"name": "agent"}));
    assert!(age(&agent.get("/v1/audit")).is_some());
    operator.delete(&format!("/v1/keys/{}", &agent.key()[..12])).ok();
    agent.get("/v1/audit").refused(401, "unauthorized");
    // Budgets are exact, and sessions end at once.
    let session = operator.session(&json!({"scopes": ["spend"], "spend_limit": 10}));
    operator.pay(&session, "7").ok();
    operator.pay(&session, "7").refused(403, "budget_exceeded");
    operator.delete(&format!("/v1/sessions/{session}")).ok();
    operator.pay(&session, "1").refused(401, "session_invalid");
    // A tenant that the replica has not seen is answered by the primary where the replica could only fail.
    let made =
        json!({"name": "other", "role": "operator", "tenant_name": "other", "bootstrap_token": "the operator's word"});
    let other = fixture.server.with_key(&text(&fixture.server.anonymous().post("/v1/keys", &made).ok(), "key"));
    assert_eq!(other.get("/v1/admin/overview").ok()["audit"]["chain_verified"], true);
    operator.verified();
}

#[test]
fn a_setting_that_cannot_be_used_is_refused_and_another_database_is_not_read() {
    let house = House::new();
    if on_postgres::url(&house.db()).is_none() {
        let mut serving = house.serving();
        serving.env("HALDIR_PG_REPLICA", "postgres://localhost/haldir");
        let told = refuses_to_start(serving);
        assert!(told.contains("HALDIR_PG_REPLICA: is for a store on Postgres"), "{told}");
        return;
    }
    for (replica, age, expected) in
        [("mysql://localhost/x", "10s", "HALDIR_PG_REPLICA"), ("postgres://localhost/x", "0s", "is not from 1s to")]
    {
        let mut serving = house.serving();
        serving.env("HALDIR_PG_REPLICA", replica).env("HALDIR_PG_REPLICA_MAX_AGE", age);
        let told = refuses_to_start(serving);
        assert!(told.contains(expected), "{told}");
    }
    // The store of another house, which has a log of its own.
    let stranger = House::new();
    let (_server, there) = stranger.serve_operator();
    there.session(&json!({"agent_id": "of-the-other"}));
    let mut serving = house.serving();
    serving.env("HALDIR_PG_REPLICA", on_postgres::url(&stranger.db()).unwrap());
    // The databases of tests are copies of one, which the row that tells them apart is copied with.
    assert_eq!(stranger.change("UPDATE replica_heartbeat SET store = 'another'"), 1);
    let server = Server::start(serving);
    let operator = server.first_key();
    until("the log says so", || server.process.errors().contains("it is no replica of this database"));
    let answer = operator.get("/v1/audit");
    assert!(age(&answer).is_none() && !answer.text.contains("of-the-other"), "{}", answer.text);
}
