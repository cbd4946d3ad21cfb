//! Policies at the edges of their windows, on a clock that is moved.

use std::path::Path;

use haldir::{
    call::{AnomalyThresholds, Settings},
    crypto::Key,
    model::{Ceilings, Clock, Credential, TenantId, UnixMicros, time::ManualClock},
    operations::{self, CallOptions, Haldir},
};
use serde_json::Value;

use crate::support::{
    House, json, open, text,
    upstream::{Upstream, tool},
};

/// A second of a day that begins at midnight, UTC.
fn at(second: i64) -> UnixMicros {
    UnixMicros(1_800_057_600_000_000).plus_seconds(second)
}

struct Clocked {
    haldir: Haldir,
    clock: std::sync::Arc<ManualClock>,
    runtime: tokio::runtime::Runtime,
    session: String,
    upstream: Upstream,
}

impl Clocked {
    fn new(path: &Path) -> Self {
        let settings = Settings {
            local_ceilings: Ceilings::NONE,
            key_ceilings: Ceilings::NONE,
            key_defaults: Ceilings::NONE,
            anomalies: AnomalyThresholds::default(),
            rate_limits: None,
            bootstrap_token: None,
            open_bootstrap: true,
            outbound: haldir::outbound::Outbound::new(["127.0.0.1"]),
            webhooks: haldir::call::WebhookPace::default(),
            upstreams: haldir::upstream::UpstreamLimits::default(),
            children: haldir::upstream::child::Children::default(),
            tool_names: haldir::call::ToolNames::default(),
        };
        let clock = std::sync::Arc::new(ManualClock::new(at(0)));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let key = Key::generate().unwrap();
        let haldir = runtime.block_on(open(path, &key, settings, clock.clone())).unwrap();
        let upstream = Upstream::new([tool("echo")]);
        let mut this = Self { haldir, clock, runtime, session: String::new(), upstream: upstream.clone() };
        this.ok("registerUpstream", &json!({"name": "up", "url": upstream.url()}));
        let made = this.ok("createSession", &json!({"agent_id": "a", "scopes": ["execute"], "ttl": 0}));
        this.session = text(&made, "session_id");
        this
    }

    fn ok(&self, name: &str, input: &Value) -> Value {
        self.call(name, input).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn call(&self, name: &str, input: &Value) -> Result<Value, haldir::error::Error> {
        let (operation, input) = (operations::named(name).unwrap(), input.to_string());
        let who = Credential::LocalOperator(TenantId::local());
        let call = self.haldir.call(operation, &who, &input, CallOptions::default());
        self.runtime.block_on(call).map(|reply| serde_json::from_str(&reply.body).unwrap())
    }

    /// Whether the tool is called at this time.
    fn passes(&self, at: UnixMicros) -> bool {
        self.clock.advance_seconds(at.seconds_since(self.clock.now()));
        match self.call("proxyCall", &json!({"session_id": self.session, "tool": "up.echo"})) {
            Ok(result) => result["isError"] == false,
            Err(error) => {
                assert_eq!(error.code.name(), "policy_denied", "{error}");
                false
            }
        }
    }
}

impl Drop for Clocked {
    fn drop(&mut self) {
        self.haldir.close();
    }
}

#[test]
fn a_window_opens_and_closes_on_the_second_also_over_midnight() {
    let house = House::new();
    let clocked = Clocked::new(&house.db());
    let added = clocked.ok("addProxyPolicy", &json!({"type": "time_window", "start_hour": 22, "end_hour": 6}));
    for (second, open) in [
        (0, true),
        (6 * 3_600 - 1, true),
        (6 * 3_600, false),
        (22 * 3_600 - 1, false),
        (22 * 3_600, true),
        (24 * 3_600, true),
        (30 * 3_600, false),
    ] {
        assert_eq!(clocked.passes(at(second)), open, "{second}");
    }
    clocked.ok("deleteProxyPolicy", &json!({"policy_id": added["policy_id"]}));
    assert!(clocked.passes(at(30 * 3_600 + 1)));
}

#[test]
fn no_minute_has_more_calls_than_a_rate_allows_wherever_it_begins() {
    let house = House::new();
    let clocked = Clocked::new(&house.db());
    clocked.ok("addProxyPolicy", &json!({"type": "rate_limit", "max_per_minute": 3}));
    let tried = [0, 1, 58, 59, 60, 61, 62, 90, 117, 118, 119, 121, 122, 123, 179, 180, 181, 182, 183];
    let made: Vec<i64> = tried.into_iter().filter(|second| clocked.passes(at(*second))).collect();
    for begin in 0..200 {
        let within = made.iter().filter(|second| (begin..begin + 60).contains(*second)).count();
        assert!(within <= 3, "{within} calls in the minute from {begin}: {made:?}");
    }
    // Refusals burn nothing: once the minute is over there is room again.
    assert!(made.len() >= 9 && made.contains(&62), "{made:?}");
}

#[test]
fn an_idle_upstream_gets_a_health_check() {
    let house = House::new();
    let clocked = Clocked::new(&house.db());
    let healthy = || clocked.ok("listUpstreams", &json!({}))["upstreams"]["up"]["healthy"].clone();
    let check = || clocked.runtime.block_on(clocked.haldir.check_upstreams()).unwrap();
    clocked.upstream.fail(Some(503));
    check();
    assert_eq!(healthy(), true, "it was asked too soon");
    clocked.clock.advance_seconds(61);
    check();
    assert_eq!(healthy(), false);
    let asked = clocked.upstream.asked().len();
    check();
    assert_eq!(clocked.upstream.asked().len(), asked, "it was asked twice");
    clocked.upstream.fail(None);
    clocked.clock.advance_seconds(61);
    check();
    assert_eq!(healthy(), true);
}
