//! `haldir backup`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    files::{Unfinished, beside, sync_folder, unwritable, write_new},
    local::{require, runtime},
    output::line,
    progress::{Progress, Unit},
};
use crate::{
    config::{CeilingOptions, write_key_to},
    crypto::Key,
    error::{Code, Error, Result},
    jobs::store_copy::{self, LogHead},
    model::{Clock, time::SystemClock},
    operations::Haldir,
};

/// The version of the backup format.
pub const FORMAT: u32 = 1;
/// The files of a backup.
pub const DATABASE: &str = "haldir.db";
pub const MANIFEST: &str = "manifest.json";
pub const KEY: &str = "haldir.db.key";

#[derive(Args)]
pub struct BackupOptions {
    /// The folder to make. It must not exist.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Put the encryption key beside the copy. A reader of the folder can then read all secrets.
    #[arg(long)]
    with_key: bool,
}

/// The manifest of a backup.
#[derive(Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format_version: u32,
    /// The program that made it.
    pub haldir: String,
    /// When it was made, by RFC 3339.
    pub made_at: String,
    /// Bytes of the database.
    pub bytes: u64,
    /// SHA-256 of the database, in hexadecimal.
    pub sha256: String,
    /// Whether the encryption key is in it.
    pub with_key: bool,
    /// How far each log reaches.
    pub logs: Vec<LogHead>,
}

pub fn run(options: &BackupOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let path = global.store.path()?;
    require(&path)?;
    let Some((_, key)) = global.store.find_key()? else {
        let message = "there is no encryption key, and a copy cannot be verified without";
        return Err(Error::new(Code::Unavailable, message).into());
    };
    if options.folder.exists() {
        let message = format!("{} exists already: name a folder that does not", options.folder.display());
        return Err(Error::new(Code::Conflict, message).field("folder").into());
    }
    // Under another name until it is whole, so that an operator does not take a part for a backup.
    let part = beside(&options.folder, ".part");
    let unfinished = Unfinished::folder(&part).map_err(|error| unusable(&part, &error))?;
    let Manifest { bytes, sha256, with_key, logs, .. } = fill(global, &path, &part, &key, options.with_key)?;
    fs::rename(&part, &options.folder).map_err(|error| unusable(&options.folder, &error))?;
    unfinished.keep();
    let (count, entries) = (logs.len(), logs.iter().map(|log| log.tree_size).sum::<u64>());
    if global.json {
        let answer = json!({
            "folder": options.folder, "bytes": bytes, "sha256": sha256, "logs": count, "entries": entries,
            "with_key": with_key, "verified": true,
        });
        return line(&answer.to_string());
    }
    line(&format!("{}: {bytes} bytes, {entries} entries in {count} logs, verified", options.folder.display()))?;
    if with_key { Ok(()) } else { line("The encryption key is not in it: keep a copy of that elsewhere.") }
}

fn fill(global: &GlobalOptions, path: &Path, part: &Path, key: &Key, with_key: bool) -> Result<Manifest> {
    let database = part.join(DATABASE);
    let copying = copying(global, path, &database);
    store_copy::copy(path, &database)?;
    drop(copying);
    let haldir = open(global, &database, key)?;
    let logs = verified(&haldir, global)?;
    haldir.close();
    drop(haldir);
    // Moves what verification left in the write-ahead log into the database file.
    store_copy::require_alone(&database)?;
    let bytes = fs::metadata(&database).map_err(|error| unusable(&database, &error))?.len();
    let manifest = Manifest {
        format_version: FORMAT,
        haldir: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: SystemClock.now().to_rfc3339(),
        bytes,
        sha256: digest(global, &database)?,
        with_key,
        logs,
    };
    if with_key {
        let file = part.join(KEY);
        write_key_to(&file, key).map_err(|error| unusable(&file, &error))?;
    }
    let text = serde_json::to_string_pretty(&manifest).map_err(Error::internal)?;
    let file = part.join(MANIFEST);
    write_new(&file, text.as_bytes()).map_err(|error| unusable(&file, &error))?;
    sync_folder(part).map_err(|error| unusable(part, &error))?;
    Ok(manifest)
}

/// Opens a copy with this key.
pub fn open(global: &GlobalOptions, database: &Path, key: &Key) -> Result<Haldir> {
    let settings = global.store.settings(&CeilingOptions::default())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    runtime()?.block_on(Haldir::open(database, key, settings, clock))
}

/// The bar of a file that is copied, by the size of the copy.
pub fn copying(global: &GlobalOptions, from: &Path, to: &Path) -> Progress {
    let (from, to) = (from.to_owned(), to.to_owned());
    let size = |path: &Path| path.metadata().map(|file| file.len()).ok();
    Progress::measured(global, "copying", Unit::Bytes, move || Some((size(&to)?, size(&from)?)))
}

/// The digest of a database, with a bar.
pub fn digest(global: &GlobalOptions, database: &Path) -> Result<String> {
    let progress = Progress::new(global, "computing the digest", Unit::Bytes);
    store_copy::digest_of(database, &mut |done, total| progress.at(done, total))
}

/// Verifies every log; returns how far each reaches.
pub fn verified(haldir: &Haldir, global: &GlobalOptions) -> Result<Vec<LogHead>> {
    let logs = haldir.log_heads()?;
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let progress = Progress::new(global, "verifying", Unit::Count);
    let (mut before, total) = (0, logs.iter().map(|log| log.tree_size).sum());
    for log in &logs {
        let mut at = |done: i64, _| progress.at(before + done.unsigned_abs(), total);
        let found = haldir.verify_log(&log.tenant, threads, &mut at)?;
        before += log.tree_size;
        if !found.is_verified() {
            let message = format!("the log of {} is not what it was: {}", log.tenant, found.message());
            return Err(Error::new(Code::Conflict, message));
        }
    }
    Ok(logs)
}

/// The error for a path in the backup's or the store's folder that cannot be written.
pub fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error { code: Code::Unavailable, ..unwritable("folder", path, error) }
}
