//! The server on Postgres, beside a bare server that inserts the same rows on the same Postgres, the embedded store, and the Python product.

use std::{
    net::TcpListener,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio_postgres::{Client, NoTls};

use crate::{
    Result,
    haldir::{self, Ask, Haldir, Subject},
    load::{self, Exchange, Load},
    options::Options,
    process::{self, Server},
    report::Measurement,
};

/// Tenants, where there are many.
const TENANTS: usize = 64;
/// Processes of the Python product.
const WORKERS: &str = "4";
/// How long the product may take to get ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// Databases that are made for a run.
const DATABASES: [&str; 2] = ["haldir_bench", "haldir_bench_product"];

const BARE: &str = "bare append on Postgres";
const ONE: &str = "POST /v1/audit, one tenant";
const MANY: &str = "POST /v1/audit, 64 tenants";
const EMBEDDED: &str = "POST /v1/audit, SQLite";
const PRODUCT: &str = "POST /v1/audit, the product";

/// What is measured: its name, what it is compared with, and the ratio that is the goal.
const PLAN: [(&str, Option<&str>, Option<f64>); 9] = [
    (BARE, None, None),
    (ONE, Some(BARE), Some(0.4)),
    (MANY, Some(BARE), Some(0.6)),
    ("POST /v1/sessions", Some(BARE), None),
    ("POST /v1/payments/authorize", Some(BARE), None),
    ("GET /v1/sessions/{id}", None, None),
    (EMBEDDED, None, None),
    (PRODUCT, None, None),
    // Measured above.
    (ONE, Some(PRODUCT), Some(50.0)),
];

/// Measures all of it, and prints it.
pub fn measure(url: &str, options: &Options, scratch: &Path) -> Result<u8> {
    let admin = Database::connect(url)?;
    for name in DATABASES {
        admin.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        admin.run(&format!("CREATE DATABASE {name}"))?;
    }
    let measured = measure_on(url, options, scratch);
    for name in DATABASES {
        admin.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
    }
    measured
}

fn measure_on(url: &str, options: &Options, scratch: &Path) -> Result<u8> {
    let (own, of_product) = (in_database(url, DATABASES[0])?, in_database(url, DATABASES[1])?);
    let (embedded, embedded_subject) = Haldir::start(Path::new(haldir::PROGRAM), scratch)?;
    let size = embedded_subject.audit_answer.to_string();
    let bare = Server::bare(&["bare-postgres", &own, &size])?;
    let folder = scratch.join("postgres");
    std::fs::create_dir(&folder)?;
    let key = STANDARD
        .encode(scratch.to_string_lossy().as_bytes().iter().rev().copied().cycle().take(32).collect::<Vec<_>>());
    let variables = [("HALDIR_ENCRYPTION_KEY", key.as_str()), ("HALDIR_BOOTSTRAP_TOKEN", "a token of the benchmark")];
    let server = Haldir::serve(Path::new(haldir::PROGRAM), &folder, Path::new(&own), &variables)?;
    let subjects = (0..TENANTS)
        .map(|number| {
            let name = if number == 0 { json!(null) } else { json!(format!("tenant {number}")) };
            let mut body = json!({ "name": "bench", "tier": "enterprise", "bootstrap_token": variables[1].1 });
            if !name.is_null() {
                body["tenant_name"] = name;
            }
            haldir::begin(server.address, &body)
        })
        .collect::<Result<Vec<Subject>>>()?;
    let product = options.product.as_deref().map(|product| start_product(product, &of_product, &folder)).transpose()?;
    let batches = Database::connect(&own)?;
    let mut wrong = None;
    println!("{} s a measurement, medians of {} rounds", options.seconds, options.rounds);
    for connections in options.connections.iter().copied() {
        let mut all: Vec<_> = PLAN.iter().map(|(name, ..)| Measurement::new(name, connections, None)).collect();
        let mut per_entry = Vec::new();
        for round in 1..=options.rounds {
            for measurement in all.iter_mut().take(PLAN.len() - 1) {
                let name = measurement.name;
                if !options.includes(name) {
                    continue;
                }
                let one = |ask| (&server, subjects[0].exchange(server.address, ask));
                let (server, exchange) = match name {
                    BARE => (&bare, subjects[0].bare_exchange(bare.address, Ask::Audit)),
                    ONE => one(Ask::Audit),
                    MANY => {
                        let exchanges = subjects.iter().map(|subject| subject.exchange(server.address, Ask::Audit));
                        (&server, together(exchanges)?)
                    }
                    EMBEDDED => (&embedded.server, embedded_subject.exchange(embedded.server.address, Ask::Audit)),
                    // Its workers serve one request a connection.
                    PRODUCT => match &product {
                        Some((server, subject)) => {
                            (server, Exchange { closes: true, ..subject.exchange(server.address, Ask::Audit) })
                        }
                        None => continue,
                    },
                    "POST /v1/sessions" => one(Ask::CreateSession),
                    "POST /v1/payments/authorize" => one(Ask::Payment),
                    _ => one(Ask::Session),
                };
                eprintln!("{connections} connections, round {round} of {}: {name}", options.rounds);
                let before = batches.number_of_batches()?;
                let outcome =
                    load::run(server.address, server.pid, exchange, Load { connections, seconds: options.seconds })?;
                if let Some(error) = &outcome.first_error {
                    wrong.get_or_insert_with(|| format!("{name}: {error}"));
                }
                if name == ONE {
                    // The warm-up is in one count and not in the other: a fifth of the time, a second at most.
                    let share = options.seconds / (options.seconds + (options.seconds / 5.0).min(1.0));
                    let batches = batches.number_of_batches()? - before;
                    per_entry.push(batches * share / crate::report::float(outcome.latency.len()));
                }
                measurement.rounds.push(outcome.into());
            }
        }
        print(connections, &mut all, crate::report::median(per_entry));
    }
    server.stop()?;
    bare.stop()?;
    embedded.server.stop()?;
    if let Some(wrong) = wrong {
        eprintln!("error: wrong answers, the first: {wrong}");
        return Ok(1);
    }
    Ok(0)
}

fn print(connections: usize, all: &mut [Measurement], commits: Option<f64>) {
    let again = all.iter().find(|measurement| measurement.name == ONE).map(|one| one.rounds.clone());
    if let (Some(last), Some(rounds)) = (all.last_mut(), again) {
        last.rounds = rounds;
    }
    println!(
        "\n{:32}{:>12}{:>10}{:>10}  ratio",
        format!("{connections} connections"),
        "requests/s",
        "p50 ms",
        "p99 ms"
    );
    for (index, (measurement, (name, limit, goal))) in all.iter().zip(PLAN).enumerate() {
        let limit = limit.and_then(|limit| all.iter().find(|other| other.name == limit));
        let limit = limit.filter(|limit| !limit.rounds.is_empty());
        let is_repeated = all[..index].iter().any(|before| before.name == name);
        if measurement.rounds.is_empty() || is_repeated && limit.is_none() {
            continue;
        }
        let (rate, p50, p99) = (
            measurement.median(|round| round.requests_per_second),
            measurement.median(|round| round.p50_us) / 1e3,
            measurement.median(|round| round.p99_us) / 1e3,
        );
        let ratio = limit.map(|limit| {
            let found = measurement.compared(limit, |round| round.requests_per_second);
            let met =
                goal.map(|goal| format!(", goal {goal}: {}", if found.ratio >= goal { "met" } else { "NOT MET" }));
            format!("{} of {}{}", found.shown(), limit.name, met.unwrap_or_default())
        });
        println!("{name:32}{rate:>12.0}{p50:>10.3}{p99:>10.3}  {}", ratio.unwrap_or_default());
    }
    if let Some(commits) = commits.filter(|commits| *commits > 0.0) {
        println!("commits for an entry of one tenant: 1/{:.0}", 1.0 / commits);
    }
}

/// Each connection's own request, in turn.
fn together(exchanges: impl Iterator<Item = Exchange>) -> Result<Exchange> {
    exchanges
        .reduce(|mut all, next| {
            all.requests.extend(next.requests);
            all
        })
        .ok_or_else(|| "no tenant".into())
}

/// The address of another database on the same server.
fn in_database(url: &str, name: &str) -> Result<String> {
    let (server, _) = url.rsplit_once('/').ok_or("--postgres: an address ends with /DATABASE")?;
    Ok(format!("{server}/{name}"))
}

/// Starts the product as its documentation says, with a key and a session.
fn start_product(folder: &Path, url: &str, scratch: &Path) -> Result<(Server, Subject)> {
    // Free at this moment; nothing else here takes ports.
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("keep").arg(folder.join("bin/gunicorn")).args(["-w", WORKERS, "-b", &address.to_string(), "api:app"]);
    process::without_settings(&mut command);
    command.env("DATABASE_URL", url).env("HALDIR_ENCRYPTION_KEY", STANDARD.encode([7; 32]));
    let server = Server::at(&mut command, address, &scratch.join("product.log"))?;
    let until = Instant::now() + PATIENCE;
    let subject = loop {
        match haldir::begin(address, &json!({ "name": "bench" })) {
            Ok(subject) => break subject,
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    };
    // Its first tier allows a number of requests that is used up in a second.
    Database::connect(url)?.run("UPDATE api_keys SET tier = 'enterprise'")?;
    Ok((server, subject))
}

/// A connection for what is done before and after measurements.
struct Database {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Database {
    fn connect(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (client, connection) = runtime.block_on(tokio_postgres::connect(url, NoTls))?;
        runtime.spawn(connection);
        Ok(Self { runtime, client })
    }

    fn run(&self, sql: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.client.batch_execute(sql))?)
    }

    /// How many batches the server has committed.
    fn number_of_batches(&self) -> Result<f64> {
        let row =
            self.runtime.block_on(self.client.query_one("SELECT max(number)::float8 FROM haldir.batches", &[]))?;
        Ok(row.try_get(0)?)
    }
}
