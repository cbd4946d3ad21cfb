//! Copies of checkpoints in places from which neither this server nor an attacker with write access to its store can remove
//! them.
//!
//! At intervals the server copies the checkpoint of every log that has grown to each of its mirrors. A log that does not begin
//! with what was mirrored of it is not mirrored again: the copy would attest a forgery.

mod git;

use std::{
    collections::HashMap,
    fmt,
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, Url};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    crypto::Hash,
    error::{Code, Error, Result},
    model::TenantId,
    operations::Haldir,
    outbound::Outbound,
    watch::tree::Tree,
};

/// The default interval.
pub const DEFAULT_EVERY: Duration = Duration::from_secs(300);
/// How long an HTTP mirror may take to respond.
const HTTP_TIMEOUT: Duration = Duration::from_secs(15);

/// Where checkpoints are copied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// Appended to this file, a JSON object a line.
    File(PathBuf),
    /// Committed to the git repository in this folder, a file for each log.
    Git(PathBuf),
    /// Posted to this address, as the signed note that it is.
    Http(String),
}

impl Mirror {
    /// Reads `file:PATH`, `git:FOLDER` or an address.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("git", path)) if !path.is_empty() => Ok(Self::Git(path.into())),
            Some(("http" | "https", _)) => Ok(Self::Http(text.to_owned())),
            _ => Err("expected file:PATH, git:FOLDER, or an http or https address".to_owned()),
        }
    }
}

impl fmt::Display for Mirror {
    /// Without the path and query of an address: they may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Git(path) => write!(f, "git:{}", path.display()),
            Self::Http(address) => match Url::parse(address) {
                Ok(url) => write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
                Err(_) => f.write_str("an address that cannot be read"),
            },
        }
    }
}

/// A checkpoint to copy.
struct CheckpointCopy {
    origin: String,
    size: u64,
    root: Hash,
    note: String,
    mirrored_at: String,
}

/// A mirror, and what it has.
struct MirrorState {
    mirror: Mirror,
    /// Size and root of each log as this process has last copied it.
    has: HashMap<TenantId, (u64, Hash)>,
}

impl Haldir {
    /// Copies checkpoints to all `mirrors`, now and at the interval `every`, until `stop`.
    pub async fn mirror_checkpoints(self, mirrors: Vec<Mirror>, every: Duration, stop: CancellationToken) {
        let mut states: Vec<MirrorState> =
            mirrors.into_iter().map(|mirror| MirrorState { mirror, has: HashMap::new() }).collect();
        while !states.is_empty() {
            for state in &mut states {
                let outcome = tokio::select! {
                    () = stop.cancelled() => return,
                    outcome = self.mirror_logs(state) => outcome,
                };
                if let Err(error) = outcome {
                    tracing::error!(%error, mirror = %state.mirror, "checkpoints could not be mirrored");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    async fn mirror_logs(&self, state: &mut MirrorState) -> Result<()> {
        let mut after = String::new();
        loop {
            let logs = self.next_logs(&mut after)?;
            if logs.is_empty() {
                return Ok(());
            }
            for tenant in logs {
                match self.next_checkpoint(&tenant, state.has.get(&tenant)) {
                    Ok(None) => {}
                    Ok(Some(next)) => {
                        let has = (next.size, next.root);
                        // A mirror that does not answer would not answer for the next log either.
                        self.copy(&state.mirror, next).await?;
                        state.has.insert(tenant, has);
                    }
                    Err(error) => {
                        tracing::error!(%error, %tenant, mirror = %state.mirror, "the log is not mirrored");
                    }
                }
            }
        }
    }

    /// The log's checkpoint, if it has grown since.
    fn next_checkpoint(&self, tenant: &TenantId, has: Option<&(u64, Hash)>) -> Result<Option<CheckpointCopy>> {
        let services = &self.inner.services;
        self.inner.store.read(|tx| {
            let mut log = Tree::open(tx, &services.keyring, tenant)?;
            match has {
                Some((size, root)) if *size > log.size() || log.root_at(*size)? != *root => {
                    return Err(failed("the log does not begin with what was mirrored of it: it was rewritten"));
                }
                Some((size, _)) if *size == log.size() => return Ok(None),
                None if log.size() == 0 => return Ok(None),
                _ => {}
            }
            let (origin, note) = self.sign_checkpoint(tx, tenant, &log)?;
            let mirrored_at = services.clock.now().to_rfc3339();
            Ok(Some(CheckpointCopy { origin, size: log.size(), root: log.root(), note, mirrored_at }))
        })
    }

    async fn copy(&self, mirror: &Mirror, next: CheckpointCopy) -> Result<()> {
        let blocking = |work: Box<dyn FnOnce() -> Result<()> + Send>| async {
            tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
        };
        match mirror.clone() {
            Mirror::Http(address) => post(&self.inner.services.settings.outbound, &address, next.note).await,
            Mirror::Git(folder) => blocking(Box::new(move || git::commit(&folder, &next))).await,
            Mirror::File(path) => blocking(Box::new(move || append(&path, &next).map_err(failed))).await,
        }
    }
}

/// A failed copy; the error appears in the server's own log only.
fn failed(why: impl fmt::Display) -> Error {
    Error::new(Code::Unavailable, why.to_string())
}

fn append(path: &Path, next: &CheckpointCopy) -> io::Result<()> {
    let line = json!({
        "origin": next.origin, "tree_size": next.size, "checkpoint": next.note, "mirrored_at": next.mirrored_at,
    });
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    // One write: several servers may append to one file.
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

async fn post(outbound: &Outbound, address: &str, note: String) -> Result<()> {
    let url = outbound.parse(address)?;
    outbound.check_form(&url)?;
    let client: Client = outbound.client(HTTP_TIMEOUT)?;
    let request = client.post(url).header("content-type", "text/plain; charset=utf-8").body(note);
    // Without the address, which may hold a secret.
    let answer = request.send().await.map_err(|error| failed(error.without_url()))?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(failed(format!("the archiver answered with status {}", answer.status().as_u16())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_named_without_what_may_be_secret() {
        let shown = |text: &str| Mirror::parse(text).map(|mirror| mirror.to_string());
        assert_eq!(shown("https://user:pass@state.example/x?token=1"), Ok("https://state.example".to_owned()));
        assert_eq!(shown("git:/srv/log"), Ok("git:/srv/log".to_owned()));
        assert_eq!(shown("file:a.jsonl"), Ok("file:a.jsonl".to_owned()));
        for bad in ["", "git:", "file:", "ftp://x", "/srv/log"] {
            assert!(shown(bad).is_err(), "{bad}");
        }
    }
}
