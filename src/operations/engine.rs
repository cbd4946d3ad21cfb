//! The engine: authenticates, authorizes, counts and runs calls of operations. Every decision reads the store.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    definition::{Operation, Prepared, Renderer, ResponseBody, Run},
    denial,
    idempotency::IdempotentCall,
    quota::Quota,
};
use crate::{
    call::{CallClient, ReadContext, Services, WriteContext},
    error::{Code, Error, Result},
    gate::{
        authenticate::{self, Authenticated},
        last_use::LastUse,
        rate_limit::{RateLimitStatus, RateLimiter},
    },
    metrics::METRICS,
    model::{Caller, Credential, Permission, Resource, Role, UnixMicros},
    store::{ReadTx, Store},
    traces,
};

/// A running haldir: every interface calls operations through it.
#[derive(Clone)]
pub struct Haldir {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// The database file, if there is one.
    pub(crate) path: Option<std::path::PathBuf>,
    pub(crate) store: Store,
    pub(crate) services: Arc<Services>,
    pub(super) limiter: RateLimiter,
    pub(super) last_use: LastUse,
    pub(super) streams: Arc<Quota>,
    pub(super) long_polls: Arc<Quota>,
    /// Cancelled when the process is about to stop: long polls end.
    pub(super) stopping: CancellationToken,
    /// When a write was last tried, after one had failed.
    pub(super) writes_checked: tokio::sync::Mutex<Option<Instant>>,
}

/// What comes with a call besides its input.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Makes a retry return the first answer.
    pub idempotency_key: Option<String>,
    /// What the interface knows from the person at the agent's client. It never comes from a caller's input.
    pub client: CallClient,
    /// The call is haldir's own, such as the creation of a session for a client that creates none.
    pub is_own: bool,
    /// The request of this call was counted against the hourly limit already.
    pub is_counted: bool,
    /// The interface says how old the data of a response is, so that a replica may answer where the operation allows it.
    pub may_lag: bool,
}

impl CallOptions {
    /// For a call of a request that was counted on arrival, or over stdio, where calls are not counted.
    pub fn counted() -> Self {
        Self { is_counted: true, ..Self::default() }
    }
}

/// An operation's response.
pub struct Reply {
    /// REST status.
    pub status: u16,
    /// JSON.
    pub body: ResponseBody,
    /// How old its data is, where a replica has answered.
    pub data_age: Option<Duration>,
}

/// A call whose caller is authenticated, and that was counted.
pub struct AdmittedCall {
    pub(super) caller: Caller,
    pub(super) now: UnixMicros,
    /// What the caller's key has left of the hour, where that is counted.
    pub remaining: Option<RateLimitStatus>,
}

impl AdmittedCall {
    pub(super) fn into_parts(self) -> (Caller, UnixMicros) {
        (self.caller, self.now)
    }
}

impl Haldir {
    /// Calls `operation` with the JSON text of its input.
    pub async fn call(
        &self,
        operation: &'static Operation,
        credential: &Credential,
        input: &str,
        options: CallOptions,
    ) -> Result<Reply> {
        if let (Run::Read(run), false) = (operation.run, self.counts_calls()) {
            let (now, begun) = (self.inner.services.clock.now(), Instant::now());
            let outcome = self.read_at_once(operation, run, credential, input, now).await;
            return measured(operation, begun, outcome, |reply| reply.status);
        }
        let admitted = self.admit_metered(operation, credential, !options.is_own, !options.is_counted).await?;
        self.execute(operation, credential, admitted, input, options).await
    }

    /// Whether calls are counted against hourly limits.
    pub fn counts_calls(&self) -> bool {
        self.inner.services.settings.rate_limits.is_some()
    }

    /// The first half of a call: authenticates the caller and counts the call against the hourly limit.
    pub async fn admit_call(&self, operation: &'static Operation, credential: &Credential) -> Result<AdmittedCall> {
        self.admit_metered(operation, credential, true, true).await
    }

    /// As [`Self::admit_call`]. `of_agent` is false for a call of haldir's own, which the usage does not count; `counts` is false
    /// for a call of a request that was counted against the hourly limit already.
    pub(super) async fn admit_metered(
        &self,
        operation: &'static Operation,
        credential: &Credential,
        of_agent: bool,
        counts: bool,
    ) -> Result<AdmittedCall> {
        let now = self.inner.services.clock.now();
        let authenticated =
            self.inner.store.look_up(|tx| self.authenticate(tx, operation, credential, of_agent, now)).await?;
        let remaining = if counts { self.count(&authenticated, now).await? } else { None };
        Ok(AdmittedCall { caller: authenticated.caller, now, remaining })
    }

    /// Counts a call that names no operation. Returns what a known key has left, where calls are counted.
    pub async fn count_call(&self, credential: &Credential) -> Option<RateLimitStatus> {
        if !self.counts_calls() {
            return None;
        }
        let (authenticated, now) = self.authenticated(credential).ok()?;
        self.count(&authenticated, now).await.ok().flatten()
    }

    /// Counts a request that calls no operation, such as a `ping`, or refuses it over the limit.
    pub async fn admit(&self, credential: &Credential) -> Result<()> {
        if !self.counts_calls() {
            return Ok(());
        }
        let (authenticated, now) = self.authenticated(credential)?;
        self.count(&authenticated, now).await.map(drop)
    }

    /// The caller with this credential, and the time of the check.
    fn authenticated(&self, credential: &Credential) -> Result<(Authenticated, UnixMicros)> {
        let now = self.now();
        let authenticate = |tx: &ReadTx| authenticate::authenticate(tx, &self.inner.services, credential, now);
        Ok((self.inner.store.read(authenticate)?, now))
    }

    /// The caller with this credential.
    pub fn caller_of(&self, credential: &Credential) -> Result<Caller> {
        Ok(self.authenticated(credential)?.0.caller)
    }

    /// The second half: authorizes the call and runs the operation.
    pub async fn execute(
        &self,
        operation: &'static Operation,
        credential: &Credential,
        admitted: AdmittedCall,
        input: &str,
        options: CallOptions,
    ) -> Result<Reply> {
        let begun = Instant::now();
        let outcome = self.work(operation, credential, admitted, input, options).await;
        measured(operation, begun, outcome, |reply| reply.status)
    }

    async fn work(
        &self,
        operation: &'static Operation,
        credential: &Credential,
        admitted: AdmittedCall,
        input: &str,
        options: CallOptions,
    ) -> Result<Reply> {
        let AdmittedCall { caller, now, .. } = admitted;
        self.permit(operation, &caller, input, now).await?;
        if !operation.run.changes() {
            self.inner.store.caught_up().await;
        }
        let mut data_age = None;
        // Rare branches are boxed, so that the future of every call stays small: it is moved several times.
        let (status, body) = match operation.run {
            Run::Read(run) => match self.inner.store.read(|tx| self.run_read(tx, run, &caller, input, now)) {
                Ok(body) => (operation.status, body),
                Err(error) => return Err(Box::pin(self.refused(operation, caller, input, error, now)).await?),
            },
            Run::Scan(run) => {
                let (this, owned_input, asking) = (self.clone(), input.to_owned(), caller.clone());
                let work = move |tx: &ReadTx| this.run_read(tx, run, &asking, &owned_input, now);
                let scanned = if operation.may_lag && options.may_lag {
                    Box::pin(self.inner.store.lagging_scan(&caller.tenant, work)).await
                } else {
                    Box::pin(self.inner.store.scan(work)).await.map(|body| (body, None))
                };
                match scanned {
                    Ok((body, age)) => {
                        data_age = age;
                        (operation.status, body)
                    }
                    Err(error) => return Err(Box::pin(self.refused(operation, caller, input, error, now)).await?),
                }
            }
            Run::Stream(_) => return Err(Error::internal(format!("{} answers with a stream", operation.name))),
            Run::LongPoll(look) => {
                (operation.status, Box::pin(self.wait(operation, look, &caller, credential, input)).await?)
            }
            Run::Outward(run_outward) => {
                Box::pin(self.call_out(operation, run_outward, caller, input, options, now)).await?
            }
            Run::Write(prepare) => {
                let input = Arc::new(Zeroizing::new(input.to_owned()));
                let prepared = prepare(Arc::clone(&input))?;
                if operation.address_field.is_some() {
                    Box::pin(self.check_address(operation, &input)).await?;
                }
                self.write(operation, prepared, caller, input, options, now).await?
            }
        };
        Ok(Reply { status, body, data_age })
    }

    /// Resolves and checks an address in the input, outside the write transaction, which must not wait for the network.
    pub(super) async fn check_address(&self, operation: &Operation, input: &str) -> Result<()> {
        let Some(field) = operation.address_field else { return Ok(()) };
        let fields: serde_json::Value = serde_json::from_str(input).map_err(Error::internal)?;
        let Some(address) = fields[field].as_str() else { return Ok(()) };
        let outbound = &self.inner.services.settings.outbound;
        outbound.check(&outbound.parse(address)?).await
    }

    /// The hot path: authentication and response from one snapshot.
    async fn read_at_once(
        &self,
        operation: &'static Operation,
        run: fn(&ReadContext<'_>, &str) -> Result<ResponseBody>,
        credential: &Credential,
        input: &str,
        now: UnixMicros,
    ) -> Result<Reply> {
        // Only an authenticated caller may make the writer flush.
        if self.inner.store.is_behind() && self.authenticate_only(credential).is_ok() {
            self.inner.store.caught_up().await;
        }
        let (caller, answer) = self.inner.store.read(|tx| {
            let Authenticated { caller, .. } = self.authenticate(tx, operation, credential, true, now)?;
            let answer = permitted(operation, &caller).and_then(|()| self.run_read(tx, run, &caller, input, now));
            Ok((caller, answer))
        })?;
        match answer {
            Ok(body) => Ok(Reply { status: operation.status, body, data_age: None }),
            Err(error) => Err(Box::pin(self.refused(operation, caller, input, error, now)).await?),
        }
    }

    /// The time of haldir's clock.
    pub fn now(&self) -> UnixMicros {
        self.inner.services.clock.now()
    }

    /// Which addresses haldir may call.
    pub fn outbound(&self) -> &crate::outbound::Outbound {
        &self.inner.services.settings.outbound
    }

    /// Whether the credential is valid, without calling an operation.
    pub fn authenticate_only(&self, credential: &Credential) -> Result<()> {
        self.authenticated(credential).map(drop)
    }

    /// Whether the credential is an operator's that may read data of the whole server.
    pub fn authenticate_operator(&self, credential: &Credential) -> Result<()> {
        let caller = self.caller_of(credential)?;
        let needed = Permission { resource: Resource::Admin, write: false, role: Role::Operator };
        if caller.role == Role::Operator && caller.may(needed) {
            Ok(())
        } else {
            Err(Error::new(Code::Unauthorized, "an operator's API key with the scope admin:read is required"))
        }
    }

    /// Whether the credential of a call with unreadable input is valid; the call counts for the usage.
    pub fn authenticate_unread(&self, credential: &Credential) -> Result<()> {
        let (authenticated, now) = self.authenticated(credential)?;
        self.meter(credential, &authenticated, now);
        Ok(())
    }

    fn run_read(
        &self,
        tx: &ReadTx,
        run: fn(&ReadContext<'_>, &str) -> Result<ResponseBody>,
        caller: &Caller,
        input: &str,
        now: UnixMicros,
    ) -> Result<ResponseBody> {
        run(&ReadContext { tx, caller, now, services: &self.inner.services }, input)
    }

    fn authenticate(
        &self,
        tx: &ReadTx,
        operation: &Operation,
        credential: &Credential,
        of_agent: bool,
        now: UnixMicros,
    ) -> Result<Authenticated> {
        if operation.open_to_anonymous && matches!(credential, Credential::Anonymous) {
            return Ok(Authenticated { caller: Caller::anonymous(), key: None });
        }
        let authenticated = authenticate::authenticate(tx, &self.inner.services, credential, now)?;
        if let Some(key) = &authenticated.key {
            self.inner.last_use.note(&self.inner.store, key, now);
        }
        if of_agent || authenticated.key.is_some() {
            self.meter(credential, &authenticated, now);
        }
        Ok(authenticated)
    }

    /// Counts a call for the tenant's usage, except of people at the terminal of this machine or at the dashboard.
    fn meter(&self, credential: &Credential, authenticated: &Authenticated, now: UnixMicros) {
        if !matches!(credential, Credential::LocalOperator(_) | Credential::SignedIn(_)) {
            self.inner.services.meter.count(&self.inner.store, &authenticated.caller.tenant, now);
        }
    }

    pub(super) async fn permit(
        &self,
        operation: &'static Operation,
        caller: &Caller,
        input: &str,
        now: UnixMicros,
    ) -> Result<()> {
        match permitted(operation, caller) {
            Ok(()) => Ok(()),
            Err(error) => Err(Box::pin(self.refused(operation, caller.clone(), input, error, now)).await?),
        }
    }

    /// Appends the audit entry of a refusal outside a write transaction.
    pub(super) async fn refused(
        &self,
        operation: &'static Operation,
        caller: Caller,
        input: &str,
        error: Error,
        now: UnixMicros,
    ) -> Result<Error> {
        if !error.is_refusal() || caller.is_anonymous() {
            return Ok(error);
        }
        let (services, input) = (Arc::clone(&self.inner.services), input.to_owned());
        let (tenant, refusal) = (caller.tenant.clone(), error.clone());
        let recorded = self.inner.store.write(&tenant, move |tx| {
            let mut cx = WriteContext { tx, caller: &caller, now, services: &services };
            denial::record(&mut cx, operation, &input, &refusal)
        });
        recorded.await.map(|()| error)
    }

    async fn count(&self, authenticated: &Authenticated, now: UnixMicros) -> Result<Option<RateLimitStatus>> {
        let (Some(limits), Some(key)) = (self.inner.services.settings.rate_limits, &authenticated.key) else {
            return Ok(None);
        };
        let counted = self.inner.limiter.count(&self.inner.store, limits, key, now).await;
        counted.map(Some).inspect_err(|error| {
            if error.code == Code::RateLimited {
                METRICS.rate_limited[key.tier as usize].add_one();
            }
        })
    }

    async fn write(
        &self,
        operation: &'static Operation,
        mut prepared: Prepared,
        caller: Caller,
        input: Arc<Zeroizing<String>>,
        options: CallOptions,
        now: UnixMicros,
    ) -> Result<(u16, ResponseBody)> {
        let idempotent = match options.idempotency_key {
            Some(key) if operation.takes_idempotency_key() => Some(IdempotentCall::new(operation, &key, &input)?),
            _ => None,
        };
        let (services, tenant) = (Arc::clone(&self.inner.services), caller.tenant.clone());
        let outcome = self.inner.store.write(&tenant, move |tx| {
            let mut cx = WriteContext { tx, caller: &caller, now, services: &services };
            run_write(&mut cx, operation, &mut prepared, &input, idempotent.as_ref())
        });
        let (status, answer) = outcome.await??;
        Ok((status, answer()?))
    }
}

/// Runs a writing operation. The inner error is a refusal: it was recorded, and the transaction is committed.
fn run_write(
    cx: &mut WriteContext<'_>,
    operation: &'static Operation,
    prepared: &mut Prepared,
    input: &str,
    idempotent: Option<&IdempotentCall>,
) -> Result<Result<(u16, Renderer)>> {
    let rendered = |status, body| (status, Box::new(move || Ok(body)) as Renderer);
    if let Some(earlier) = idempotent.map(|call| call.earlier(cx)).transpose()?.flatten() {
        return Ok(earlier.map(|(status, body)| rendered(status, body)));
    }
    match prepared(cx) {
        Ok(answer) => {
            let Some(call) = idempotent else { return Ok(Ok((operation.status, answer))) };
            let body = answer()?;
            call.keep(cx, operation, operation.status, &body)?;
            Ok(Ok(rendered(operation.status, body)))
        }
        Err(error) if error.keeps_changes() => {
            if error.is_refusal() {
                denial::record(cx, operation, input, &error)?;
            }
            // Not kept for a retry: the same call succeeds once it is approved.
            Ok(Err(error))
        }
        Err(error) if error.is_refusal() && !cx.caller.is_anonymous() => {
            cx.tx.start_over()?;
            denial::record(cx, operation, input, &error)?;
            if let Some(call) = idempotent {
                call.keep(cx, operation, error.code.status(), &error.body(None))?;
            }
            Ok(Err(error))
        }
        Err(error) => Err(error),
    }
}

/// Counts a response and its latency; for a stream, the time until it begins.
pub(super) fn measured<T>(
    operation: &Operation,
    begun: Instant,
    outcome: Result<T>,
    status: impl FnOnce(&T) -> u16,
) -> Result<T> {
    let status = outcome.as_ref().map_or_else(|error| error.code.status(), status);
    operation.measured.answered(status, begun.elapsed());
    traces::record(operation.name, begun, status, outcome.as_ref().err().map(|error| error.code.name()));
    outcome
}

/// The one check of role and key scope, for all interfaces.
pub(super) fn permitted(operation: &Operation, caller: &Caller) -> Result<()> {
    if caller.is_anonymous() {
        return Ok(()); // `authenticate` lets anonymous callers reach only operations that are open to them.
    }
    if operation.needs.role == Role::Operator && caller.role != Role::Operator {
        let message = format!("{} is for operators: use an operator's API key", operation.name);
        return Err(Error::new(Code::OperatorRequired, message));
    }
    if !caller.may(operation.needs) {
        let needed = operation.needs.to_string();
        let message = format!("the API key lacks the scope {needed}; it has: {}", caller.permissions.join(", "));
        return Err(Error::new(Code::InsufficientScope, message)
            .with("required", needed)
            .with("granted", caller.permissions.clone()));
    }
    Ok(())
}
