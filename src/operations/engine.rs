//! The way a call travels: authenticate, permit, count, run, all on the store's word alone.

use std::{sync::Arc, time::Instant};

use super::{
    definition::{Answer, Operation, Prepared, Run, Unrendered},
    denial,
    idempotency::Repeatable,
    places::Places,
    waiting::Waiting,
};
use crate::{
    call::{Hearing, ReadContext, Services, WriteContext},
    error::{Code, Error, Result},
    gate::{
        authenticate::{self, Authenticated},
        last_use::LastUse,
        rate_limit::{RateLimiter, Remaining},
    },
    measure::MEASURES,
    model::{Caller, Credential, Permission, Resource, Role, UnixMicros},
    spans,
    store::{ReadTx, Store},
};

/// A running haldir: every interface calls operations through it.
#[derive(Clone)]
pub struct Haldir {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// The database file.
    pub(crate) path: std::path::PathBuf,
    pub(crate) store: Store,
    pub(crate) services: Arc<Services>,
    pub(super) limiter: RateLimiter,
    pub(super) last_use: LastUse,
    pub(super) streams: Arc<Places>,
    pub(super) waiting: Waiting,
    /// When writes were last tried, after one had failed.
    pub(super) writes_checked: tokio::sync::Mutex<Option<Instant>>,
}

/// What comes with a call besides its input.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Makes a retry return the first answer.
    pub idempotency_key: Option<String>,
    /// What the interface has heard of the person at the agent's client. It never comes from a caller's input.
    pub hearing: Hearing,
    /// The call is haldir's own, such as that for the session of a client that makes none: no agent has made it.
    pub is_own: bool,
    /// The request that it is part of was counted against the hourly limit already.
    pub is_counted: bool,
}

impl CallOptions {
    /// Of a call that is part of a request which was counted when it came, or on standard input and output, where none is.
    pub fn counted() -> Self {
        Self { is_counted: true, ..Self::default() }
    }
}

/// An operation's answer.
pub struct Reply {
    /// REST status.
    pub status: u16,
    /// JSON.
    pub body: Answer,
}

/// A caller who was let in, and whose call was counted.
pub struct Entered {
    pub(super) caller: Caller,
    pub(super) now: UnixMicros,
    /// What the caller's key has left of the hour, where that is counted.
    pub remaining: Option<Remaining>,
}

impl Entered {
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
        let entered = self.enter_metered(operation, credential, !options.is_own, !options.is_counted).await?;
        self.carry_out(operation, credential, entered, input, options).await
    }

    /// Whether calls are counted against hourly limits.
    pub fn counts_calls(&self) -> bool {
        self.inner.services.settings.rate_limits.is_some()
    }

    /// The first half of a call: who asks, and whether the hour has room for it.
    pub async fn enter(&self, operation: &'static Operation, credential: &Credential) -> Result<Entered> {
        self.enter_metered(operation, credential, true, true).await
    }

    /// As [`Self::enter`], for a call of a request that was counted against the hourly limit already.
    pub(super) async fn enter_counted(
        &self,
        operation: &'static Operation,
        credential: &Credential,
    ) -> Result<Entered> {
        self.enter_metered(operation, credential, true, false).await
    }

    async fn enter_metered(
        &self,
        operation: &'static Operation,
        credential: &Credential,
        of_agent: bool,
        counts: bool,
    ) -> Result<Entered> {
        let now = self.inner.services.clock.now();
        let authenticated = self.inner.store.read(|tx| self.authenticate(tx, operation, credential, of_agent, now))?;
        let remaining = if counts { self.count(&authenticated, now).await? } else { None };
        Ok(Entered { caller: authenticated.caller, now, remaining })
    }

    /// Counts a call that names no operation; answers what a known key has left, where that is counted.
    pub async fn count_call(&self, credential: &Credential) -> Option<Remaining> {
        if !self.counts_calls() {
            return None;
        }
        let now = self.inner.services.clock.now();
        let authenticate = |tx: &dyn ReadTx| authenticate::authenticate(tx, &self.inner.services, credential, now);
        let authenticated = self.inner.store.read(authenticate).ok()?;
        self.count(&authenticated, now).await.ok().flatten()
    }

    /// Counts a request that calls no operation, such as a `ping`, or refuses it: nothing that a known key sends is free.
    pub async fn admit(&self, credential: &Credential) -> Result<()> {
        if !self.counts_calls() {
            return Ok(());
        }
        let now = self.inner.services.clock.now();
        let authenticate = |tx: &dyn ReadTx| authenticate::authenticate(tx, &self.inner.services, credential, now);
        let authenticated = self.inner.store.read(authenticate)?;
        self.count(&authenticated, now).await.map(drop)
    }

    /// Who shows this credential.
    pub fn caller_of(&self, credential: &Credential) -> Result<Caller> {
        let now = self.inner.services.clock.now();
        let services = &self.inner.services;
        Ok(self.inner.store.read(|tx| authenticate::authenticate(tx, services, credential, now))?.caller)
    }

    /// The second half: whether they may, and the work itself.
    pub async fn carry_out(
        &self,
        operation: &'static Operation,
        credential: &Credential,
        entered: Entered,
        input: &str,
        options: CallOptions,
    ) -> Result<Reply> {
        let begun = Instant::now();
        let outcome = self.work(operation, credential, entered, input, options).await;
        measured(operation, begun, outcome, |reply| reply.status)
    }

    async fn work(
        &self,
        operation: &'static Operation,
        credential: &Credential,
        entered: Entered,
        input: &str,
        options: CallOptions,
    ) -> Result<Reply> {
        let Entered { caller, now, .. } = entered;
        self.permit(operation, &caller, input, now).await?;
        if !operation.run.changes() {
            self.inner.store.caught_up().await;
        }
        // What is seldom awaited lies in a place of its own: a call is moved as a whole on its way to where it waits.
        let (status, body) = match operation.run {
            Run::Read(run) => match self.inner.store.read(|tx| self.run_read(tx, run, &caller, input, now)) {
                Ok(body) => (operation.status, body),
                Err(error) => return Err(Box::pin(self.refused(operation, caller, input, error, now)).await?),
            },
            Run::Scan(run) => {
                let (this, owned_input, asking) = (self.clone(), input.to_owned(), caller.clone());
                let work = move |tx: &dyn ReadTx| this.run_read(tx, run, &asking, &owned_input, now);
                match Box::pin(self.inner.store.scan(work)).await {
                    Ok(body) => (operation.status, body),
                    Err(error) => return Err(Box::pin(self.refused(operation, caller, input, error, now)).await?),
                }
            }
            Run::Stream(_) => return Err(Error::internal(format!("{} answers with a stream", operation.name))),
            Run::Wait(look) => {
                (operation.status, Box::pin(self.wait(operation, look, &caller, credential, input)).await?)
            }
            Run::Outward(set_out) => Box::pin(self.call_out(operation, set_out, caller, input, options, now)).await?,
            Run::Write(prepare) => {
                let prepared = prepare(input)?;
                if operation.address_field.is_some() {
                    Box::pin(self.check_address(operation, input)).await?;
                }
                self.write(operation, prepared, caller, input, options, now).await?
            }
        };
        Ok(Reply { status, body })
    }

    /// Looks up where an address in the input leads, which the writer's transaction has no time for.
    pub(super) async fn check_address(&self, operation: &Operation, input: &str) -> Result<()> {
        let Some(field) = operation.address_field else { return Ok(()) };
        let fields: serde_json::Value = serde_json::from_str(input).map_err(Error::internal)?;
        let Some(address) = fields[field].as_str() else { return Ok(()) };
        let outbound = &self.inner.services.settings.outbound;
        outbound.check(&outbound.parse(address)?).await
    }

    /// The hot path: one snapshot for who is asking and for the answer.
    async fn read_at_once(
        &self,
        operation: &'static Operation,
        run: fn(&ReadContext<'_>, &str) -> Result<Answer>,
        credential: &Credential,
        input: &str,
        now: UnixMicros,
    ) -> Result<Reply> {
        // Nobody who is not known makes work for the writer.
        if self.inner.store.is_behind() && self.authenticate_only(credential).is_ok() {
            self.inner.store.caught_up().await;
        }
        let (caller, answer) = self.inner.store.read(|tx| {
            let Authenticated { caller, .. } = self.authenticate(tx, operation, credential, true, now)?;
            let answer = permitted(operation, &caller).and_then(|()| self.run_read(tx, run, &caller, input, now));
            Ok((caller, answer))
        })?;
        match answer {
            Ok(body) => Ok(Reply { status: operation.status, body }),
            Err(error) => Err(Box::pin(self.refused(operation, caller, input, error, now)).await?),
        }
    }

    /// The time, as haldir has it.
    pub fn now(&self) -> UnixMicros {
        self.inner.services.clock.now()
    }

    /// Which addresses haldir may call.
    pub fn outbound(&self) -> &crate::outbound::Outbound {
        &self.inner.services.settings.outbound
    }

    /// Whether the credential is good, without calling anything.
    pub fn authenticate_only(&self, credential: &Credential) -> Result<()> {
        let now = self.inner.services.clock.now();
        self.inner.store.read(|tx| authenticate::authenticate(tx, &self.inner.services, credential, now).map(drop))
    }

    /// Whether an operator shows this credential, who may read what concerns the whole server.
    pub fn authenticate_operator(&self, credential: &Credential) -> Result<()> {
        let now = self.inner.services.clock.now();
        let services = &self.inner.services;
        let caller = self.inner.store.read(|tx| authenticate::authenticate(tx, services, credential, now))?.caller;
        let needed = Permission { resource: Resource::Admin, write: false, role: Role::Operator };
        if caller.role == Role::Operator && caller.may(needed) {
            Ok(())
        } else {
            Err(Error::new(Code::Unauthorized, "an operator's API key with the scope admin:read is required"))
        }
    }

    /// Whether the credential is good, of a call whose input could not even be read: it counts as a call.
    pub fn authenticate_unread(&self, credential: &Credential) -> Result<()> {
        let now = self.inner.services.clock.now();
        let services = &self.inner.services;
        let authenticated = self.inner.store.read(|tx| authenticate::authenticate(tx, services, credential, now))?;
        self.meter(credential, &authenticated, now);
        Ok(())
    }

    fn run_read(
        &self,
        tx: &dyn ReadTx,
        run: fn(&ReadContext<'_>, &str) -> Result<Answer>,
        caller: &Caller,
        input: &str,
        now: UnixMicros,
    ) -> Result<Answer> {
        run(&ReadContext { tx, caller, now, services: &self.inner.services }, input)
    }

    fn authenticate(
        &self,
        tx: &dyn ReadTx,
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

    /// Counts a call for the tenant's usage: of all callers but people, at the terminal of this machine or the dashboard.
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

    /// Leaves the audit entry of a refusal that no transaction of its own has recorded.
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
        self.inner
            .store
            .write(move |tx| {
                let mut cx = WriteContext { tx, caller: &caller, now, services: &services };
                denial::record(&mut cx, operation, &input, &error)?;
                Ok(error)
            })
            .await
    }

    async fn count(&self, authenticated: &Authenticated, now: UnixMicros) -> Result<Option<Remaining>> {
        let (Some(limits), Some(key)) = (self.inner.services.settings.rate_limits, &authenticated.key) else {
            return Ok(None);
        };
        let counted = self.inner.limiter.count(&self.inner.store, limits, key, now).await;
        counted.map(Some).inspect_err(|error| {
            if error.code == Code::RateLimited {
                MEASURES.rate_limited[key.tier as usize].add_one();
            }
        })
    }

    async fn write(
        &self,
        operation: &'static Operation,
        prepared: Prepared,
        caller: Caller,
        input: &str,
        options: CallOptions,
        now: UnixMicros,
    ) -> Result<(u16, Answer)> {
        let repeatable = match options.idempotency_key {
            Some(key) if operation.takes_idempotency_key() => Some(Repeatable::new(operation, &key, input)?),
            _ => None,
        };
        let (services, input) = (Arc::clone(&self.inner.services), input.to_owned());
        let outcome = self.inner.store.write(move |tx| {
            let mut cx = WriteContext { tx, caller: &caller, now, services: &services };
            run_write(&mut cx, operation, prepared, &input, repeatable)
        });
        let (status, answer) = outcome.await??;
        Ok((status, answer()?))
    }
}

/// Runs a writing operation. The inner error is a refusal: it is an answer that was recorded and is committed.
fn run_write(
    cx: &mut WriteContext<'_>,
    operation: &'static Operation,
    prepared: Prepared,
    input: &str,
    repeatable: Option<Repeatable>,
) -> Result<Result<(u16, Unrendered)>> {
    let rendered = |status, body| (status, Box::new(move || Ok(body)) as Unrendered);
    if let Some(earlier) = repeatable.as_ref().map(|call| call.earlier(cx)).transpose()?.flatten() {
        return Ok(earlier.map(|(status, body)| rendered(status, body)));
    }
    match prepared(cx) {
        Ok(answer) => {
            let Some(call) = repeatable else { return Ok(Ok((operation.status, answer))) };
            let body = answer()?;
            call.keep(cx, operation, operation.status, &body)?;
            Ok(Ok(rendered(operation.status, body)))
        }
        Err(error) if error.keeps_changes() => {
            if error.is_refusal() {
                denial::record(cx, operation, input, &error)?;
            }
            // Not kept as the answer to a retry: the same call is to succeed once it is approved.
            Ok(Err(error))
        }
        Err(error) if error.is_refusal() && !cx.caller.is_anonymous() => {
            cx.tx.start_over()?;
            denial::record(cx, operation, input, &error)?;
            if let Some(call) = repeatable {
                call.keep(cx, operation, error.code.status(), &error.body(None))?;
            }
            Ok(Err(error))
        }
        Err(error) => Err(error),
    }
}

/// Counts an answer, and how long it took: of one that is streamed, until it began.
pub(super) fn measured<T>(
    operation: &Operation,
    begun: Instant,
    outcome: Result<T>,
    status: impl FnOnce(&T) -> u16,
) -> Result<T> {
    let status = outcome.as_ref().map_or_else(|error| error.code.status(), status);
    operation.measured.answered(status, begun.elapsed());
    spans::record(operation.name, begun, status, outcome.as_ref().err().map(|error| error.code.name()));
    outcome
}

/// The one check of role and key scope, for all interfaces.
pub(super) fn permitted(operation: &Operation, caller: &Caller) -> Result<()> {
    if caller.is_anonymous() {
        return Ok(()); // Only operations that are open to them come this far, and those decide themselves.
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
