//! Whether answers about the log cost the same however long the log is:
//! `cargo bench --bench scale -- --entries 10000000`. With `--features postgres` and `--postgres postgres://USER@HOST:PORT/postgres` the
//! stores are on that server.
//!
//! Fills a store through haldir's own append path, once with 10,000 entries and once with `--entries`, calls every
//! question about the log that is to be answered in constant time, and prints the medians and their ratio. Then it checks
//! and exports the long log, and appends to it by turns with a short one.

mod appends;
mod export;
mod stores;
mod usage;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use haldir::{
    call::{AnomalyThresholds, Keyring, Services, Settings, WriteContext},
    crypto::Key,
    error::{Code, Error, Result},
    model::{
        AgentId, Caller, Ceilings, Credential, Money, Role, Scopes, Session, SessionId, TenantId, Tier, UnixMicros,
        month::MICROS_PER_DAY, time::ManualClock,
    },
    operations::{self, CallOptions, Haldir},
    store::{Store, Tx},
    watch::{self, Draft, Event},
};
use serde_json::json;
use stores::Stores;
use tokio::runtime::Runtime;

/// The log that others are held against.
const SMALL: i64 = 10_000;
/// Entries that are appended in one transaction.
const AT_A_TIME: i64 = 2_000;
/// The ratio that must not be reached.
const GOAL: f64 = 1.5;
/// Agents, and sessions of each. What only a few entries have must be found as fast as what all have.
const AGENTS: i64 = 20;
const SESSIONS: i64 = 5;
/// The time that every log covers.
const SPAN_MICROS: i64 = 60 * MICROS_PER_DAY;
/// When the log begins.
const BEGIN: UnixMicros = UnixMicros(1_750_000_000_000_000);

#[derive(Parser)]
struct Options {
    /// Entries of the long log.
    #[arg(long, default_value_t = 1_000_000)]
    entries: i64,
    /// Calls of each question.
    #[arg(long, default_value_t = 200)]
    calls: usize,
    /// Where the stores are made; they are kept, and used again if they are there.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// A Postgres server for the stores instead: postgres://USER@HOST:PORT/postgres. Databases are made on it, kept, and used again.
    #[cfg(feature = "postgres")]
    #[arg(long)]
    postgres: Option<String>,
    /// What `cargo bench` passes on.
    #[arg(long, hide = true)]
    bench: bool,
}

#[allow(clippy::cast_precision_loss)]
fn main() -> Result<()> {
    let options = Options::parse();
    let own = tempfile::tempdir().map_err(Error::internal)?;
    let stores = Stores::Folder(options.folder.clone().unwrap_or_else(|| own.path().to_owned()));
    #[cfg(feature = "postgres")]
    let stores = options.postgres.clone().map_or(stores, Stores::Server);
    let runtime = Runtime::new().map_err(Error::internal)?;
    let small = Log::of(&runtime, &stores, SMALL)?;
    let large = Log::of(&runtime, &stores, options.entries)?;
    #[cfg(feature = "postgres")]
    stores.show_sizes(options.entries)?;
    println!("\n| question | {SMALL} entries | {} entries | ratio |\n|---|---|---|---|", options.entries);
    let (mut worst, mut slowest_proof) = ((0.0, String::new()), Duration::ZERO);
    for (small_question, large_question) in small.questions(&runtime).into_iter().zip(large.questions(&runtime)) {
        // By turns, so that what else the machine does falls on both.
        let (mut fast, mut slow) = (Vec::new(), Vec::new());
        for _ in 0..options.calls {
            fast.push(small.ask(&runtime, &small_question)?);
            slow.push(large.ask(&runtime, &large_question)?);
        }
        let (fast, slow) = (median(&mut fast), median(&mut slow));
        let ratio = slow.as_secs_f64() / fast.as_secs_f64();
        println!("| {} | {fast:.1?} | {slow:.1?} | {ratio:.2} |", small_question.title);
        if small_question.is_proof {
            slowest_proof = slowest_proof.max(slow);
        } else if ratio > worst.0 {
            worst = (ratio, small_question.title);
        }
    }
    let proof_goal = stores.proof_goal();
    println!("\nworst: {:.2} ({}); the goal is below {GOAL}", worst.0, worst.1);
    println!(
        "proofs grow with the logarithm: the slowest takes {slowest_proof:.1?}; the goal is below {proof_goal:.1?}"
    );
    verification(&large)?;
    export::measure(&runtime, &large.haldir)?;
    appends::measure(&runtime, &stores, &large)?;
    small.haldir.close();
    large.haldir.close();
    if worst.0 < GOAL && slowest_proof < proof_goal {
        Ok(())
    } else {
        Err(Error::new(Code::Unavailable, "the cost grows with the log"))
    }
}

/// How fast the whole log is checked, by the clock and by the time that cores spent on it: the second tells what one core
/// does, whatever else the machine does.
#[allow(clippy::cast_precision_loss)]
fn verification(large: &Log) -> Result<()> {
    for threads in [1, std::thread::available_parallelism().map_or(2, usize::from)] {
        let (began, spent) = (Instant::now(), usage::cpu_time());
        let report = large.haldir.verify_log(&TenantId::local(), threads, &mut |_, _| {})?;
        let entries = large.entries.unsigned_abs() as f64;
        let by_the_clock = entries / began.elapsed().as_secs_f64();
        let by_core = entries / usage::cpu_time().saturating_sub(spent).as_secs_f64();
        println!(
            "verification on {threads} threads: {by_the_clock:.0} entries a second, {by_core:.0} for each second of a core; {}",
            report.message()
        );
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

struct Question {
    title: String,
    operation: &'static str,
    input: String,
    is_proof: bool,
}

/// A log of this many entries, and a haldir on it.
struct Log {
    haldir: Haldir,
    entries: i64,
}

impl Log {
    fn of(runtime: &Runtime, stores: &Stores, entries: i64) -> Result<Self> {
        let key = key()?;
        let open = |store: Store, now: i64| {
            let clock = Arc::new(ManualClock::new(UnixMicros(now)));
            runtime.block_on(Haldir::open_store(store, stores.path(entries), &key, settings(), clock))
        };
        let store = stores.open(entries)?;
        let found = store.read(|tx| Ok(tx.head(&TenantId::local())?))?.map_or(0, |head| head.seq);
        if found >= entries {
            return Ok(Self { haldir: open(store, BEGIN.0 + SPAN_MICROS)?, entries });
        }
        if found > 0 {
            return Err(Error::new(Code::Conflict, format!("a store for {entries} entries has {found}: delete it")));
        }
        // The log begins when its tenant does.
        open(store, BEGIN.0)?.close();
        let (began, wal) = (Instant::now(), stores.wal_bytes()?);
        fill(runtime, stores, &key, entries)?;
        println!("{entries} entries appended in {:.1?}", began.elapsed());
        if let (Some(before), Some(after)) = (wal, stores.wal_bytes()?) {
            println!("{} bytes of write-ahead log for each entry", (after - before) / entries.unsigned_abs());
        }
        Ok(Self { haldir: open(stores.open(entries)?, BEGIN.0 + SPAN_MICROS)?, entries })
    }

    #[allow(clippy::cast_precision_loss)]
    fn questions(&self, runtime: &Runtime) -> Vec<Question> {
        let at = |seq: i64| moment(seq, self.entries).0 as f64 / 1e6;
        let middle = at(self.entries / 2);
        let trail = [
            json!({}),
            json!({"session_id": session_id(3, 1)}),
            json!({"agent_id": "agent-7"}),
            json!({"tool": "tool-3"}),
            json!({"tool": "rare"}),
            json!({"flagged": true}),
            json!({"flagged": false}),
            json!({"since": middle}),
            json!({"until": middle}),
            json!({"agent_id": "agent-7", "tool": "tool-3"}),
            json!({"agent_id": "agent-0", "tool": "rare"}),
            json!({"agent_id": "agent-7", "flagged": false}),
            json!({"session_id": session_id(3, 1), "agent_id": "agent-3"}),
            json!({"agent_id": "agent-7", "until": middle}),
        ];
        let mut questions = Vec::new();
        for filter in trail {
            let mut input = filter.clone();
            input["limit"] = 100.into();
            let title = format!(
                "getAuditTrail {}",
                filter.as_object().into_iter().flat_map(|map| map.keys()).cloned().collect::<String>()
            );
            questions.push(Question { title, operation: "getAuditTrail", input: input.to_string(), is_proof: false });
        }
        let newest_of = |until: f64| -> Option<serde_json::Value> {
            let operation = operations::named("getAuditTrail")?;
            let who = Credential::LocalOperator(TenantId::local());
            let input = json!({"until": until, "limit": 1}).to_string();
            let reply = runtime.block_on(self.haldir.call(operation, &who, &input, CallOptions::default())).ok()?;
            let page: serde_json::Value = serde_json::from_str(&reply.body).ok()?;
            Some(page["entries"][0]["entry_id"].clone())
        };
        for (operation, filter) in [
            ("getInclusionProof", json!({"entry_id": newest_of(middle)})),
            ("getConsistencyProof", json!({"first": self.entries / 3, "second": self.entries - 1})),
            ("getSpend", json!({})),
            ("getSpend", json!({"agent_id": "agent-7"})),
            ("getAuditStats", json!({})),
            ("getAuditStats", json!({"agent_id": "agent-7"})),
            ("getAuditStats", json!({"since": (BEGIN.0 + SPAN_MICROS / 2) / MICROS_PER_DAY * 86_400})),
            ("getTreeHead", json!({})),
            ("getMetrics", json!({})),
            ("getOverview", json!({})),
            ("getUsage", json!({})),
        ] {
            if operations::named(operation).is_some() {
                let names: String = filter.as_object().into_iter().flat_map(|map| map.keys()).cloned().collect();
                questions.push(Question {
                    title: format!("{operation} {names}"),
                    operation,
                    input: filter.to_string(),
                    is_proof: operation.ends_with("Proof"),
                });
            }
        }
        questions
    }

    fn ask(&self, runtime: &Runtime, question: &Question) -> Result<Duration> {
        let Some(operation) = operations::named(question.operation) else { return Ok(Duration::ZERO) };
        let who = Credential::LocalOperator(TenantId::local());
        let began = Instant::now();
        runtime.block_on(self.haldir.call(operation, &who, &question.input, CallOptions::default()))?;
        Ok(began.elapsed())
    }
}

/// When this one of so many entries was made.
fn moment(seq: i64, entries: i64) -> UnixMicros {
    UnixMicros(BEGIN.0 + seq * (SPAN_MICROS / entries))
}

fn session_id(agent: i64, session: i64) -> String {
    format!("ses_{agent:016}{session:016}")
}

fn settings() -> Settings {
    Settings {
        local_ceilings: Ceilings::NONE,
        key_ceilings: Ceilings::NONE,
        key_defaults: Ceilings::NONE,
        anomalies: AnomalyThresholds::default(),
        rate_limits: None,
        bootstrap_token: None,
        open_bootstrap: true,
        outbound: haldir::outbound::Outbound::default(),
        webhooks: haldir::call::WebhookPace::default(),
        upstreams: haldir::upstream::UpstreamLimits::default(),
        children: haldir::upstream::child::Children::default(),
        tool_names: haldir::call::ToolNames::default(),
    }
}

/// A store that is appended to as `createSession` and `logAction` do, without parsing and without a sync for each.
struct Filler {
    store: Store,
    services: Arc<Services>,
    sessions: Arc<Vec<Arc<Session>>>,
}

impl Filler {
    fn open(stores: &Stores, entries: i64, key: &Key) -> Result<Self> {
        let services = Services {
            keyring: Keyring::new(key),
            clock: Arc::new(ManualClock::new(BEGIN)),
            settings: settings(),
            webhook_bell: tokio::sync::Notify::default(),
            meter: Arc::default(),
            upstreams: haldir::upstream::Connections::new(
                haldir::outbound::Outbound::default(),
                haldir::upstream::UpstreamLimits::default(),
            ),
            children_asked: tokio::sync::watch::Sender::new(false),
            in_flight: haldir::call::InFlightCalls::default(),
            unwritten: haldir::call::Unwritten::default(),
            known_secrets: haldir::redact::KnownSecrets::default(),
        };
        let sessions = (0..AGENTS * SESSIONS).map(|number| session(number).map(Arc::new)).collect::<Result<_>>()?;
        Ok(Self { store: stores.open(entries)?, services: Arc::new(services), sessions: Arc::new(sessions) })
    }

    fn insert_sessions(&self, runtime: &Runtime) -> Result<()> {
        let made = Arc::clone(&self.sessions);
        runtime.block_on(self.store.write(&TenantId::local(), move |tx: &mut Tx| {
            Ok(made.iter().try_for_each(|session| tx.insert_session(&TenantId::local(), session))?)
        }))
    }

    /// Appends entries `first` up to `end`, of a log of so many, in one transaction.
    fn append(&self, runtime: &Runtime, first: i64, end: i64, entries: i64) -> Result<()> {
        let (services, sessions) = (Arc::clone(&self.services), Arc::clone(&self.sessions));
        runtime.block_on(self.store.write(&TenantId::local(), move |tx: &mut Tx| {
            let caller = caller();
            for number in first..end {
                let now = moment(number, entries);
                let mut cx = WriteContext { tx: &mut *tx, caller: &caller, now, services: &services };
                append(&mut cx, &sessions, number)?;
            }
            Ok(())
        }))
    }
}

fn fill(runtime: &Runtime, stores: &Stores, key: &Key, entries: i64) -> Result<()> {
    let filler = Filler::open(stores, entries, key)?;
    filler.insert_sessions(runtime)?;
    let mut next = 1;
    while next <= entries {
        let end = (next + AT_A_TIME).min(entries + 1);
        filler.append(runtime, next, end, entries)?;
        next = end;
    }
    filler.store.close();
    Ok(())
}

fn key() -> Result<Key> {
    Key::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").map_err(Error::internal)
}

fn append(cx: &mut WriteContext<'_>, sessions: &[Arc<Session>], number: i64) -> Result<()> {
    let place = usize::try_from(number).map_err(Error::internal)? % sessions.len();
    // One in fifty is dear, and so flagged; a rare tool has as many entries in any log.
    let tool =
        if number % (SMALL / 20) == 0 && number <= SMALL { "rare".to_owned() } else { format!("tool-{}", number % 8) };
    let cost = Money::from_nanos(if number % 50 == 0 { 200_000_000_000 } else { 1_000_000 });
    let details = Some(json!({"n": number, "about": "a page of the catalogue"}).to_string());
    let action = format!("act-{}", number % 12);
    let (session, alert) = (Some(&*sessions[place]), String::new());
    let draft = Draft { event: Event::Action, session, tool: &tool, action: &action, cost, details, alert };
    watch::append(cx, draft).map(drop)
}

fn session(number: i64) -> Result<Session> {
    let (agent, session) = (number / SESSIONS, number % SESSIONS);
    let id = SessionId::parse(session_id(agent, session)).map_err(Error::internal)?;
    let agent = AgentId::parse(format!("agent-{agent}")).map_err(Error::internal)?;
    Ok(Session::new(id, agent, Scopes::new([]), BEGIN, "operator".to_owned()))
}

fn caller() -> Caller {
    Caller {
        tenant: TenantId::local(),
        principal: "operator".to_owned(),
        role: Role::Operator,
        permissions: vec!["*".to_owned()],
        ceilings: Ceilings::NONE,
        tier: Tier::Enterprise,
        expires_at: None,
        is_key: false,
    }
}
