//! What a command is writing: it is taken away again unless it was finished, also when the command is interrupted.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{audit::beside, interruption::OnInterrupt};

/// What SQLite leaves beside a database that is open when the process ends.
const OF_DATABASE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A file or a folder, with all in it, that is removed unless it is kept.
pub struct Unfinished {
    path: Arc<Mutex<Option<PathBuf>>>,
    _interrupted: OnInterrupt,
}

impl Unfinished {
    /// Begins with a path at which nothing is that should stay.
    pub fn new(path: PathBuf) -> Self {
        let path = Arc::new(Mutex::new(Some(path)));
        let watched = Arc::clone(&path);
        Self { path, _interrupted: OnInterrupt::run(move || remove(&watched)) }
    }

    /// It is finished, and stays.
    pub fn keep(self) {
        self.path.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Mutex<Option<PathBuf>>) {
    // Held while it is removed: the writing thread cannot finish it meanwhile.
    let mut path = path.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = path.take() {
        remove_all(&path);
    }
}

fn remove_all(path: &Path) {
    // It may not have been made yet.
    if path.is_dir() {
        let _ = fs::remove_dir_all(path);
        return;
    }
    let _ = fs::remove_file(path);
    for suffix in OF_DATABASE {
        let _ = fs::remove_file(beside(path, suffix));
    }
}
