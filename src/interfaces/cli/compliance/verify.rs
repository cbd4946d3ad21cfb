//! `haldir compliance verify`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::json;

use super::super::{
    CommandError, GlobalOptions,
    files::{read_bytes, read_text},
    local::Local,
    output::{line, printable, sentence},
};
use crate::{
    crypto::TrustedKey,
    error::{Code, Error, Result},
    verify::{
        jwks,
        pack::{self as evidence, MAX_PACK_BYTES},
    },
};

#[derive(Args)]
pub struct VerifyOptions {
    /// The pack, in JSON.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A public key to trust, in hexadecimal, in base64 or as name+hash+key. May be repeated. A key with a name is trusted for
    /// packs of its tenant alone. Default: the keys of the local store.
    #[arg(long, visible_alias = "key", value_name = "KEY", value_parser = TrustedKey::parse)]
    public_key: Vec<TrustedKey>,
    /// A file with the keys to trust, as /.well-known/jwks.json serves them.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

pub fn run(options: &VerifyOptions, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    global.require_no_server()?;
    let pack = read_bytes(&options.file, MAX_PACK_BYTES).map_err(|problem| Error::invalid("file", problem))?;
    let mut trusted = options.public_key.clone();
    if let Some(path) = &options.jwks {
        trusted.extend(keys_of(path)?);
    }
    if options.public_key.is_empty() && options.jwks.is_none() {
        let store = Local::open_existing(global).map_err(|error| {
            let message = format!("name the key to trust with --public-key or --jwks ({})", error.message);
            Error::new(Code::InvalidArgument, message).field("public-key")
        })?;
        trusted =
            store.haldir.published_keys()?.into_iter().map(|published| TrustedKey::Plain(published.key)).collect();
    }
    let outcome = evidence::verify(&pack, &trusted);
    let file = printable(&options.file.display().to_string());
    match (&outcome, global.json) {
        (Ok(pack), true) => line(
            &json!({"verified": true, "tenant_id": pack.tenant_id, "period_start": pack.period_start,
                "period_end": pack.period_end, "digest": pack.signatures.digest, "signed_at": pack.signatures.signed_at,
                "period_closed": pack.signatures.period_closed, "key_id": pack.signatures.key_id})
            .to_string(),
        )?,
        (Err(problem), true) => line(&json!({"verified": false, "problem": problem}).to_string())?,
        (Ok(pack), false) => {
            let open = if pack.signatures.period_closed { "" } else { "; the period was not over yet" };
            sentence(&format!(
                "{file} holds: {} from {} to {}, made {}, signed with {}{open}",
                printable(&pack.tenant_id),
                printable(&pack.period_start),
                printable(&pack.period_end),
                printable(&pack.signatures.signed_at),
                pack.signatures.key_id
            ))?;
        }
        (Err(problem), false) => sentence(&format!("{file} does not hold: {}", printable(problem)))?,
    }
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn keys_of(path: &Path) -> Result<Vec<TrustedKey>> {
    let bad = || Error::invalid("jwks", format!("{} holds no JSON Web Key Set with Ed25519 keys", path.display()));
    let text = read_text(path, MAX_PACK_BYTES).map_err(|problem| Error::invalid("jwks", problem))?;
    let keys = jwks::keys(&text).ok_or_else(bad)?;
    Ok(keys.into_iter().map(TrustedKey::Plain).collect())
}
