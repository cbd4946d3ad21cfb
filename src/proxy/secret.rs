//! Injects secrets: `{{secret:NAME}}` is replaced by the value, for upstreams that the secret allows.

use std::sync::Arc;

use serde_json::json;
use zeroize::Zeroizing;

use super::trace::Trace;
use crate::{
    call::{ReadContext, Services, TenantKeys, WriteContext, session},
    error::{Code, Error, Result},
    model::{
        Caller, Role, SecretName, SecretVersion, Session, StoredSecret, TenantId, UpstreamName,
        secret_placeholder::{CLOSE, OPEN, names},
    },
    redact::{Audience, Known, Learnt, Secret},
    store::ReadTx,
    vault::sealing::{self, Plaintext},
    watch::{self, Draft, Event},
};

const STEP: &str = "secrets";

/// A value to send, with its name.
struct Sent {
    name: SecretName,
    value: Plaintext,
    version: SecretVersion,
    stored_by: String,
}

impl Sent {
    fn open(keys: &TenantKeys, tenant: &TenantId, secret: StoredSecret) -> Result<Self> {
        let value = sealing::open(keys, tenant, &secret)?;
        let StoredSecret { name, version, created_at, stored_by, .. } = secret;
        let version = SecretVersion { name: name.clone(), version, created_at };
        Ok(Self { name, value, version, stored_by })
    }

    fn learnt(&self) -> Learnt {
        Learnt {
            secret: Secret { name: self.name.to_string(), value: Zeroizing::new(self.value.expose().to_owned()) },
            version: self.version.clone(),
            stored_by: self.stored_by.clone(),
        }
    }
}

fn denied(message: impl Into<String>) -> Error {
    Error::new(Code::SecretDenied, message).field("arguments")
}

/// The secret, if it may go to this upstream.
fn allowed(tx: &ReadTx, tenant: &TenantId, upstream: &UpstreamName, name: &SecretName) -> Result<StoredSecret> {
    let secret = tx.secret(tenant, name)?.filter(|secret| secret.upstreams.contains(upstream));
    // One message for both cases, so that it does not reveal which names exist.
    secret.ok_or_else(|| {
        denied(format!("there is no secret {name} that may go to the upstream {upstream}: store it with upstreams"))
    })
}

fn filled(text: &str, sent: &[Sent], write: impl Fn(&str) -> String) -> Zeroizing<String> {
    let mut filled = Zeroizing::new(String::with_capacity(text.len() + 256));
    let mut pieces = text.split(OPEN);
    filled.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (name, rest) = piece.split_once(CLOSE).unwrap_or((piece, ""));
        if let Some(found) = sent.iter().find(|sent| sent.name.as_str() == name) {
            filled.push_str(&Zeroizing::new(write(found.value.expose())));
        }
        filled.push_str(rest);
    }
    filled
}

/// The value as within a JSON string.
fn escaped(value: &str) -> String {
    let quoted = Zeroizing::new(serde_json::Value::from(value).to_string());
    quoted[1..quoted.len() - 1].to_owned()
}

/// Fills secrets into canonical arguments, with an audit entry for each name. From now on the upstream can have them.
pub(super) fn fill(
    cx: &mut WriteContext<'_>,
    session: &Session,
    upstream: &UpstreamName,
    arguments: &str,
    trace: &mut Trace,
) -> Result<Zeroizing<String>> {
    let opened = opened(cx, session, upstream, arguments);
    let sent = opened.inspect_err(|error| trace.stop(STEP, "upstreams", json!({"reason": error.message})))?;
    for one in &sent {
        let details = json!({"name": one.name, "upstream": upstream});
        let draft = Draft::governance("secret.inject", Some(session), &details)?;
        watch::append(cx, Draft { event: Event::SecretRead, ..draft })?;
    }
    trace.pass(STEP, json!({"injected": sent.iter().map(|one| &one.name).collect::<Vec<_>>()}));
    cx.services.known_secrets.of(&cx.caller.tenant, upstream).learn(sent.iter().map(Sent::learnt));
    Ok(filled(arguments, &sent, escaped))
}

/// Canonical arguments as they would be sent. Nothing is written.
pub(super) fn as_sent(
    cx: &WriteContext<'_>,
    session: &Session,
    upstream: &UpstreamName,
    arguments: &str,
    trace: &mut Trace,
) -> Result<Zeroizing<String>> {
    let opened = opened(cx, session, upstream, arguments);
    let sent = opened.inspect_err(|error| trace.stop(STEP, "upstreams", json!({"reason": error.message})))?;
    Ok(filled(arguments, &sent, escaped))
}

fn opened(cx: &WriteContext<'_>, session: &Session, upstream: &UpstreamName, text: &str) -> Result<Vec<Sent>> {
    let tenant = &cx.caller.tenant;
    let open = |name: SecretName| {
        let secret = allowed(cx.tx, tenant, upstream, &name)?;
        session::require_scope(session, &secret.scope_required)?;
        Sent::open(&*cx.keys()?, tenant, secret)
    };
    names(text)?.into_iter().map(open).collect()
}

/// A header's value with its secrets. From now on the upstream can have them.
pub(crate) fn fill_header(
    cx: &ReadContext<'_>,
    keys: &TenantKeys,
    upstream: &UpstreamName,
    value: &str,
) -> Result<Zeroizing<String>> {
    let tenant = &cx.caller.tenant;
    let open = |name: SecretName| {
        let secret = allowed(cx.tx, tenant, upstream, &name)?;
        Sent::open(keys, tenant, secret)
    };
    let sent: Vec<Sent> = names(value)?.into_iter().map(open).collect::<Result<_>>()?;
    cx.services.known_secrets.of(tenant, upstream).learn(sent.iter().map(Sent::learnt));
    Ok(filled(value, &sent, str::to_owned))
}

/// Every value that this upstream can have received, to redact for this caller: those that it may be sent now, those that it
/// could be sent before they were replaced, narrowed or deleted, and those that this process has sent.
pub(crate) fn known(cx: &ReadContext<'_>, upstream: &UpstreamName) -> Result<Arc<Known>> {
    let tenant = &cx.caller.tenant;
    let sent = cx.services.known_secrets.of(tenant, upstream);
    let known = for_caller(cx.services, cx.caller, upstream);
    let stored = cx.tx.secrets_for(tenant, upstream)?;
    if sent.has_stored(&stored) {
        return Ok(known);
    }
    let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
    let mut opened = Vec::new();
    for version in sent.unknown(&stored) {
        let Some(secret) = cx.tx.secret_version(tenant, &version)? else { continue };
        // A value that does not open cannot be sent either: a call that names it gets the error.
        if let Ok(value) = Sent::open(&keys, tenant, secret) {
            opened.push(value.learnt());
        }
    }
    sent.learn_stored(opened, stored);
    Ok(known)
}

/// The known values of this upstream's secrets, to redact for this caller.
pub(super) fn for_caller(services: &Services, caller: &Caller, upstream: &UpstreamName) -> Arc<Known> {
    let audience = match caller.role {
        Role::Operator => Audience::Everyone,
        Role::Agent => Audience::Agent(caller.principal.clone()),
    };
    Arc::new(Known::new(services.known_secrets.of(&caller.tenant, upstream), audience))
}
