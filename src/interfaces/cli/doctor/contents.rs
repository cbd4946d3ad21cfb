//! Checks of the store's contents: the database, its schema, its key, its API keys, and the audit log.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    super::{
        GlobalOptions,
        files::shell_word,
        migrate::Standing,
        progress::{Progress, Unit},
    },
    Check, files,
};
use crate::{
    call::{Keyring, ReadContext, Services},
    config::{CeilingOptions, KeySource, StoreOptions},
    error::{Error, Result},
    gate::authenticate::is_live,
    model::{Caller, Ceilings, Clock, Role, TenantId, Tier, UnixMicros, time::SystemClock},
    store::{ReadTx, Webhook, WebhookState, copying, sqlite::Inspection},
    watch::{ahead_of_clock::MAX_SECONDS, verify_audit_trail::Verification},
    webhooks::DEAD_AFTER,
};

/// Keys that are counted; no store has more.
const MAX_KEYS: usize = 100_000;

const RESTORE: &str = "restore the database from a backup";

pub(super) fn examine(global: &GlobalOptions, path: &Path) -> Vec<Check> {
    let mut inspection = match Inspection::open(path) {
        Ok(inspection) => inspection,
        Err(error) => return vec![Check::fail("database", error, "restore it from a backup, or choose another path")],
    };
    let progress = Progress::new(global, "SQLite's quick check", Unit::Unknown);
    let problems = inspection.problems();
    drop(progress);
    let mut checks = vec![match problems.first() {
        Some(first) => Check::fail("database", format!("damaged, {} problems: {first}", problems.len()), RESTORE),
        None => Check::ok("database", "opens, and SQLite's quick check finds no damage"),
    }];
    let (migrations, is_current) = migrations(&mut inspection);
    checks.push(migrations);
    if is_current && inspection.read(copying::is_unfinished).is_ok_and(|is_unfinished| is_unfinished) {
        let detail = "the store is the target of a copy that has not ended";
        checks.push(Check::fail("copy", detail, "run the same `haldir migrate copy` again"));
        return checks;
    }
    let (key, services) = encryption_key(global, is_current.then_some(&inspection));
    checks.push(key);
    if is_current {
        checks.push(schema(&inspection));
        let found = inspection.read(|tx| Ok(webhooks(tx, &global.tenant)?));
        checks.extend(found.unwrap_or_else(|error| Some(unreadable("webhooks", &error))));
        let found = inspection.read(|tx| Ok(clock(tx, &global.tenant)?));
        checks.extend(found.unwrap_or_else(|error| Some(unreadable("clock", &error))));
    }
    if !is_current {
        checks.push(Check::warn("audit log", "not checked: the schema is not this build's", "see migrations"));
        return checks;
    }
    checks.push(
        inspection.read(|tx| Ok(api_keys(tx, &global.tenant)?)).unwrap_or_else(|error| unreadable("API keys", &error)),
    );
    checks.push(match services {
        Some(services) => inspection
            .read(|tx| Ok(audit_log(tx, &services, global)?))
            .unwrap_or_else(|error| unreadable("audit log", &error)),
        None => Check::warn("audit log", "not checked: that needs the encryption key", "see encryption key"),
    });
    checks
}

fn unreadable(name: &'static str, error: &Error) -> Check {
    Check::fail(
        name,
        format!("cannot be read: {error}"),
        format!("run with HALDIR_LOG=error for the reason; {RESTORE}"),
    )
}

/// The check, and whether the schema is the one this build works with.
fn migrations(inspection: &mut Inspection) -> (Check, bool) {
    let standing = match Standing::of(inspection) {
        Ok(standing) => standing,
        Err(error) => return (unreadable("migrations", &error), false),
    };
    match (standing.problem(), standing.pending()) {
        (Some((detail, remedy)), _) => (Check::fail("migrations", detail, remedy), false),
        (None, 0) => (Check::ok("migrations", "all applied, every checksum matches"), true),
        (None, pending) => {
            (Check::warn("migrations", format!("{pending} pending"), "apply with `haldir migrate up`"), false)
        }
    }
}

/// Whether the schema has anything that haldir did not create: a trigger could change writes unnoticed.
fn schema(inspection: &Inspection) -> Check {
    match inspection.foreign_schema() {
        Ok(found) if found.is_empty() => Check::ok("schema", "just what this build's migrations make"),
        Ok(found) => {
            let remedy = "keep this database as evidence, find out who changed it, and restore a backup";
            Check::fail("schema", format!("it was changed outside haldir: {}", found.join(", ")), remedy)
        }
        Err(error) => unreadable("schema", &error),
    }
}

/// Whether receivers accept deliveries.
fn webhooks(tx: &ReadTx, tenant: &TenantId) -> Result<Option<Check>> {
    let is_dead = |webhook: &Webhook| webhook.failures >= DEAD_AFTER || webhook.state == WebhookState::Disabled;
    let dead: Vec<Webhook> = tx.webhooks(tenant)?.into_iter().filter(is_dead).collect();
    let Some(first) = dead.first() else { return Ok(None) };
    let waiting: i64 = dead.iter().map(|webhook| webhook.waiting).sum();
    let detail = format!(
        "{} take nothing, and {waiting} events wait for them; number {} has failed {} times in a row",
        dead.len(),
        first.id,
        first.failures
    );
    let remedy = "see `haldir webhooks deliveries`; delete a webhook that is not needed any more";
    Ok(Some(Check::warn("webhooks", detail, remedy)))
}

/// Whether the log is ahead of the clock: the times of entries never go back, so new ones bear that of the last one.
fn clock(tx: &ReadTx, tenant: &TenantId) -> Result<Option<Check>> {
    let (now, Some(head)) = (SystemClock.now(), tx.head(tenant)?) else { return Ok(None) };
    let ahead = head.at.seconds_since(now);
    Ok((ahead > MAX_SECONDS).then(|| {
        let detail = format!("the last entry is of {}, {ahead} s ahead of this machine's clock", head.at.to_rfc3339());
        Check::warn("clock", detail, "set the clock; until it has passed that time, new entries bear it")
    }))
}

/// The check, and what works with the key if it is the store's own. Without a readable store the key is looked at
/// alone.
fn encryption_key(global: &GlobalOptions, inspection: Option<&Inspection>) -> (Check, Option<Services>) {
    const NAME: &str = "encryption key";
    let (source, key) = match global.store.find_key() {
        Ok(Some(found)) => found,
        Ok(None) => {
            let file = global.store.key_file().map(|path| shell_word(&path.display().to_string())).unwrap_or_default();
            let remedy = format!("put {file} back from a backup, or set HALDIR_ENCRYPTION_KEY to the key in it");
            return (Check::fail(NAME, "there is none, and the store cannot be opened without it", remedy), None);
        }
        Err(error) => {
            let remedy = "the key is 32 bytes as base64, in a file of mode 600 or in HALDIR_ENCRYPTION_KEY";
            return (Check::fail(NAME, error, remedy), None);
        }
    };
    let keyring = Keyring::new(&key);
    match inspection.map(|inspection| inspection.read(|tx| Ok(keyring.check_existing(tx)?))) {
        Some(Err(error)) => (Check::fail(NAME, error, "the key that fits is the one from the store's first use"), None),
        Some(Ok(())) => {
            let check = match &source {
                KeySource::File(path) if files::is_for_group(path) => {
                    let detail = format!("{source} is this store's, and its group can read it");
                    Check::warn(
                        NAME,
                        detail,
                        "right for a secret that was mounted for a group; else run chmod 600 on it",
                    )
                }
                KeySource::File(_) => {
                    Check::ok(NAME, format!("{source} (mode 600) is this store's; keep a copy elsewhere"))
                }
                KeySource::Variable => Check::ok(NAME, format!("{source} is this store's; keep a copy elsewhere")),
            };
            (check, services(keyring).ok())
        }
        None => (Check::ok(NAME, format!("{source} holds a key; whether it fits was not checked")), None),
    }
}

fn services(keyring: Keyring) -> Result<Services> {
    // Default settings: verification works also where the config file cannot be read.
    let settings = StoreOptions::default().settings(&CeilingOptions::default())?;
    Ok(Services::new(keyring, Arc::new(SystemClock), settings))
}

fn api_keys(tx: &ReadTx, tenant: &TenantId) -> Result<Check> {
    let keys = tx.api_keys(tenant, None, MAX_KEYS)?;
    let now = SystemClock.now();
    let live: Vec<_> = keys.iter().filter(|key| is_live(key, now)).collect();
    let operators = live.iter().filter(|key| key.role == Role::Operator).count();
    Ok(match keys.len() {
        0 => Check::ok("API keys", "none: agents on this machine need none; `haldir keys create` makes the first"),
        all => {
            Check::ok("API keys", format!("{all}, of which {} live, {operators} of these an operator's", live.len()))
        }
    })
}

/// Runs `verifyAuditTrail` on the snapshot, so that not even an opened store is needed.
fn audit_log(tx: &ReadTx, services: &Services, global: &GlobalOptions) -> Result<Check> {
    const NAME: &str = "audit log";
    let tenant = &global.tenant;
    if tx.wrapped_data_key(tenant)?.is_none() {
        return Ok(Check::fail(NAME, format!("there is no tenant {tenant}"), "leave --tenant out for the store's own"));
    }
    let caller = Caller {
        tenant: tenant.clone(),
        principal: "operator".to_owned(),
        role: Role::Operator,
        permissions: vec!["*".to_owned()],
        ceilings: Ceilings::NONE,
        tier: Tier::Enterprise,
        expires_at: None,
        is_key: false,
    };
    let now: UnixMicros = services.clock.now();
    let (total, counted) = (tx.head(tenant)?.map_or(0, |head| head.seq.unsigned_abs()), Arc::new(AtomicU64::new(0)));
    let told = Arc::clone(&counted);
    let measure = move || Some((told.load(Ordering::Relaxed), total));
    let progress = Progress::measured(global, "verifying", Unit::Count, measure);
    let found = Verification::counted(&ReadContext { tx, caller: &caller, now, services }, Some(&counted))?;
    drop(progress);
    if found.is_verified() {
        return Ok(Check::ok(NAME, format!("{} entries, all verified", found.entries_checked())));
    }
    let remedy = "keep this database as evidence, find out who changed it, and restore a backup";
    Ok(Check::fail(NAME, format!("the log was changed: {}", found.message()), remedy))
}
