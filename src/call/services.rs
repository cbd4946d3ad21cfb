//! What lives as long as the process: keys, clock, settings.

use std::{fmt, sync::Arc, time::Duration};

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, de::Error};
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

use super::{InFlightCalls, Keyring, Meter, Unwritten, keyring};
use crate::{
    model::{Ceilings, Clock, Money, Tier, UpstreamName, listed_name},
    outbound::Outbound,
    redact::KnownSecrets,
    upstream::{Connections, UpstreamLimits, child::Children},
};

/// Keys, clock and settings of a running haldir.
pub struct Services {
    /// Keys by tenant.
    pub keyring: Keyring,
    /// The source of the time.
    pub clock: Arc<dyn Clock>,
    /// What the operator set.
    pub settings: Settings,
    /// Notified when an event enters the outbox.
    pub webhook_bell: Notify,
    /// Counts of calls that are not stored yet.
    pub meter: Arc<Meter>,
    /// Connections to upstream servers.
    pub upstreams: Connections,
    /// The secrets that each of them can have received.
    pub known_secrets: KnownSecrets,
    /// Whether the upstreams that are children of this process were asked for their tools since it began.
    pub children_asked: watch::Sender<bool>,
    /// In-flight calls of upstreams.
    pub in_flight: InFlightCalls,
    /// Outcomes of calls that are still to be written.
    pub unwritten: Unwritten,
}

impl Services {
    /// What operations work with. Nothing is connected yet.
    pub fn new(keyring: Keyring, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self {
            keyring,
            clock,
            webhook_bell: Notify::default(),
            meter: Arc::default(),
            upstreams: Connections::new(settings.outbound.clone(), settings.upstreams),
            settings,
            known_secrets: KnownSecrets::default(),
            children_asked: watch::Sender::new(false),
            in_flight: InFlightCalls::default(),
            unwritten: Unwritten::default(),
        }
    }

    /// Whether this process knows the outcome of a call, or will: then no task closes it as abandoned, however long the
    /// store cannot be written.
    pub fn knows_call(&self, id: &str) -> bool {
        self.in_flight.holds(id) || self.unwritten.holds(id)
    }
}

/// What the operator set.
pub struct Settings {
    /// Bounds of the keyless local agent.
    pub local_ceilings: Ceilings,
    /// Bounds of every agent's key in this process, besides its own.
    pub key_ceilings: Ceilings,
    /// Bounds of an agent's key that has none of its own in that respect.
    pub key_defaults: Ceilings,
    /// When an action is an anomaly.
    pub anomalies: AnomalyThresholds,
    /// Hourly limits of keys; `None` is off.
    pub rate_limits: Option<RateLimits>,
    /// Lets its bearer make the first key of a new tenant.
    pub bootstrap_token: Option<Zeroizing<String>>,
    /// Whether the first key of an empty store needs no proof: only where no other machine can reach it.
    pub open_bootstrap: bool,
    /// Which addresses haldir may call.
    pub outbound: Outbound,
    /// The pace of webhooks.
    pub webhooks: WebhookPace,
    /// What upstream servers may take and give.
    pub upstreams: UpstreamLimits,
    /// Upstreams that are children of this process.
    pub children: Children,
    /// Which form the names of upstreams' tools have in lists.
    pub tool_names: ToolNames,
}

/// How fast webhooks are sent and tried again. Only tests set another pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookPace {
    /// What retries take for a second, in microseconds.
    pub second_micros: i64,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
}

impl Default for WebhookPace {
    fn default() -> Self {
        Self { second_micros: 1_000_000, attempt_timeout: Duration::from_secs(15) }
    }
}

impl WebhookPace {
    /// How long a process may be at work on one event before another takes over: an attempt, and as much again.
    pub fn lease_micros(&self) -> i64 {
        i64::try_from(self.attempt_timeout.as_micros() * 2).unwrap_or(i64::MAX)
    }
}

impl Settings {
    /// Whether `presented` is the bootstrap token; never true when none is set.
    pub fn is_bootstrap_token(&self, presented: &str) -> bool {
        self.bootstrap_token.as_ref().is_some_and(|token| keyring::same_token(presented, token))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("local_ceilings", &self.local_ceilings)
            .field("key_ceilings", &self.key_ceilings)
            .field("key_defaults", &self.key_defaults)
            .field("anomalies", &self.anomalies)
            .field("rate_limits", &self.rate_limits)
            .field("bootstrap_token", &self.bootstrap_token.as_ref().map(|_| "…"))
            .field("open_bootstrap", &self.open_bootstrap)
            .field("outbound", &self.outbound)
            .field("webhooks", &self.webhooks)
            .field("upstreams", &self.upstreams)
            .field("children", &self.children.all().map(|(_, name)| name).collect::<Vec<_>>())
            .field("tool_names", &self.tool_names)
            .finish()
    }
}

/// Calls an hour, by tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RateLimits {
    pub free: u32,
    pub pro: u32,
    pub enterprise: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { free: 100, pro: 5_000, enterprise: 50_000 }
    }
}

impl RateLimits {
    /// A tier's calls an hour.
    pub fn of(self, tier: Tier) -> i64 {
        i64::from(match tier {
            Tier::Free => self.free,
            Tier::Pro => self.pro,
            Tier::Enterprise => self.enterprise,
        })
    }
}

/// When an action is flagged. Counts are per agent.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AnomalyThresholds {
    /// More actions than this within `burst_seconds` are a burst: the one that goes beyond it is flagged, and again
    /// each time as many more have followed.
    pub burst_actions: i64,
    /// The window of `burst_actions`.
    pub burst_seconds: i64,
    /// One action that costs more than this many USD.
    #[serde(deserialize_with = "usd")]
    pub cost_usd: Money,
    /// One action that costs more than this many times the agent's own mean …
    pub cost_times_mean: i64,
    /// … once it has this many actions behind it, and at least this much is at stake.
    pub cost_min_history: i64,
    /// See `cost_min_history`.
    #[serde(deserialize_with = "usd")]
    pub cost_min_usd: Money,
    /// A tool never used before, by an agent with this many actions behind it.
    pub new_tool_min_history: i64,
    /// This many refusals within `refusal_seconds`.
    pub refusals: i64,
    /// The window of `refusals`.
    pub refusal_seconds: i64,
    /// More secret reads than this within `secret_read_seconds`.
    pub secret_reads: i64,
    /// The window of `secret_reads`.
    pub secret_read_seconds: i64,
}

impl Default for AnomalyThresholds {
    fn default() -> Self {
        Self {
            burst_actions: 120,
            burst_seconds: 60,
            cost_usd: Money::from_units(100),
            cost_times_mean: 10,
            cost_min_history: 10,
            cost_min_usd: Money::from_units(1),
            new_tool_min_history: 50,
            refusals: 5,
            refusal_seconds: 300,
            secret_reads: 20,
            secret_read_seconds: 60,
        }
    }
}

/// A threshold as the config file has it: a TOML number, which is a float. It decides what is flagged, never what
/// is paid.
fn usd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    let threshold = f64::deserialize(deserializer)?;
    format!("{threshold:.9}").parse().map_err(D::Error::custom)
}

/// Which form the names of listed tools have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ToolNames {
    /// `upstream__tool`, which every model API takes.
    #[default]
    Plain,
    /// `upstream.tool`.
    Dotted,
}

impl ToolNames {
    /// The name that a tool is listed under.
    pub fn of(self, upstream: &UpstreamName, tool: &str) -> String {
        match self {
            Self::Plain => listed_name::plain(upstream.as_str(), tool),
            Self::Dotted => format!("{upstream}.{tool}"),
        }
    }
}
