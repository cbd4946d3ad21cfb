//! The task that delivers the outbox. Every serving process runs one. A lease in the store lets one process at a time send a
//! webhook's events, and another process continues if that one dies.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use reqwest::Client;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{attempts, send};
use crate::{
    call::{Job, Services, WriteContext, alone},
    error::Result,
    metrics::METRICS,
    model::{Caller, TenantId},
    store::{Store, Tx},
};

/// Webhooks that this process sends to at the same time. A webhook counts once, however many events are queued.
const MAX_AT_ONCE: usize = 128;
/// How often the outbox is read without a notification: other processes put events there too.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The shortest pause between two reads. A notification comes before the commit of its change, which takes about as long.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(20);
/// How long an event is left to other processes if this one may not call its receiver, in microseconds; and how long this
/// process skips it.
const MICROS_LEFT_TO_OTHERS: i64 = 3_000_000;
const LEFT_FOR: Duration = Duration::from_millis(500);
/// The pause of a webhook after a failed write to the store.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// How often old attempts and dead letters are removed, how many per transaction, and their age.
const CLEAN_EVERY: Duration = Duration::from_secs(600);
const FIRST_CLEAN_AFTER: Duration = Duration::from_secs(60);
const CLEAN_STEP: usize = 200;
const KEEP_SECONDS: i64 = 30 * 86_400;
/// Transactions of one cleaning; the rest waits for the next one.
const MAX_CLEAN_STEPS: usize = 50;

/// Between two warnings about one dead receiver.
const TELL_EVERY: Duration = Duration::from_secs(3_600);
/// Dead receivers that are remembered, to bound the warnings.
const MAX_TOLD: usize = 1_024;

/// The actor in the audit log.
const PRINCIPAL: &str = "haldir";

/// Delivers until `stop`. Attempts in flight at that time are abandoned, to be made again.
pub async fn run(store: Store, services: Arc<Services>, stop: CancellationToken) {
    let deliverer = Arc::new(Deliverer {
        store,
        services,
        stop,
        in_flight: Mutex::default(),
        client: Mutex::default(),
        told: Mutex::default(),
    });
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    let mut rounds = JoinSet::new();
    let mut clean_at = Instant::now() + FIRST_CLEAN_AFTER;
    while !deliverer.stop.is_cancelled() {
        let now = deliverer.services.clock.now();
        let due = deliverer.store.read(|tx| Ok(tx.due_webhooks(now, MAX_AT_ONCE)?)).unwrap_or_default();
        for (tenant, id) in due {
            let Some(in_flight) = InFlight::begin(&deliverer, &tenant, id) else { continue };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { break };
            rounds.spawn(async move {
                if let Err(error) = in_flight.deliverer.round(&tenant, id).await {
                    tracing::warn!(%error, webhook = id, "a webhook's events wait");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                drop((in_flight, place));
            });
        }
        while rounds.try_join_next().is_some() {}
        if Instant::now() >= clean_at {
            clean_at = Instant::now() + CLEAN_EVERY;
            if let Err(error) = deliverer.clean_alone().await {
                tracing::warn!(%error, "old deliveries were not forgotten");
            }
        }
        tokio::time::sleep(LOOK_AT_MOST_EVERY).await;
        tokio::select! {
            () = deliverer.services.webhook_bell.notified() => {}
            () = tokio::time::sleep(deliverer.pause()) => {}
            () = deliverer.stop.cancelled() => {}
        }
    }
    while rounds.join_next().await.is_some() {}
}

/// A short description of an attempt, for the warning.
fn how_it_ended(outcome: &attempts::AttemptResult) -> String {
    if outcome.status == 0 { outcome.error.clone() } else { format!("answered {}", outcome.status) }
}

/// The host and port of a receiver, without path and query, which may hold secrets.
fn host_and_port(url: &str) -> String {
    let url = reqwest::Url::parse(url).ok();
    let place = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    place.map_or_else(String::new, |(host, port)| format!("{host}:{port}"))
}

struct Deliverer {
    store: Store,
    services: Arc<Services>,
    stop: CancellationToken,
    /// Webhooks that this process sends to now.
    in_flight: Mutex<HashSet<(TenantId, i64)>>,
    /// Created when the first event is due: many processes never have one.
    client: Mutex<Option<Client>>,
    /// When each dead receiver was last warned of.
    told: Mutex<HashMap<(TenantId, i64), Instant>>,
}

/// A webhook that this process sends to now; dropping it releases the webhook.
struct InFlight {
    deliverer: Arc<Deliverer>,
    key: (TenantId, i64),
}

impl InFlight {
    fn begin(deliverer: &Arc<Deliverer>, tenant: &TenantId, id: i64) -> Option<Self> {
        let key = (tenant.clone(), id);
        let mut in_flight = deliverer.in_flight.lock();
        in_flight.insert(key.clone()).then(|| Self { deliverer: Arc::clone(deliverer), key })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.deliverer.in_flight.lock().remove(&self.key);
        // The webhook may be due again already.
        self.deliverer.services.webhook_bell.notify_one();
    }
}

impl Deliverer {
    /// Sends one webhook's events one by one, until none is queued or one fails.
    async fn round(&self, tenant: &TenantId, id: i64) -> Result<()> {
        if self.is_left_to_others(tenant, id).await? {
            tokio::time::sleep(LEFT_FOR).await;
            return Ok(());
        }
        let mut next = self.write(tenant, move |cx| attempts::claim(cx, id)).await?;
        while let Some(delivery) = next {
            let client = self.client()?;
            let outcome = tokio::select! {
                outcome = send::send(&client, &self.services, &delivery) => outcome,
                () = self.stop.cancelled() => return self.write(tenant, move |cx| attempts::release(cx, &delivery)).await,
            };
            if (200..300).contains(&outcome.status) {
                let lag = self.services.clock.now().0 - delivery.event.queued_at.0;
                METRICS.webhook_lag.observe_time(Duration::from_micros(u64::try_from(lag).unwrap_or(0)));
            } else {
                tracing::info!(webhook = id, status = outcome.status, error = outcome.error, "a webhook failed");
            }
            let how = how_it_ended(&outcome);
            next = self.write(tenant, move |cx| attempts::settle(cx, &delivery, &outcome)).await?;
            self.tell_of_dead(tenant, id, &how);
        }
        Ok(())
    }

    /// Whether to leave the event to another process, since this one may not call the receiver: `--allow-private` is a setting of
    /// each process. After [`MICROS_LEFT_TO_OTHERS`] the refusal counts as an attempt, so that the operator sees it.
    async fn is_left_to_others(&self, tenant: &TenantId, id: i64) -> Result<bool> {
        let Some(webhook) = self.store.read(|tx| Ok(tx.webhook(tenant, id)?))? else { return Ok(false) };
        let Ok(url) = reqwest::Url::parse(&webhook.url) else { return Ok(false) };
        if self.services.settings.outbound.check(&url).await.is_ok() {
            return Ok(false);
        }
        let due_at = webhook.due_at.unwrap_or_default();
        Ok(self.services.clock.now().0 - due_at.0 < MICROS_LEFT_TO_OTHERS)
    }

    /// Warns in the server's log of a dead receiver, once and then hourly.
    fn tell_of_dead(&self, tenant: &TenantId, id: i64, how: &str) {
        let Ok(Some(webhook)) = self.store.read(|tx| Ok(tx.webhook(tenant, id)?)) else { return };
        let mut told = self.told.lock();
        let key = (tenant.clone(), id);
        if webhook.failures < attempts::DEAD_AFTER {
            if told.remove(&key).is_some() {
                tracing::warn!(webhook = id, %tenant, "the receiver takes events again");
            }
            return;
        }
        let is_due = told.get(&key).is_none_or(|last| last.elapsed() >= TELL_EVERY);
        if !is_due || (told.len() >= MAX_TOLD && !told.contains_key(&key)) {
            return;
        }
        told.insert(key, Instant::now());
        let (failures, waiting, receiver) = (webhook.failures, webhook.waiting, host_and_port(&webhook.url));
        tracing::warn!(
            webhook = id, %tenant, receiver, failures, waiting, last = how,
            "a webhook's receiver takes nothing: its events wait, up to 100,000 of them"
        );
    }

    fn client(&self) -> Result<Client> {
        let mut client = self.client.lock();
        if client.is_none() {
            let settings = &self.services.settings;
            *client = Some(settings.outbound.client(settings.webhooks.attempt_timeout)?);
        }
        client.clone().ok_or_else(|| crate::error::Error::internal("no client"))
    }

    async fn write<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        mut work: impl FnMut(&mut WriteContext<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let caller = Caller::internal(tenant.clone(), PRINCIPAL);
        let services = Arc::clone(&self.services);
        let run = move |tx: &mut Tx| {
            work(&mut WriteContext { tx, caller: &caller, now: services.clock.now(), services: &services })
        };
        self.store.write(tenant, run).await
    }

    /// How long to wait for a notification: until the next webhook is due, at most [`LOOK_EVERY`].
    fn pause(&self) -> Duration {
        let due = self.store.read(|tx| Ok(tx.next_due()?)).ok().flatten();
        let wait = due.map_or(LOOK_EVERY, |due| {
            Duration::from_micros(u64::try_from(due.0 - self.services.clock.now().0).unwrap_or(0))
        });
        wait.min(LOOK_EVERY)
    }

    /// Removes what is old, unless another process does.
    async fn clean_alone(&self) -> Result<()> {
        alone(&self.store, &self.services, Job::OldDeliveries, self.clean()).await?.unwrap_or(Ok(()))
    }

    async fn clean(&self) -> Result<()> {
        let before = self.services.clock.now().plus_seconds(-KEEP_SECONDS);
        for _ in 0..MAX_CLEAN_STEPS {
            if self.store.write_for_all(move |tx| Ok(tx.forget_deliveries(before, CLEAN_STEP)?)).await? == 0 {
                break;
            }
        }
        Ok(())
    }
}
