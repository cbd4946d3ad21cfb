//! `haldir migrate copy`.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread,
};

use clap::Args;
use serde_json::json;

use super::Standing;
#[cfg(feature = "postgres")]
use crate::store::postgres::{self, PostgresSettings};
use crate::{
    call::Keyring,
    config::{KeySource, StoreOptions, key_file, key_of_environment, read_key_file},
    crypto::Key,
    error::{Code, Error, Result},
    interfaces::cli::{
        CommandError, GlobalOptions,
        local::runtime,
        output::note,
        progress::{Progress, Unit},
    },
    jobs::{
        store_copy::require_alone,
        store_transfer::{self, Verified},
    },
    store::{
        Store,
        copying::{Copy, Counter},
        is_postgres_url,
        sqlite::Inspection,
    },
};

#[derive(Args)]
pub struct CopyOptions {
    /// The store to copy: sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/NAME. No server may use it meanwhile.
    #[arg(long, value_name = "STORE")]
    from: String,
    /// Where the copy is to be, in the same form. No store may be there, but for the beginning of this copy.
    #[arg(long, value_name = "STORE")]
    to: String,
}

/// The place of a store.
enum Place {
    File(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresSettings>),
}

/// Without the password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => settings.fmt(f),
        }
    }
}

impl Place {
    fn parse(global: &GlobalOptions, flag: &str, text: &str) -> Result<Self> {
        if is_postgres_url(text) {
            return Self::on_postgres(global, text).map_err(|error| error.field(flag));
        }
        let path = text.strip_prefix("sqlite:").unwrap_or(text);
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains("://") {
            let message = format!("--{flag}: a store is sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/NAME");
            return Err(Error::invalid(flag, message));
        }
        Ok(Self::File(path.into()))
    }

    #[cfg(feature = "postgres")]
    fn on_postgres(global: &GlobalOptions, url: &str) -> Result<Self> {
        global.store.postgres_settings(url).map(|settings| Self::Postgres(Box::new(settings)))
    }

    #[cfg(not(feature = "postgres"))]
    fn on_postgres(_: &GlobalOptions, _: &str) -> Result<Self> {
        Err(Error::new(Code::InvalidArgument, crate::config::NO_POSTGRES))
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
        }
    }

    /// Opens the store to copy, which no other process may have open.
    fn open_source(self) -> Result<Store> {
        match self {
            Self::File(path) => {
                if !path.exists() {
                    let message = format!("there is no store at {}", path.display());
                    return Err(Error::new(Code::NotFound, message).field("from"));
                }
                Standing::of(&mut Inspection::open(&path)?)?.require_sound()?;
                require_alone(&path)?;
                Store::open(&path)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => Store::open_postgres(postgres::require_alone(*settings)?),
        }
    }

    /// Opens the place of the copy; makes an empty database there if there is none.
    fn open_target(self) -> Result<Store> {
        match self {
            Self::File(path) => {
                if path.metadata().is_ok_and(|file| file.len() > 0) {
                    Standing::of(&mut Inspection::open(&path)?)?.require_sound()?;
                    require_alone(&path)?;
                }
                Store::open_unfinished(&path)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => Store::open_postgres_unfinished(*settings),
        }
    }
}

/// Refuses places between which nothing is to be copied.
fn check_places(from: &Place, to: &Place) -> Result<()> {
    let refused = |message: &str| Err(Error::new(Code::InvalidArgument, message).field("to"));
    let (Some(source), Some(target)) = (from.file(), to.file()) else {
        return if from.to_string() == to.to_string() {
            refused("--from and --to name the same store")
        } else {
            Ok(())
        };
    };
    let is_same =
        source == target || source.canonicalize().ok().is_some_and(|path| target.canonicalize().ok() == Some(path));
    if is_same {
        return refused("--from and --to name the same store");
    }
    refused("both stores are files: `haldir backup` and `haldir restore` copy one")
}

/// The key of both stores, and where it comes from: the environment, or the file beside the store that is a file.
fn find_key(from: &Place, to: &Place) -> Result<(KeySource, Key)> {
    let found = match from.file().or(to.file()) {
        Some(path) => StoreOptions { db: Some(path.to_owned()), ..StoreOptions::default() }.find_key()?,
        None => key_of_environment()?.map(|key| (KeySource::Variable, key)),
    };
    let Some((source, key)) = found else {
        let message = "there is no encryption key of the source: set HALDIR_ENCRYPTION_KEY to it";
        return Err(Error::new(Code::Unavailable, message));
    };
    if let Some(file) = to.file().map(key_file).filter(|file| file.exists())
        && *read_key_file(&file)?.to_base64() != *key.to_base64()
    {
        let message = format!("{} holds another key than the source's: move it away first", file.display());
        return Err(Error::new(Code::Conflict, message).field("to"));
    }
    Ok((source, key))
}

/// What is left to do before the copy is used.
fn key_hint(source: &KeySource, to: &Place) -> String {
    match (source, to.file()) {
        (KeySource::File(path), None) => {
            format!(". Its servers need the encryption key: set HALDIR_ENCRYPTION_KEY to the one in {}", path.display())
        }
        (KeySource::Variable, Some(path)) if !key_file(path).exists() => {
            format!(". It needs the encryption key: HALDIR_ENCRYPTION_KEY, or a file {}", key_file(path).display())
        }
        _ => String::new(),
    }
}

pub fn run(options: &CopyOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let from = Place::parse(global, "from", &options.from)?;
    let to = Place::parse(global, "to", &options.to)?;
    check_places(&from, &to)?;
    let (key_source, key) = find_key(&from, &to)?;
    let (keyring, hint) = (Keyring::new(&key), key_hint(&key_source, &to));
    let (name, copied_to) = (from.to_string(), to.to_string());
    let (runtime, counter) = (runtime()?, Arc::<Counter>::default());
    let source = from.open_source()?;
    runtime.block_on(store_transfer::prepare_source(&source, &keyring))?;
    let target = to.open_target()?;
    let mut copy = runtime.block_on(Copy::begin(source.clone(), target.clone(), Arc::clone(&counter)))?;
    if copy.is_resumed() && !global.json {
        note(&format!("haldir: going on with a copy that was begun: {} rows are there", copy.rows()));
    }
    let bar = |what| {
        let counter = Arc::clone(&counter);
        let measure = move || Some((counter.done.load(Ordering::Relaxed), counter.total.load(Ordering::Relaxed)));
        Progress::measured(global, what, Unit::Count, measure)
    };
    let progress = bar("copying");
    runtime.block_on(copy.run())?;
    drop(progress);
    let progress = bar("comparing");
    runtime.block_on(copy.verify_rows())?;
    drop(progress);
    let progress = Progress::new(global, "verifying", Unit::Count);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let Verified { logs, entries } =
        store_transfer::verify_logs(&target, &keyring, threads, &mut |done, total| progress.at(done, total))?;
    drop(progress);
    runtime.block_on(copy.finish())?;
    let (rows, is_resumed) = (copy.rows(), copy.is_resumed());
    source.close();
    target.close();
    let document = json!({
        "copied": true, "from": name, "to": copied_to, "resumed": is_resumed, "rows": rows, "logs": logs, "entries": entries,
        "verified": true,
    });
    let text = format!("{copied_to}: a copy of {name}, {rows} rows, {entries} entries in {logs} logs, verified{hint}");
    global.report(&document, &text)
}
