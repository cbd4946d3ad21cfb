//! A demonstration: a small log, altered as an attacker with write access to the database would, and what each check finds.

use std::{fs, path::Path, sync::Arc};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    call::{Keyring, Settings},
    crypto::{Hash, Key, Verifier},
    error::{Error, Result},
    model::{Credential, TenantId, time::SystemClock},
    operations::{self, CallOptions, Haldir},
    store::{Store, sqlite::tampering},
    verify::{
        pin::Pin,
        witness::{Witness, request},
    },
    watch::{chain, tree::Tree},
};

/// An alteration of the log, and the checks that detect it.
#[derive(Debug, Serialize)]
pub struct Tampering {
    /// What the attacker did.
    pub what: &'static str,
    /// What verification of the store reports; `None` if it detects nothing.
    pub verification: Option<String>,
    /// What the holder of a pinned checkpoint finds.
    pub pin: Option<String>,
    /// What a witness answers to the next checkpoint.
    pub witness: Option<String>,
}

impl Tampering {
    /// Whether any check detected it.
    pub fn is_caught(&self) -> bool {
        self.verification.is_some() || self.pin.is_some() || self.witness.is_some()
    }
}

const UNTOUCHED: &str = "nothing";
const STOLEN_KEY: &str =
    "steal the master key too, and write a whole new log: every hash, the tree, the head and its signatures right";

/// Runs the demonstration in `folder`, which must be empty. Returns what was found: first for the untouched log, then for each
/// alteration.
pub async fn tamper(folder: &Path, settings: impl Fn() -> Result<Settings>) -> Result<Vec<Tampering>> {
    let key = Key::generate().map_err(Error::internal)?;
    let original = folder.join("log.db");
    let haldir = open(&original, &key, settings()?).await?;
    fill(&haldir, "invoice", 12).await?;
    let kept = checkpoint(&haldir)?;
    let verifier = verifier(&haldir)?;
    let pin = Pin::new(&kept, vec![verifier.to_string()]).map_err(Error::internal)?;
    let witness = Witness::open(&folder.join("witness"), "witness.example", vec![verifier])?;
    witness.add_checkpoint(&request(0, &[], &kept), 0)?;
    haldir.close();
    drop(haldir);
    let mut found = Vec::new();
    for (number, (what, sql)) in [(UNTOUCHED, "")].into_iter().chain(tampering::BY_HAND).enumerate() {
        let altered = folder.join(format!("altered-{number}.db"));
        fs::copy(&original, &altered).map_err(Error::internal)?;
        tampering::run(&altered, sql)?;
        found.push(examine(what, &altered, &key, settings()?, &pin, &witness).await?);
    }
    let rewritten = folder.join("rewritten.db");
    fs::copy(&original, &rewritten).map_err(Error::internal)?;
    rewrite(&rewritten, &key, settings()?).await?;
    found.push(examine(STOLEN_KEY, &rewritten, &key, settings()?, &pin, &witness).await?);
    Ok(found)
}

async fn open(path: &Path, key: &Key, settings: Settings) -> Result<Haldir> {
    Haldir::open(path, key, settings, Arc::new(SystemClock)).await
}

async fn fill(haldir: &Haldir, word: &str, entries: usize) -> Result<()> {
    let session = call(haldir, "createSession", &json!({"agent_id": "buyer", "scopes": ["read"]})).await?;
    for number in 2..=entries {
        let details = json!({"paid": format!("{word} {number}")});
        let input = json!({
            "session_id": session["session_id"], "tool": "shop", "action": "buy", "cost_usd": number, "details": details,
        });
        call(haldir, "logAction", &input).await?;
    }
    Ok(())
}

async fn call(haldir: &Haldir, name: &str, input: &Value) -> Result<Value> {
    let operation = operations::named(name).ok_or_else(|| Error::internal(format!("no operation {name}")))?;
    let operator = Credential::LocalOperator(TenantId::local());
    let reply = haldir.call(operation, &operator, &input.to_string(), CallOptions::default()).await?;
    serde_json::from_str(&reply.body).map_err(Error::internal)
}

/// The attacker has the master key, so that the new log carries genuine hashes and signatures.
async fn rewrite(path: &Path, key: &Key, settings: Settings) -> Result<()> {
    tampering::run(path, tampering::EMPTY_LOG)?;
    let store = Store::open(path)?;
    let keyring = Keyring::new(key);
    store
        .write(&TenantId::local(), move |tx| {
            let keys = keyring.tenant(tx, &TenantId::local())?;
            chain::begin(tx, &keys, &TenantId::local(), crate::model::UnixMicros(0))
        })
        .await?;
    store.close();
    drop(store);
    let haldir = open(path, key, settings).await?;
    fill(&haldir, "nothing worth mentioning", 15).await?;
    haldir.close();
    Ok(())
}

async fn examine(
    what: &'static str,
    path: &Path,
    key: &Key,
    settings: Settings,
    pin: &Pin,
    witness: &Witness,
) -> Result<Tampering> {
    let haldir = open(path, key, settings).await?;
    let report = haldir.verify_log(&TenantId::local(), 1, &mut |_, _| {})?;
    let verification = (!report.is_verified()).then(|| report.message().to_owned());
    let (pin, witness) = outside(&haldir, pin, witness)?;
    haldir.close();
    Ok(Tampering { what, verification, pin, witness })
}

/// What the holder of a pin and a witness find, which see only checkpoints and proofs.
fn outside(haldir: &Haldir, pin: &Pin, witness: &Witness) -> Result<(Option<String>, Option<String>)> {
    let none = || Some("haldir itself gives no checkpoint of an altered head".to_owned());
    let Ok(checkpoint) = checkpoint(haldir) else { return Ok((none(), none())) };
    let pinned = pin.open().map_err(Error::internal)?;
    let proof = proof(haldir, pinned.checkpoint.size).unwrap_or_default();
    let checked = pinned.read(&checkpoint).and_then(|next| pinned.check(&next, &proof));
    let answer = witness.add_checkpoint(&request(pinned.checkpoint.size, &proof, &checkpoint), 0)?;
    let refused = (answer.status != 200).then(|| format!("refuses to sign: {} {}", answer.status, answer.body.trim()));
    Ok((checked.err(), refused))
}

/// The local log's checkpoint.
fn checkpoint(haldir: &Haldir) -> Result<String> {
    let (services, tenant) = (&haldir.inner.services, TenantId::local());
    haldir.inner.store.read(|tx| {
        let log = Tree::open(tx, &services.keyring, &tenant)?;
        haldir.sign_checkpoint(tx, &tenant, &log).map(|(_, checkpoint)| checkpoint)
    })
}

/// The verifier of the local log's checkpoints.
fn verifier(haldir: &Haldir) -> Result<Verifier> {
    let origin = haldir.log_origin(&TenantId::local())?;
    let keys = haldir.inner.store.read(|tx| haldir.inner.services.keyring.signing_keys(tx))?;
    Ok(Verifier::of_log(&origin, keys.current().public()))
}

/// The proof that the local log begins with its first `size` entries.
fn proof(haldir: &Haldir, size: u64) -> Result<Vec<Hash>> {
    let tenant = TenantId::local();
    haldir.inner.store.read(|tx| {
        let mut log = Tree::open(tx, &haldir.inner.services.keyring, &tenant)?;
        let second = log.size();
        Ok(log.consistency(size.min(second), second)?.path)
    })
}
