//! A replica, for reads that may be a little out of date.
//!
//! A row says how old its data is. Each server that reads a replica writes the primary's time into the row once a second, unless another
//! server has just done so. The age of a read is the primary's time less that in the row, as the read's own snapshot has it: the age
//! grows while the replica receives or replays nothing, and the replica's clock is not asked.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::{PostgresSettings, Server, connection::PostgresConnection, failure::error_text};
use crate::{
    ReadTx,
    database::params,
    error::{Code, CoreResult, Error, Result},
    metrics::METRICS,
    model::{Clock, TenantId, time::SystemClock},
    readers::Readers,
    row_cache::RowCache,
    snapshots::{ReplicaStatus, Seen},
};

/// How old the data of a replica may be, if the settings say nothing else.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(10);
/// How often the heartbeat is written, and the replica is looked at.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How long either database may take for that.
const BEAT_LIMIT: Duration = Duration::from_secs(2);
/// How long a replica may take for one statement of a read, before the primary is asked.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// By how much a heartbeat may be ahead of the primary's time, in microseconds: this process only estimates that time.
const AHEAD_MICROS: i64 = 1_000_000;
/// After how many looks in a row it is logged that a replica is not read, and how long between two such log lines.
const FAILURES_TO_TELL: u32 = 2;
const TELL_EVERY: Duration = Duration::from_secs(60);

macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}

/// What the primary is asked each time. The row is written by whichever server comes first, and also if it is ahead of the clock,
/// as after a failover to a machine whose clock is behind. No standby is waited for.
const BEAT: &str = concat!(
    "BEGIN; SET LOCAL synchronous_commit TO local; SET LOCAL lock_timeout TO '1s'; SELECT ",
    now!(),
    ", store FROM haldir.replica_heartbeat; UPDATE haldir.replica_heartbeat SET at = ",
    now!(),
    " WHERE at NOT BETWEEN ",
    now!(),
    " - 900000 AND ",
    now!(),
    "; COMMIT"
);
macro_rules! look {
    ($more:literal) => {
        concat!(
            "SELECT at, store, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint",
            $more,
            " FROM haldir.replica_heartbeat"
        )
    };
}

/// What the replica is asked each time: the heartbeat, which database it is of, and which server answers.
const LOOK: &str = look!("");
/// What a read takes from its snapshot: the same, and whether the tenant is there.
const READ: &str = look!(", (SELECT count(*) FROM tenants WHERE id = ?1)");

/// How to reach a replica, and how old its data may be.
#[derive(Clone)]
pub struct ReplicaSettings {
    /// Its address.
    pub at: PostgresSettings,
    /// A read of older data goes to the primary.
    pub max_age: Duration,
}

pub(crate) struct Replica {
    readers: Arc<Readers>,
    row_cache: Arc<RowCache>,
    state: Arc<State>,
    /// Ends the thread that looks at the replica, once it is dropped.
    _stop: Sender<()>,
}

struct State {
    max_age: Duration,
    /// Std mutexes: they are held to look or to write, never across a query.
    primary: Mutex<Option<Primary>>,
    looks: Mutex<Looks>,
}

/// What looking at the replica has found.
struct Looks {
    status: ReplicaStatus,
    /// Looks in a row that have found that it is not to be read.
    failures: u32,
    /// When that was logged, and whether it was for these.
    told_at: Option<Instant>,
    is_told: bool,
}

/// What is known of the primary.
struct Primary {
    /// Its time, and when it was asked.
    micros: i64,
    asked_at: Instant,
    /// Tells its database from others.
    store: String,
}

impl Replica {
    /// Of this primary. The replica need not be reachable.
    pub(super) fn open(primary: &Arc<Server>, settings: ReplicaSettings) -> Result<Self> {
        let ReplicaSettings { at, max_age } = settings;
        let pool_max = at.pool_max;
        let mut server = Server::start(at, None)?;
        server.answer_limit = Some(ANSWER_LIMIT);
        let server = Arc::new(server);
        let not_yet = (SystemClock.now(), "it was not looked at yet".to_owned());
        let state = Arc::new(State {
            max_age,
            primary: Mutex::default(),
            looks: Mutex::new(Looks {
                status: ReplicaStatus { age: None, unused: Some(not_yet) },
                failures: 0,
                told_at: None,
                is_told: false,
            }),
        });
        let (stop, stopped) = channel();
        let looking = (Arc::clone(primary), Arc::clone(&server), Arc::clone(&state));
        thread::Builder::new()
            .name("haldir-replica".into())
            .spawn(move || look_at(&looking.0, &looking.1, &looking.2, &stopped))
            .map_err(Error::internal)?;
        let open = move || Ok(Box::new(PostgresConnection::new(Arc::clone(&server), None)) as _);
        let readers = Arc::new(Readers::new(Box::new(open), Some(pool_max), 0));
        Ok(Self { readers, row_cache: Arc::new(RowCache::new(Box::new(|| None))), state, _stop: stop })
    }

    /// What `work` returns on a snapshot that has this tenant, on this server if one is named; `None` if the primary is to answer.
    pub(crate) fn read<T>(
        &self,
        tenant: &TenantId,
        server: Option<i64>,
        work: impl Fn(&ReadTx) -> CoreResult<T>,
    ) -> Option<(T, Seen)> {
        let outcome = if self.state.is_read() { self.try_read(tenant, server, work).ok() } else { None };
        let counter = if outcome.is_some() { &METRICS.replica_reads } else { &METRICS.replica_reads_passed_on };
        counter.add_one();
        outcome
    }

    fn try_read<T>(
        &self,
        tenant: &TenantId,
        server: Option<i64>,
        work: impl Fn(&ReadTx) -> CoreResult<T>,
    ) -> CoreResult<(T, Seen)> {
        let unused = |why: String| Err(Error::new(Code::Unavailable, why).into());
        self.readers
            .read(&self.row_cache, |tx| {
                let (at, store, answered, tenants): (i64, String, i64, i64) = tx.one(READ, params![tenant])?;
                match self.state.judge(at, &store, answered) {
                    Err(cause) => unused(cause),
                    Ok(_) if tenants == 0 => unused("the tenant is not there yet".to_owned()),
                    Ok(seen) if server.is_some_and(|server| server != seen.server) => {
                        unused("another server answers than before".to_owned())
                    }
                    Ok(seen) => Ok((work(tx)?, seen)),
                }
            })
            .inspect_err(
                |error| tracing::debug!(%error, "a read goes to the primary, since the replica did not answer it"),
            )
    }

    pub(crate) fn status(&self) -> ReplicaStatus {
        self.state.looks().status.clone()
    }
}

impl State {
    /// What a read has seen that found this heartbeat, or why it may not be used.
    fn judge(&self, at: i64, store: &str, server: i64) -> std::result::Result<Seen, String> {
        let primary = self.primary.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(primary) = &*primary else { return Err("the primary's time is not known".to_owned()) };
        if store != primary.store {
            return Err("it is no replica of this database".to_owned());
        }
        if at == 0 {
            return Err("it has no heartbeat yet".to_owned());
        }
        let since = i64::try_from(primary.asked_at.elapsed().as_micros()).unwrap_or(i64::MAX);
        let age = primary.micros.saturating_add(since).saturating_sub(at);
        if age < -AHEAD_MICROS {
            return Err("its heartbeat is ahead of the primary's clock".to_owned());
        }
        let age = Duration::from_micros(u64::try_from(age).unwrap_or(0));
        if age > self.max_age {
            let (age, most) = (age.as_secs_f64(), self.max_age.as_secs());
            return Err(format!("its data is {age:.1} s old, more than the {most} s that are allowed"));
        }
        Ok(Seen { age, server })
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_read(&self) -> bool {
        self.looks().status.unused.is_none()
    }

    /// Notes what a look at the replica has found.
    fn note(&self, found: std::result::Result<Seen, String>) {
        let mut looks = self.looks();
        looks.status.age = found.as_ref().ok().map(|seen| seen.age);
        match found {
            Ok(Seen { age, .. }) => {
                if looks.is_told {
                    tracing::info!(age = age.as_secs_f64(), "the replica is read again");
                }
                (looks.failures, looks.is_told, looks.status.unused) = (0, false, None);
            }
            Err(cause) => {
                looks.failures += 1;
                // The first heartbeat of a server that starts alone takes a moment to arrive. A replica whose age is about the most that
                // is allowed would be told of all the time.
                let is_due = looks.told_at.is_none_or(|told| told.elapsed() >= TELL_EVERY);
                if looks.failures >= FAILURES_TO_TELL && !looks.is_told && is_due {
                    tracing::warn!(cause, "the replica is not read: the primary answers instead");
                    (looks.is_told, looks.told_at) = (true, Some(Instant::now()));
                }
                let since = looks.status.unused.take().map_or_else(|| SystemClock.now(), |(since, _)| since);
                looks.status.unused = Some((since, cause));
            }
        }
    }
}

/// Writes the heartbeat and looks at the replica, until the replica is closed.
fn look_at(primary: &Server, replica: &Server, state: &State, stopped: &Receiver<()>) {
    let (mut of_primary, mut of_replica) = (None, None);
    loop {
        let asked_at = Instant::now();
        match ask(primary, &mut of_primary, BEAT).and_then(|row| Ok((number(&row, 0)?, text(&row, 1)?))) {
            Ok((micros, store)) => {
                let known = Primary { micros, asked_at, store };
                *state.primary.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
            }
            Err(cause) => tracing::debug!(cause, "the heartbeat was not written"),
        }
        let looked = ask(replica, &mut of_replica, LOOK);
        let looked = looked.and_then(|row| Ok((number(&row, 0)?, text(&row, 1)?, number(&row, 2)?)));
        state.note(looked.and_then(|(at, store, server)| state.judge(at, &store, server)));
        if stopped.recv_timeout(BEAT_EVERY) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// The first row that a database answers with. Its connection is kept, unless it fails.
fn ask(server: &Server, client: &mut Option<Client>, statements: &str) -> std::result::Result<SimpleQueryRow, String> {
    let connected = match client.take() {
        Some(connected) => connected,
        None => server.connect().map_err(|failure| failure.error.message.clone())?.0,
    };
    let runtime = server.runtime.as_ref().ok_or("the store is closed")?;
    let answer = {
        let _entered = runtime.enter();
        block_on(tokio::time::timeout(BEAT_LIMIT, connected.simple_query(statements)))
    };
    let answer = answer.map_err(|_| format!("no answer within {} s", BEAT_LIMIT.as_secs()))?;
    let messages = answer.map_err(|error| error_text(&error))?;
    *client = Some(connected);
    let row = messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.ok_or_else(|| "the heartbeat is missing".to_owned())
}

fn text(row: &SimpleQueryRow, index: usize) -> std::result::Result<String, String> {
    let value = row.try_get(index).map_err(|error| error.to_string())?;
    value.map(str::to_owned).ok_or_else(|| "the heartbeat has no value".to_owned())
}

fn number(row: &SimpleQueryRow, index: usize) -> std::result::Result<i64, String> {
    text(row, index)?.parse().map_err(|_| "the heartbeat is no number".to_owned())
}
