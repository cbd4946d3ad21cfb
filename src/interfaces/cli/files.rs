//! Files that commands read and write. A file that is not finished is removed, also when the command is interrupted.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::interruption::OnInterrupt;
pub use crate::files::{beside, folder, free_bytes, make_folder, new_file, read_bounded, sync_folder, write_new};
use crate::{
    error::{Code, Error, Result},
    files,
};

/// What SQLite leaves beside a database that is open when the process ends.
const OF_DATABASE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A file or a folder, with all in it, that is removed unless it is kept.
pub struct Unfinished {
    path: Arc<Mutex<Option<PathBuf>>>,
    _interrupted: OnInterrupt,
}

impl Unfinished {
    /// Removes what will be at this path, unless [`Self::keep`] is called.
    pub fn new(path: PathBuf) -> Self {
        let path = Arc::new(Mutex::new(Some(path)));
        let watched = Arc::clone(&path);
        Self { path, _interrupted: OnInterrupt::run(move || remove(&watched)) }
    }

    /// Makes a folder, which is removed unless [`Self::keep`] is called. An interruption waits until the folder is made, so that
    /// none is left; a folder that was there before stays.
    pub fn folder(path: &Path) -> io::Result<Self> {
        let made = Arc::new(Mutex::new(None));
        let watched = Arc::clone(&made);
        let mut being_made = made.lock();
        let interrupted = OnInterrupt::run(move || remove(&watched));
        make_folder(path, false)?;
        *being_made = Some(path.to_owned());
        drop(being_made);
        Ok(Self { path: made, _interrupted: interrupted })
    }

    /// It is finished, and stays.
    pub fn keep(self) {
        self.path.lock().take();
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The largest pin that is read, in bytes.
pub const MAX_PIN_BYTES: u64 = 1024 * 1024;
/// Attempts to remove a folder, a millisecond apart.
const REMOVALS: u32 = 100;

fn remove(path: &Mutex<Option<PathBuf>>) {
    // The lock is held while the file is removed: the writing thread cannot finish it meanwhile.
    let mut path = path.lock();
    let Some(path) = path.take() else { return };
    // It may not have been made yet.
    if path.is_dir() {
        // The writing thread may create files in it meanwhile, until the folder is gone.
        for _ in 0..REMOVALS {
            if fs::remove_dir_all(&path).is_ok() || !path.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        return;
    }
    let _ = fs::remove_file(&path);
    for suffix in OF_DATABASE {
        let _ = fs::remove_file(beside(&path, suffix));
    }
}

/// Reads a text of at most `most` bytes; the error names the file.
pub fn read_text(path: &Path, most: u64) -> Result<String, String> {
    files::read_text(path, most).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads a file of at most `most` bytes; the error names it.
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| named(&error))?;
    let length = file.take(most + 1).read_to_end(&mut bytes).map_err(|error| named(&error))?;
    if length as u64 > most { Err(named(&format!("it has more than {most} bytes"))) } else { Ok(bytes) }
}

/// Replaces a file, all of it or nothing: `make` makes the file that is written beside it until it is whole.
pub fn replace(path: &Path, bytes: &[u8], make: impl FnOnce(&Path) -> io::Result<File>) -> io::Result<()> {
    let part = beside(path, &format!(".{}.part", std::process::id()));
    // Left by a process of the same number that was killed.
    let _ = fs::remove_file(&part);
    let unfinished = Unfinished::new(part.clone());
    let mut file = make(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    unfinished.keep();
    Ok(())
}

/// Refuses a file that is there, unless it is to be overwritten.
pub fn require_free(field: &str, path: &Path, force: bool) -> Result<()> {
    if path.exists() && !force {
        let message = format!("{} exists already: name another file, or give --force", path.display());
        return Err(Error::new(Code::Conflict, message).field(field));
    }
    Ok(())
}

/// Gives a finished file its name. Without force a file of that name stays, also one that was made meanwhile.
pub fn put(part: &Path, name: &Path, force: bool) -> io::Result<()> {
    if force {
        return fs::rename(part, name);
    }
    match fs::hard_link(part, name) {
        Ok(()) => fs::remove_file(part),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without hard links.
        Err(_) if name.exists() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(part, name),
    }
}

/// The error for a file that cannot be written, which the option `field` names.
pub fn unwritable(field: &str, path: &Path, error: &io::Error) -> Error {
    let missing = match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        Some(folder) => format!(": there is no folder {}, make it first", folder.display()),
        None => String::new(),
    };
    Error::invalid(field, format!("{} cannot be written: {error}{missing}", path.display()))
}

/// A word as a shell reads it, so that a command that is shown can be copied.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
