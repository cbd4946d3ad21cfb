//! `haldir restore`.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    backup::{self, DATABASE, FORMAT, KEY, MANIFEST, Manifest, unusable},
    files::{MAX_PIN_BYTES, Unfinished, beside, folder, make_folder, new_file, read_text, sync_folder},
    output::{line, sentence},
};
use crate::{
    config::{key_file, read_key_file, write_key},
    crypto::Key,
    error::{Code, Error, Result},
    jobs::store_copy::{self, Comparison, LogHead},
    model::{Clock, time::SystemClock},
    operations::Haldir,
    verify::pin::Pin,
};

/// The largest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Args)]
pub struct RestoreOptions {
    /// The folder that `haldir backup` made.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// A checkpoint that `haldir audit pin` keeps: a backup that is older, or of another log, is refused.
    #[arg(long, value_name = "FILE")]
    pin: Option<PathBuf>,
}

pub fn run(options: &RestoreOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let manifest = read(&options.folder)?;
    let path = global.store.path()?;
    let source = options.folder.join(DATABASE);
    if backup::digest(global, &source)? != manifest.sha256 {
        let message = format!("{} is not the file that the backup was made of: its digest differs", source.display());
        return Err(Error::new(Code::Conflict, message).into());
    }
    let (key, brings_key) = find_key(global, options, &path)?;
    // Beside its place, so that it is moved there in one step.
    let staged = beside(&path, ".restoring");
    make_folder(folder(&path), true).map_err(|error| unusable(folder(&path), &error))?;
    let unfinished = Unfinished::new(staged.clone());
    let copying = backup::copying(global, &source, &staged);
    copy(&source, &staged).map_err(|error| unusable(&staged, &error))?;
    drop(copying);
    let haldir = backup::open(global, &staged, &key)?;
    check(&haldir, &manifest, options.pin.as_deref(), global)?;
    if path.exists() {
        let heads = heads_of_store(global, &path)?;
        refuse_older(&path, &haldir.compare(&heads)?)?;
    }
    haldir.close();
    drop(haldir);
    store_copy::require_alone(&staged)?;
    let aside = install(&path, &staged, brings_key.then_some(&key))?;
    unfinished.keep();
    let entries: u64 = manifest.logs.iter().map(|log| log.tree_size).sum();
    if global.json {
        let answer = json!({
            "restored": true, "store": path, "made_at": manifest.made_at, "logs": manifest.logs.len(),
            "entries": entries, "moved_aside": aside,
        });
        return line(&answer.to_string());
    }
    sentence(&format!("{}: restored as of {}, {entries} entries, verified", path.display(), manifest.made_at))?;
    aside.map_or(Ok(()), |aside| sentence(&format!("what was there is now {}", aside.display())))
}

fn read(folder: &Path) -> Result<Manifest> {
    let path = folder.join(MANIFEST);
    let problem = |problem: &dyn std::fmt::Display| {
        let message = format!(
            "{} is no backup that can be read ({problem}): name the folder that `haldir backup` made",
            folder.display()
        );
        Error::new(Code::InvalidArgument, message).field("folder")
    };
    let text = read_text(&path, MAX_MANIFEST_BYTES).map_err(|error| problem(&error))?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| problem(&error))?;
    if manifest.format_version != FORMAT {
        return Err(problem(&format!("its form is {}, this haldir knows {FORMAT}", manifest.format_version)));
    }
    Ok(manifest)
}

/// The key that opens the backup, and whether it comes with it.
fn find_key(global: &GlobalOptions, options: &RestoreOptions, path: &Path) -> Result<(Key, bool)> {
    let brought = options.folder.join(KEY);
    if brought.exists() && crate::config::secret_variable("HALDIR_ENCRYPTION_KEY").is_none() {
        let key = read_key_file(&brought)?;
        let file = key_file(path);
        if file.exists() && !path.exists() && *read_key_file(&file)?.to_base64() != *key.to_base64() {
            let message = format!("{} holds another key than the backup: move it away first", file.display());
            return Err(Error::new(Code::Conflict, message));
        }
        return Ok((key, true));
    }
    global.store.find_key()?.map(|(_, key)| (key, false)).ok_or_else(|| {
        let file = key_file(path);
        let message = format!(
            "the backup holds no encryption key: put the store's at {}, or set HALDIR_ENCRYPTION_KEY",
            file.display()
        );
        Error::new(Code::Unavailable, message)
    })
}

fn check(haldir: &Haldir, manifest: &Manifest, pin: Option<&Path>, global: &GlobalOptions) -> Result<()> {
    let heads = backup::verified(haldir, global)?;
    let same = |one: &LogHead, other: &LogHead| {
        (&one.tenant, one.tree_size, &one.root_hash) == (&other.tenant, other.tree_size, &other.root_hash)
    };
    let is_whole = heads.len() == manifest.logs.len() && heads.iter().zip(&manifest.logs).all(|(a, b)| same(a, b));
    if !is_whole {
        return Err(Error::new(Code::Conflict, "the logs in the backup are not those that its manifest names"));
    }
    let Some(file) = pin else { return Ok(()) };
    let unreadable = |problem: &dyn std::fmt::Display| {
        Error::new(Code::InvalidArgument, format!("{} is no pin of haldir's: {problem}", file.display())).field("pin")
    };
    let text = crate::files::read_text(file, MAX_PIN_BYTES).map_err(|error| unreadable(&error))?;
    let pin: Pin = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    let pinned = pin.open().map_err(|problem| unreadable(&problem))?.checkpoint;
    for head in &heads {
        if haldir.log_origin(&head.tenant)? != pinned.origin {
            continue;
        }
        let message = match haldir.root_at(&head.tenant, pinned.size)? {
            Some(root) if root == pinned.root => return Ok(()),
            Some(_) => "the backup's log does not begin with the one that was pinned: it was rewritten".to_owned(),
            None => format!(
                "the backup is older than what was pinned: it has {} entries, and {} were pinned",
                head.tree_size, pinned.size
            ),
        };
        return Err(Error::new(Code::Conflict, message).field("pin"));
    }
    Err(Error::new(Code::Conflict, format!("the backup has no log {}, which was pinned", pinned.origin)).field("pin"))
}

/// How far the logs of the store reach that is to be replaced. No other process may have it open.
fn heads_of_store(global: &GlobalOptions, path: &Path) -> Result<Vec<LogHead>> {
    store_copy::require_alone(path)?;
    let cannot = |problem: &str| {
        let message = format!(
            "the store at {} cannot be compared with the backup, {problem}: move its files away if it is to be given up",
            path.display()
        );
        Error::new(Code::Conflict, message).field("db")
    };
    let key =
        global.store.find_key()?.map(|(_, key)| key).ok_or_else(|| cannot("since its encryption key is missing"))?;
    let haldir = backup::open(global, path, &key).map_err(|error| cannot(&error.message))?;
    let heads = haldir.log_heads();
    haldir.close();
    drop(haldir);
    store_copy::require_alone(path)?;
    heads.map_err(|error| cannot(&error.message))
}

fn refuse_older(path: &Path, standing: &Comparison) -> Result<()> {
    let problem = match standing {
        Comparison::Complete => return Ok(()),
        Comparison::Older(tenant) => {
            format!("is newer than the backup: its log of {tenant} has entries that the backup lacks")
        }
        Comparison::Diverged(tenant) => format!("has another log of {tenant} than the backup"),
    };
    let message = format!("the store at {} {problem}. Move its files away if it is to be given up", path.display());
    Err(Error::new(Code::Conflict, message).field("db"))
}

/// Moves the existing store aside and the copy into its place; returns where the existing store is now.
fn install(path: &Path, staged: &Path, key: Option<&Key>) -> Result<Option<PathBuf>> {
    let suffix = format!(".before-restore-{}", SystemClock.now().as_seconds());
    let move_aside = |path: &Path| {
        let aside = beside(path, &suffix);
        fs::rename(path, &aside).map(|()| aside).map_err(|error| unusable(path, &error))
    };
    if let Some(key) = key {
        let file = key_file(path);
        let differs = file.exists() && *read_key_file(&file)?.to_base64() != *key.to_base64();
        if differs {
            move_aside(&file)?;
        }
        if !file.exists() {
            write_key(path, key)?;
        }
    }
    let aside = if path.exists() { Some(move_aside(path)?) } else { None };
    // Left by a process that was killed: they belong to what was there.
    for suffix in ["-wal", "-shm"] {
        let left = beside(path, suffix);
        if left.exists() {
            move_aside(&left)?;
        }
    }
    fs::rename(staged, path).map_err(|error| unusable(path, &error))?;
    sync_folder(folder(path)).map_err(|error| unusable(path, &error))?;
    Ok(aside)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    // Left by a restore that was killed.
    if to.exists() {
        fs::remove_file(to)?;
    }
    let mut target = new_file(to)?;
    io::copy(&mut File::open(from)?, &mut target)?;
    target.sync_all()
}
