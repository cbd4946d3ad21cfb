//! The proxy as interfaces use it that carry MCP themselves, and what a server does about calls that were left open. See
//! [`crate::proxy`] for the order of things.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    approvals,
    call::{ReadContext, WriteContext, session},
    error::{Code, Error, Result},
    gate::authenticate,
    model::{
        ApprovalId, Caller, Credential, ElicitationResponse, LogLevel, Permission, Resource, Role, Scopes, SessionId,
        TenantId, Upstream, UpstreamName, UpstreamSettings,
    },
    operations::{definition::Operation, engine::Haldir, engine::permitted},
    proxy::{abandoned, callable::Callable, catalogue, question, secret, target, tool, uncounted as not_counted},
    store::Tx,
    upstream::{Link, Target, UpstreamLimits},
    watch::{self, Draft},
};
pub use crate::{
    call::{CallClient, ClientChannel, OutwardContext},
    model::{PendingApproval, secret_placeholder::has_any as has_secret},
    proxy::{
        catalogue::{Audience, Observed},
        edited::Edited,
        governed::{AllowedCall, CallRequest, Outcome, Verdict, begin, refusal_text},
        mid_call::{MidCallRequests, NOT_LOGGED, NotForwarded, TOO_MANY},
        policy::cedar::{MAX_BYTES as MAX_CEDAR_BYTES, SCHEMA as CEDAR_SCHEMA},
        proxy_call::{answered_elsewhere, as_tool_result, as_written},
        question::ApprovalQuestion,
        register_upstream::RESERVED_NAME,
        target::{Listing, Reach, reach, refresh},
        uncounted::Uncounted,
    },
    redact::Known,
    upstream::{Again, CallEvent, MidCallRequest, Wanted as WantedLogs},
};

/// What budgets do not count of the tools of an upstream.
pub fn uncounted(cx: &OutwardContext, upstream: &UpstreamName) -> Result<Uncounted> {
    cx.read(|cx| not_counted::of(cx.tx, &cx.caller.tenant, upstream))
}

/// Between two looks for calls that no process vouches for any more.
const CLOSE_EVERY: Duration = Duration::from_secs(3);
/// Between two looks for upstreams that were not asked for a while.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Seconds after which one that is not well is asked again.
const UNWELL_AGE: i64 = 4;
/// How long a client waits for the tools of children that were never asked. Some clients give a request 5 s in all; those
/// that listen are told once a child is there.
const FIRST_LIST: Duration = Duration::from_secs(4);
/// Upstreams that are asked at a time.
const CHECKS_AT_ONCE: usize = 8;
/// The principal in the log that closed such a call.
const PRINCIPAL: &str = "proxy";

/// What the person at the client is asked about a call that waits; `None` if it is not for them to decide.
pub fn question_about(cx: &OutwardContext, held: &PendingApproval) -> Result<Option<ApprovalQuestion>> {
    cx.read(|cx| question::question(cx, held))
}

/// The same, before the person is asked; `None` also if the person was asked often enough. A closed dialog decides nothing,
/// and must not come back until the person approves to be rid of it.
pub async fn ask_about(cx: &OutwardContext, held: &PendingApproval) -> Result<Option<ApprovalQuestion>> {
    let Some(question) = question_about(cx, held)? else { return Ok(None) };
    let id = question.request_id.clone();
    let may = cx.write(move |cx| approvals::person::may_be_asked(cx, &id)).await?;
    Ok(may.then_some(question))
}

/// Whether haldir has asked a person about this request, and showed this for it.
pub fn was_asked(cx: &OutwardContext, request_id: &ApprovalId, shown: &str) -> Result<bool> {
    cx.read(|cx| question::was_asked(cx, request_id, shown))
}

/// Whether a call of this session that is under way may still go on: not once the session has ended.
pub fn may_go_on(cx: &OutwardContext, session: &SessionId) -> Result<()> {
    cx.read(|cx| session::require_valid(cx.tx, &cx.caller.tenant, session, cx.now).map(drop))
}

/// Decides the no of the person at the client.
pub async fn deny(cx: &OutwardContext, person: ElicitationResponse) -> Result<()> {
    cx.write(move |cx| approvals::person::deny(cx, &person)).await
}

impl Haldir {
    /// The first step of every governed call: authenticates the caller, and checks that its key may call tools. A
    /// call counts against the key's hourly limit, unless the request that makes it was counted already.
    pub async fn enter_proxy(&self, credential: &Credential, is_counted: bool) -> Result<OutwardContext> {
        let operation = call_operation()?;
        let entered = if is_counted {
            self.admit_metered(operation, credential, true, false).await?
        } else {
            self.admit_call(operation, credential).await?
        };
        let (caller, now) = entered.into_parts();
        permitted(operation, &caller)?;
        Ok(self.outward(caller, now))
    }

    /// As [`Self::enter_proxy`], for what is no call and does not count as one.
    pub fn watch_proxy(&self, credential: &Credential) -> Result<OutwardContext> {
        let caller = self.caller_of(credential)?;
        permitted(call_operation()?, &caller)?;
        Ok(self.outward(caller, self.inner.services.clock.now()))
    }

    /// As [`Self::watch_proxy`], and where an upstream is, with the secrets that it can have received: on one snapshot.
    pub fn find_upstream(&self, credential: &Credential, upstream: &UpstreamName) -> Result<(Target, Arc<Known>)> {
        let services = &self.inner.services;
        let now = services.clock.now();
        self.inner.store.read(|tx| {
            let caller = authenticate::authenticate(tx, services, credential, now)?.caller;
            permitted(call_operation()?, &caller)?;
            target::target_in(&ReadContext { tx, caller: &caller, now, services }, upstream)
        })
    }

    /// JSON text of a tool as it was accepted; empty if there is none that this caller can call.
    pub fn pinned_definition(&self, credential: &Credential, upstream: &UpstreamName, tool: &str) -> Result<String> {
        let cx = self.watch_proxy(credential)?;
        let pinned = cx.read(|cx| Ok(cx.tx.pinned_tool(&cx.caller.tenant, upstream, tool)?))?;
        Ok(pinned.map_or_else(String::new, |tool| tool.definition.clone()))
    }

    /// Whether a tool that is called by this name declares an argument of that name itself.
    pub fn tool_takes(&self, credential: &Credential, called: &str, argument: &str) -> Result<bool> {
        self.watch_proxy(credential)?.read(|cx| tool::takes(cx, called, argument))
    }

    /// Waits until the outcomes that were reported are written.
    pub async fn caught_up(&self) {
        self.inner.store.caught_up().await;
        self.inner.services.unwritten.write().await;
    }

    /// Which of these tools a client may see: those that are as they were accepted, or not known yet, and that it may call
    /// by the policies, and by the scopes of its session where those are known.
    pub fn visible_tools(
        &self,
        cx: &OutwardContext,
        upstream: &UpstreamName,
        tools: &[&RawValue],
        scopes: Option<Scopes>,
    ) -> Result<Vec<bool>> {
        #[derive(serde::Deserialize)]
        struct Named {
            name: String,
        }
        cx.read(|cx| {
            let callable = Callable::within(cx, scopes)?;
            let is_visible = |tool: &&RawValue| {
                if !catalogue::is_as_accepted(cx.tx, &cx.caller.tenant, upstream, tool)? {
                    return Ok(false);
                }
                match serde_json::from_str::<Named>(tool.get()) {
                    Ok(named) => callable.holds(cx, upstream, &named.name),
                    Err(_) => Ok(false),
                }
            };
            tools.iter().map(is_visible).collect()
        })
    }

    /// Whether all of these tools were seen before.
    pub fn knows_tools(&self, cx: &OutwardContext, upstream: &UpstreamName, tools: &[&RawValue]) -> Result<bool> {
        cx.read(|cx| {
            for tool in tools {
                if !catalogue::is_known(cx.tx, &cx.caller.tenant, upstream, tool)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Texts for an upstream that is a child of this process, such as its environment, with the secrets that stand in
    /// them and may go there; and everything that it can have received then.
    pub fn fill_secrets(
        &self,
        cx: &OutwardContext,
        upstream: &UpstreamName,
        texts: &[String],
    ) -> Result<(Vec<Zeroizing<String>>, Arc<Known>)> {
        cx.read(|cx| {
            let keys = cx.services.keyring.tenant(cx.tx, &cx.caller.tenant)?;
            let filled =
                texts.iter().map(|text| secret::fill_header(cx, &keys, upstream, text)).collect::<Result<_>>()?;
            Ok((filled, secret::known(cx, upstream)?))
        })
    }

    /// Sees to it that every secret is known that the store would send the upstream now.
    pub fn know_secrets(&self, cx: &OutwardContext, upstream: &UpstreamName) -> Result<()> {
        cx.read(|cx| secret::known(cx, upstream).map(drop))
    }

    /// Takes in a list of tools of an upstream that an interface is connected to, each as it was written. Only those that
    /// are answered may be shown, and called.
    pub async fn observe_tools(
        &self,
        cx: &OutwardContext,
        upstream: &UpstreamName,
        listing: Vec<Box<RawValue>>,
        audience: Audience,
    ) -> Result<Observed> {
        let name = upstream.clone();
        cx.write(move |cx| {
            let observed = catalogue::observe(cx, &name, &listing, audience)?;
            cx.tx.set_health(&cx.caller.tenant.clone(), &name, None, cx.now)?;
            Ok(observed)
        })
        .await
    }

    /// Makes an upstream known that this process alone can call, such as a child of its own from its configuration. One
    /// of this name that is registered with an address stays as it is: its pins hold for both.
    pub async fn declare_upstream(&self, cx: &OutwardContext, upstream: &UpstreamName) -> Result<()> {
        let name = upstream.clone();
        if cx.read(|cx| Ok(cx.tx.upstream(&cx.caller.tenant, &name)?.is_some()))? {
            return Ok(());
        }
        let name = upstream.clone();
        cx.write(move |cx| declare(cx, name.clone())).await
    }

    /// What a server does by itself about the proxy, until `stop`: it closes calls that no process vouches for any more,
    /// and asks upstreams how they are. Several processes may do it on one store: each call is closed once, and an
    /// upstream that one has asked is not asked by the next.
    pub async fn keep_proxy(self, stop: CancellationToken) {
        let close = now_and_then(CLOSE_EVERY, || self.close_abandoned_calls());
        let check = now_and_then(CHECK_EVERY, || self.check_upstreams());
        tokio::select! {
            () = stop.cancelled() => {}
            () = close => {}
            () = check => {}
        }
    }

    /// Makes the children of the configuration known, each to the tenant whose it is. One whose name is registered with
    /// an address is an error: a call could mean either.
    pub async fn declare_children(&self) -> Result<()> {
        for (tenant, name) in self.inner.services.settings.children.all() {
            let problem =
                |what: &str| Error::new(Code::Conflict, format!("upstreams.{name} in the config file: {what}"));
            if name.as_str().eq_ignore_ascii_case(RESERVED_NAME) {
                return Err(problem("this name is the place of haldir's own card"));
            }
            if !self.has_tenant(tenant)? {
                return Err(problem(&format!("there is no tenant {tenant}")));
            }
            let cx = self.outward(Caller::internal(tenant.clone(), PRINCIPAL), self.inner.services.clock.now());
            self.declare_upstream(&cx, name).await?;
            let known = cx.read(|cx| Ok(cx.tx.upstream(tenant, name)?))?;
            if known.is_none_or(|known| !known.url.is_empty()) {
                return Err(problem("this name is registered with an address, or differs from one in its case only"));
            }
        }
        Ok(())
    }

    /// Keeps the children of this process running until `stop`: all that a client's own haldir does about upstreams.
    pub async fn keep_children(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = now_and_then(CHECK_EVERY, || self.check_children()) => {}
        }
    }

    /// Ends the connections to upstreams, and the children of this process.
    pub async fn end_upstreams(&self) {
        self.inner.services.upstreams.close().await;
    }

    /// Starts the children that are not running, and asks those for their tools that were not asked for a while.
    async fn check_children(&self) -> Result<()> {
        let check = async |(tenant, name): (&TenantId, &UpstreamName)| {
            let cx = self.outward(Caller::internal(tenant.clone(), PRINCIPAL), self.inner.services.clock.now());
            if let Ok(reach) = reach(&cx, name)
                && !reach.link.must_list().await
            {
                return Ok(());
            }
            self.check_upstream(tenant.clone(), name.clone()).await
        };
        let checks = self.inner.services.settings.children.all().map(check);
        let checked = futures::future::join_all(checks).await.into_iter().collect();
        self.inner.services.children_asked.send_replace(true);
        checked
    }

    /// Waits, if only for a while, until the children were asked for their tools once: a store that is new knows none.
    /// At once if each is among these, whose tools are known. Answers whether it has waited, so that more may be known.
    pub async fn children_listed(&self, known: &[&str]) -> bool {
        let services = &self.inner.services;
        let mut children = services.settings.children.all();
        if *services.children_asked.borrow() || children.all(|(_, child)| known.contains(&child.as_str())) {
            return false;
        }
        let mut asked = services.children_asked.subscribe();
        // A child that is late is listed with the next request, and delays no other child's tools.
        let _ = tokio::time::timeout(FIRST_LIST, asked.wait_for(|asked| *asked)).await;
        true
    }

    /// Lists the tools of those upstreams that were not asked for a while.
    pub async fn check_upstreams(&self) -> Result<()> {
        self.check_children().await?;
        let now = self.inner.services.clock.now();
        let age = i64::try_from(self.inner.services.settings.upstreams.list_age.as_secs()).unwrap_or(i64::MAX);
        // One that is not well is asked again at each look: until it answers, no client is offered its tools.
        let since = (now.plus_seconds(-age), now.plus_seconds(-UNWELL_AGE));
        let due = self.inner.store.read(|tx| Ok(tx.upstreams_to_check(since, CHECKS_AT_ONCE)?))?;
        let checks = due.into_iter().map(|(tenant, name)| self.check_upstream(tenant, name));
        futures::future::join_all(checks).await.into_iter().collect()
    }

    async fn check_upstream(&self, tenant: TenantId, name: UpstreamName) -> Result<()> {
        let cx = self.outward(Caller::internal(tenant, PRINCIPAL), self.inner.services.clock.now());
        match reach(&cx, &name) {
            Ok(reach) => refresh(&cx, &name, &reach).await.map(drop),
            // A secret in its headers is gone, or may not go there any more.
            Err(error) => {
                let problem = error.message;
                cx.write(move |cx| Ok(cx.tx.set_health(&cx.caller.tenant.clone(), &name, Some(&problem), cx.now)?))
                    .await
            }
        }
    }

    /// Closes all that there are now.
    pub async fn close_abandoned_calls(&self) -> Result<()> {
        loop {
            let now = self.inner.services.clock.now();
            let tenants = self.inner.store.read(|tx| abandoned::tenants(tx, now))?;
            if tenants.is_empty() {
                return Ok(());
            }
            let (mut closed, mut failed) = (0, None);
            for tenant in tenants {
                match self.close_abandoned_of(tenant).await {
                    Ok(more) => closed += more,
                    // One tenant's trouble is not that of the next.
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if closed == 0 {
                // Another process has closed them meanwhile, or none can.
                return failed.map_or(Ok(()), Err);
            }
        }
    }

    async fn close_abandoned_of(&self, tenant: TenantId) -> Result<usize> {
        let (services, caller) = (Arc::clone(&self.inner.services), Caller::internal(tenant.clone(), PRINCIPAL));
        let work = move |tx: &mut Tx| {
            let now = services.clock.now();
            abandoned::close(&mut WriteContext { tx, caller: &caller, now, services: &services })
        };
        self.inner.store.write(&tenant, work).await
    }

    /// A client that stays wants log messages of upstreams from this level on, for as long as the answer is kept. Those that
    /// are connected are told soon, the others before its next call.
    pub fn want_logs(&self, credential: &Credential, level: LogLevel) -> Result<WantedLogs> {
        let tenant = self.watch_proxy(credential)?.caller.tenant;
        let services = Arc::clone(&self.inner.services);
        let wanted = services.upstreams.want_logs(&tenant, level);
        tokio::spawn(async move { services.upstreams.tell_levels(&tenant).await });
        Ok(wanted)
    }

    /// haldir's own connection to an upstream.
    pub fn link(&self, target: &Target) -> Arc<Link> {
        self.inner.services.upstreams.link(target.clone())
    }

    /// The bounds of what upstreams may take and give.
    pub fn upstream_limits(&self) -> UpstreamLimits {
        *self.inner.services.upstreams.limits()
    }

    /// How many upstreams this process has called, and how many of them it leaves alone since they failed.
    pub fn upstream_connections(&self) -> (usize, usize) {
        self.inner.services.upstreams.count()
    }

    /// Whether this credential may see and call tools.
    pub fn may_use_proxy(&self, credential: &Credential) -> Result<()> {
        let caller = self.caller_of(credential)?;
        let needed = Permission { resource: Resource::Proxy, write: false, role: Role::Agent };
        if caller.may(needed) { Ok(()) } else { permitted(call_operation()?, &caller) }
    }
}

/// Does something again and again. What fails is tried again the next time.
async fn now_and_then<F: Future<Output = Result<()>>>(pause: Duration, work: impl Fn() -> F) {
    loop {
        if let Err(error) = work().await {
            tracing::error!(%error, "the proxy's upkeep failed");
        }
        tokio::time::sleep(pause).await;
    }
}

fn call_operation() -> Result<&'static Operation> {
    static FOUND: LazyLock<Option<&'static Operation>> = LazyLock::new(|| super::named("proxyCall"));
    FOUND.ok_or_else(|| Error::internal("there is no proxyCall"))
}

fn declare(cx: &mut WriteContext<'_>, name: UpstreamName) -> Result<()> {
    let tenant = cx.caller.tenant.clone();
    if cx.tx.upstream_alike(&tenant, &name)?.is_some_and(|other| other.name == name) {
        return Ok(());
    }
    let details = serde_json::json!({"name": name, "child": true});
    let upstream = Upstream {
        name,
        url: String::new(),
        headers: std::collections::BTreeMap::new(),
        limits: UpstreamSettings::default(),
        generation: cx.now.0,
        healthy: false,
        problem: "it was not asked yet".to_owned(),
        checked_at: None,
        calls: 0,
        errors: 0,
        latency: 0,
        created_at: cx.now,
        created_by: cx.caller.principal.clone(),
    };
    cx.tx.put_upstream(&tenant, &upstream)?;
    watch::append(cx, Draft::governance("upstream.declare", None, &details)?)?;
    Ok(())
}
