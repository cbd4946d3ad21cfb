//! The writer thread, with group commit: it takes the jobs that wait, runs them one after the other in one
//! `BEGIN IMMEDIATE` transaction, commits once for all of them, and then answers each. A commit syncs the write-ahead log
//! (`synchronous=FULL`), so a change that was answered survives power loss.
//!
//! There is no waiting window: a batch is what has queued up while the disk was busy with the one before.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    Tx,
    batch::Batch,
    database::{Connection, Retry},
    error::{Code, CoreError, CoreResult, Error, Result},
    metrics::METRICS,
    model::TenantId,
    row_cache::RowCache,
};

/// Jobs that may wait; one more is refused with `unavailable`.
const MAX_QUEUED: usize = 8_192;
/// Jobs in one commit: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 512;
/// How long a job that no caller waits for may wait to be committed together with others.
const LINGER: Duration = Duration::from_millis(1);

/// How long a batch is run again that other processes stood in the way of, or whose connection was lost.
const RETRY_LIMIT: Duration = Duration::from_secs(5);
/// The pause before a batch runs again grows from the first to the second.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(250);

/// A change to make, in the queue.
struct Job {
    /// Whose rows it changes; `None` is rows of no tenant, or of several.
    tenant: Option<TenantId>,
    work: Box<dyn Work>,
    /// Whether a caller waits for it.
    is_awaited: bool,
}

/// What a job does.
trait Work: Send {
    /// Makes the change in the batch's transaction.
    fn run(&mut self, batch: &mut Batch, tenant: Option<&TenantId>);

    /// Answers the job's caller, given whether the batch was committed.
    fn reply(self: Box<Self>, committed: Result<()>);
}

/// A change, what has come of it, and what is done with that.
struct Change<W, T, R> {
    work: W,
    outcome: Option<CoreResult<T>>,
    reply: R,
}

impl<W, T, R> Work for Change<W, T, R>
where
    W: FnMut(&mut Tx) -> CoreResult<T> + Send,
    T: Send,
    R: FnOnce(CoreResult<T>) + Send,
{
    fn run(&mut self, batch: &mut Batch, tenant: Option<&TenantId>) {
        self.outcome = Some(batch.run_job(tenant.cloned(), &mut self.work));
    }

    fn reply(self: Box<Self>, committed: Result<()>) {
        (self.reply)(match committed {
            Ok(()) => self.outcome.unwrap_or_else(|| Err(CoreError::internal("a job did not run"))),
            Err(error) => Err(error.into()),
        });
    }
}

/// A handle on the writer thread.
pub(crate) struct Writer {
    /// `None` once the store is closed. A std mutex: it is held to put one job in.
    jobs: Mutex<Option<Sender<Job>>>,
    queued: Arc<Queued>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Jobs in the queue or in the running batch.
#[derive(Default)]
struct Queued {
    all: AtomicUsize,
    /// Those that no caller waits for.
    unawaited: AtomicUsize,
}

impl Writer {
    pub(crate) fn start(connection: Box<dyn Connection>, row_cache: Arc<RowCache>) -> Result<Self> {
        let queued = Arc::<Queued>::default();
        let (sender, jobs) = channel();
        let thread = thread::Builder::new()
            .name("haldir-writer".into())
            .spawn({
                let queued = Arc::clone(&queued);
                move || run(&jobs, &queued, &mut Batch::new(connection, row_cache))
            })
            .map_err(Error::internal)?;
        Ok(Self { jobs: Mutex::new(Some(sender)), queued, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        tenant: Option<TenantId>,
        work: impl FnMut(&mut Tx) -> CoreResult<T> + Send + 'static,
    ) -> CoreResult<T> {
        let (sender, receiver) = oneshot::channel();
        // The receiver is gone if the caller hung up; the change stands all the same.
        let reply = move |outcome| drop(sender.send(outcome));
        self.push(Job { tenant, work: Box::new(Change { work, outcome: None, reply }), is_awaited: true })?;
        receiver.await.unwrap_or_else(|_| Err(closed().into()))
    }

    /// A change that no caller waits for; `failed` is called if it was not made.
    pub(crate) fn write_behind(
        &self,
        tenant: TenantId,
        work: impl FnMut(&mut Tx) -> CoreResult<()> + Send + 'static,
        failed: impl Fn(CoreError) + Send + Sync + 'static,
    ) {
        let failed = Arc::new(failed);
        let refused = Arc::clone(&failed);
        let reply = move |outcome: CoreResult<()>| outcome.unwrap_or_else(|error| failed(error));
        let work = Box::new(Change { work, outcome: None, reply });
        self.push(Job { tenant: Some(tenant), work, is_awaited: false }).unwrap_or_else(|error| refused(error.into()));
    }

    fn push(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(jobs) = &*jobs else { return Err(closed()) };
        // Added to under the lock only.
        if self.queued.all.load(Ordering::Relaxed) >= MAX_QUEUED {
            return Err(Error::new(Code::Unavailable, format!("{MAX_QUEUED} writes are waiting already; try again")));
        }
        let unawaited = usize::from(!job.is_awaited);
        self.queued.all.fetch_add(1, Ordering::Relaxed);
        self.queued.unawaited.fetch_add(unawaited, Ordering::Relaxed);
        METRICS.queued_writes.add(1);
        jobs.send(job).map_err(|_| closed())
    }

    /// Whether there is a job that no caller waits for.
    pub(crate) fn is_behind(&self) -> bool {
        self.queued.unawaited.load(Ordering::Relaxed) > 0
    }

    /// Takes no more jobs, finishes those that are queued, and ends the thread.
    pub(crate) fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer thread had panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(jobs: &Receiver<Job>, queued: &Queued, batch: &mut Batch) {
    let mut waiting = VecDeque::new();
    while wait(jobs, &mut waiting) {
        let mut taken = Vec::new();
        let committed = run_batch(batch, &mut taken, || waiting.pop_front().or_else(|| jobs.try_recv().ok()));
        match committed.as_ref().map_err(|_| batch.retry()) {
            Ok(()) | Err(Retry::Never) => answer(queued, taken, &committed),
            Err(Retry::Again) => {
                let committed = run_again(batch, &mut taken);
                answer(queued, taken, &committed);
            }
            Err(retry) => {
                // Stable: jobs of a tenant stay in their order.
                taken.sort_by(|one, other| one.tenant.cmp(&other.tenant));
                while let Some(first) = taken.first() {
                    let is_of_group = |job: &Job| retry == Retry::ByTenant && job.tenant == first.tenant;
                    let size = taken.iter().take_while(|job| is_of_group(job)).count().max(1);
                    let mut group: Vec<Job> = taken.drain(..size).collect();
                    let committed = run_again(batch, &mut group);
                    answer(queued, group, &committed);
                }
            }
        }
        if let Ok(connection) = batch.connection() {
            connection.after_commit();
        }
    }
    if let Ok(connection) = batch.connection() {
        connection.before_close();
    }
}

/// Runs the jobs of `taken`, and those that `next` has, in one transaction.
fn run_batch(batch: &mut Batch, taken: &mut Vec<Job>, mut next: impl FnMut() -> Option<Job>) -> Result<()> {
    if batch.locks_tenants() {
        // Their locks are taken at once, so it must be known whose they are.
        taken.extend(std::iter::from_fn(&mut next).take(MAX_BATCH));
    }
    let mut tenants: Vec<TenantId> = taken.iter().filter_map(|job| job.tenant.clone()).collect();
    tenants.sort_unstable();
    tenants.dedup();
    // While another process had the lock, jobs have waited as well: if no transaction can begin, all are answered now, not after
    // another such wait each.
    let begun = batch.begin(&tenants);
    let most = if begun.is_ok() { MAX_BATCH } else { MAX_QUEUED };
    let run = |batch: &mut Batch, job: &mut Job| {
        if begun.is_ok() {
            job.work.run(batch, job.tenant.as_ref());
        }
    };
    for job in taken.iter_mut() {
        run(batch, job);
    }
    while taken.len() < most
        && !(begun.is_ok() && batch.locks_tenants())
        && (begun.is_err() || batch.is_open())
        && let Some(mut job) = next()
    {
        run(batch, &mut job);
        taken.push(job);
    }
    let committed = begun.and_then(|()| batch.commit());
    batch.clear();
    committed
}

/// Runs jobs again whose batch was not committed, until it is, or for too long.
fn run_again(batch: &mut Batch, jobs: &mut Vec<Job>) -> Result<()> {
    let until = Instant::now() + RETRY_LIMIT;
    let mut pause = RETRY_PAUSE_MIN;
    loop {
        let committed = run_batch(batch, jobs, || None);
        if committed.is_ok() || batch.retry() != Retry::Again || Instant::now() + pause > until {
            return committed;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(RETRY_PAUSE_MAX);
    }
}

fn answer(queued: &Queued, jobs: Vec<Job>, committed: &Result<()>) {
    if committed.is_err() {
        // Until a check says otherwise: the next batch may be smaller, and find room.
        METRICS.writes_fail.store(true, Ordering::Relaxed);
    }
    let unawaited = jobs.iter().filter(|job| !job.is_awaited).count();
    queued.all.fetch_sub(jobs.len(), Ordering::Relaxed);
    queued.unawaited.fetch_sub(unawaited, Ordering::Relaxed);
    METRICS.queued_writes.add(-i64::try_from(jobs.len()).unwrap_or(0));
    METRICS.batch_size.observe(jobs.len() as u64);
    for job in jobs {
        job.work.reply(committed.clone());
    }
}

/// Waits until there is a job that a caller waits for, or others have waited for [`LINGER`]; `false` once there will be no more.
fn wait(jobs: &Receiver<Job>, waiting: &mut VecDeque<Job>) -> bool {
    if waiting.is_empty() {
        let Ok(job) = jobs.recv() else { return false };
        waiting.push_back(job);
    }
    let until = Instant::now() + LINGER;
    while waiting.len() < MAX_BATCH
        && waiting.back().is_some_and(|job| !job.is_awaited)
        && let Ok(job) = jobs.recv_timeout(until.saturating_duration_since(Instant::now()))
    {
        waiting.push_back(job);
    }
    true
}

fn closed() -> Error {
    Error::new(Code::Unavailable, "haldir is shutting down; try again")
}

#[cfg(test)]
mod tests;
