//! The process may end at any moment, as in a power cut: what was acknowledged is there, nothing is half-done, and
//! the next start needs no repair.

use std::{
    fs,
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use haldir::{call::AnomalyThresholds, crypto::Key, store::sqlite::Migrator};
use rusqlite::types::Value;

use crate::support::{
    Client, House, InProcess, Process, Random, Server, at_once, integer, json, lock, long, tables, text,
};

/// How often the process is killed: usually, and at length.
const KILLS: (usize, usize) = (5, 50);
/// The log is verified as a whole after every so many of them.
const VERIFY_EVERY: usize = 5;
/// Clients that log, and clients that pay.
const LOGGERS: usize = 3;
const PAYERS: usize = 2;
/// The most writes that are acknowledged before a kill.
const MOST_WRITES: u64 = 300;
/// The most time from the last of them to the kill, in microseconds: some batches of writes.
const MOST_MICROS: u64 = 10_000;

/// Ids that were acknowledged before the process ended.
#[derive(Default)]
struct Acknowledged {
    entries: Vec<String>,
    authorizations: Vec<String>,
}

/// When the process is killed: so many acknowledged writes after its start, and so much later.
struct Moment {
    writes: u64,
    later: Duration,
}

/// Calls until the connection breaks; answers the ids that came back, and reports each when it comes.
fn until_it_breaks(
    client: &Client,
    path: &str,
    body: &serde_json::Value,
    id: &str,
    reports: &mpsc::Sender<()>,
) -> Vec<String> {
    let mut ids = Vec::new();
    while let Ok(answer) = client.try_send("POST", path, &[], &body.to_string()) {
        ids.push(text(&answer.ok(), id));
        // The kill may not be waited for any more.
        let _ = reports.send(());
    }
    ids
}

fn load_and_kill(server: &mut Server, key: &str, session: &str, moment: &Moment) -> Acknowledged {
    let acknowledged = std::sync::Mutex::new(Acknowledged::default());
    let (reports, reported) = mpsc::channel();
    let clients: Vec<_> = (0..LOGGERS + PAYERS).map(|_| server.with_key(key)).collect();
    thread::scope(|scope| {
        for (index, client) in clients.iter().enumerate() {
            let (acknowledged, reports) = (&acknowledged, reports.clone());
            scope.spawn(move || {
                if index < LOGGERS {
                    let entry = json!({"session_id": session, "action": "work", "tool": "t", "cost_usd": 0.001,
                        "details": {"writer": index}});
                    let ids = until_it_breaks(client, "/v1/audit", &entry, "entry_id", &reports);
                    lock(acknowledged).entries.extend(ids);
                } else {
                    let payment = json!({"session_id": session, "amount": 0.01});
                    let ids = until_it_breaks(client, "/v1/payments/authorize", &payment, "authorization_id", &reports);
                    lock(acknowledged).authorizations.extend(ids);
                }
            });
        }
        (0..moment.writes).for_each(|_| reported.recv().unwrap());
        let end = Instant::now() + moment.later;
        while Instant::now() < end {
            thread::yield_now();
        }
        server.process.kill();
    });
    acknowledged.into_inner().unwrap()
}

/// Every acknowledged write is there, and every total is the sum of its parts.
fn check(house: &House, acknowledged: &Acknowledged) {
    let sql = house.sql();
    // What the process had sent may still be committed by the database that it sent it to.
    sql.begin_snapshot();
    let stored = |ids: &str| -> std::collections::HashSet<String> { sql.column(ids, &[]).into_iter().collect() };
    let authorizations = stored("SELECT id FROM authorizations WHERE tenant = 'local'");
    for id in &acknowledged.authorizations {
        assert!(authorizations.contains(id), "{id} was lost");
    }
    let entries = stored("SELECT id FROM audit_entries");
    for id in &acknowledged.entries {
        assert!(entries.contains(id), "{id} was lost");
    }
    let numbers = |query: &str| -> Vec<i64> {
        let row = sql.rows(query, &[]).remove(0);
        row.0
            .into_iter()
            .map(|(_, value)| if let Value::Integer(number) = value { number } else { panic!("{query}") })
            .collect()
    };
    let entries = numbers(
        "SELECT count(*), max(place), count(*) FILTER (WHERE kind = 'action'), sum(CASE kind WHEN 'action' THEN cost ELSE 0 END),
         sum(flagged) FROM audit_entries",
    );
    let head = numbers("SELECT seq, seq, actions, cost, flagged FROM audit_heads");
    assert_eq!(entries, head, "the head does not stand for the entries");
    let paid = numbers("SELECT count(*), coalesce(sum(amount), 0) FROM authorizations");
    let entries_of_payments = numbers("SELECT count(*) FROM audit_entries WHERE action = 'payment.authorize'");
    assert_eq!(entries_of_payments, paid[..1], "a payment without its entry, or the reverse");
    assert_eq!(numbers("SELECT coalesce(sum(spent), 0) FROM sessions"), paid[1..]);
    assert_eq!(numbers("SELECT authorized FROM tenants"), paid[1..]);
    assert_eq!(numbers("SELECT coalesce(sum(authorized), 0) FROM agents"), paid[1..]);
    let logged = &entries[2..4];
    assert_eq!(numbers("SELECT sum(action_count), sum(logged_cost) FROM sessions"), logged);
    assert_eq!(numbers("SELECT coalesce(sum(actions), 0), coalesce(sum(cost), 0) FROM agents"), logged);
    // The first kill may come before anything is written.
    let tallied = "SELECT coalesce(sum(actions), 0), coalesce(sum(cost), 0) FROM tool_tallies WHERE of";
    assert_eq!(numbers(&format!("{tallied} LIKE 'a:%'")), logged);
    let folded = "SELECT count(*) FILTER (WHERE kind = 'action'), coalesce(sum(CASE kind WHEN 'action' THEN cost ELSE 0 END), 0), count(*)
         FROM audit_entries WHERE place <= (SELECT coalesce(max(up_to), 0) FROM log_folds)";
    let folded = numbers(folded);
    for of in ["= ''", "LIKE 's:%'"] {
        assert_eq!(numbers(&format!("{tallied} {of}")), folded[..2], "what is folded is not what was logged");
    }
    let days = "SELECT coalesce(sum(entries), 0) FROM audit_days WHERE of = '' AND day >= 0";
    assert_eq!(numbers(days), folded[2..]);
    assert_eq!(tables::postings(&sql), tables::right_postings(&sql));
    sql.end_snapshot();
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_and_leaves_nothing_half_done() {
    let house = House::new();
    let mut random = Random::new("the moments of the kills");
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["spend"], "ttl": 0}));
    drop(server);
    let mut writes = 0;
    let kills = long(KILLS.0, KILLS.1);
    for round in 1..=kills {
        let mut server = house.serve();
        assert_eq!(server.process.errors().matches("ERROR").count(), 0, "{}", server.process.errors());
        let later = Duration::from_micros(random.below(MOST_MICROS));
        let moment = Moment { writes: random.below(MOST_WRITES), later };
        let acknowledged = load_and_kill(&mut server, operator.key(), &session, &moment);
        writes += acknowledged.entries.len() + acknowledged.authorizations.len();
        check(&house, &acknowledged);
        if round % VERIFY_EVERY == 0 {
            house.serve().with_key(operator.key()).verified();
        }
    }
    assert!(writes > kills, "there was hardly any load: {writes} writes");
    assert_eq!(house.sql().problems(), Vec::<String>::new());
}

#[test]
fn a_step_of_the_schema_is_taken_as_a_whole_or_not_at_all() {
    const ENTRIES: usize = 1_200;
    let house = House::new();
    let key = Key::generate().unwrap();
    let open = || InProcess::open_with(&house.db(), &key, AnomalyThresholds::default());
    let haldir = open();
    let session = haldir.session(&json!({}));
    let entry = json!({"session_id": session, "action": "work", "tool": "t", "details": "x".repeat(6_000)});
    at_once(8, |_| (0..ENTRIES / 8).for_each(|_| drop(haldir.ok("logAction", &entry))));
    let before = haldir.verify();
    drop(haldir);
    tables::as_version_16(&house.file());
    let log_bytes = || {
        let name = format!("{}-wal", house.db().display());
        fs::metadata(name).map_or(0, |file| file.len())
    };
    let version = || house.sql_value::<i64>("PRAGMA user_version");
    // So much of it stands in the write-ahead log already when the process ends: the first bytes, then more and more.
    let mut ended_within = 0;
    for bytes in (0..8).map(|step| 1 + step * 1_000_000) {
        house.file().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
        command.args(["migrate", "up"]).env_clear().env("HALDIR_DB", house.db());
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut process = Process::spawn(command);
        let begun = Instant::now();
        while log_bytes() < bytes && process.child().try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(120), "it neither ends nor goes on");
            // Without a pause: it would be over meanwhile.
            thread::yield_now();
        }
        process.kill();
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('logs', 'entries_by_place', 'audit_postings')";
        if version() == Migrator::LATEST {
            assert_eq!(house.sql_value::<i64>(tables), 2);
            break;
        }
        ended_within += 1;
        assert_eq!((version(), house.sql_value::<i64>(tables)), (16, 0));
        assert_eq!(
            house.sql_value::<i64>("SELECT count(*) FROM audit_entries WHERE tenant = 'local' AND seq > 0"),
            integer(&before, "entries_checked")
        );
    }
    assert!(ended_within > 2, "the process has ended within the step only {ended_within} times");
    let haldir = open();
    assert_eq!((version(), haldir.verify()), (Migrator::LATEST, before));
    haldir.ok("logAction", &entry);
    assert_eq!(haldir.verify()["verified"], true);
}
