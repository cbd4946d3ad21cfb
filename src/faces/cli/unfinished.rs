//! What a command is writing: it is taken away again unless it was finished, also when the command is interrupted.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
};

use super::local;

/// The exit code of a program that Ctrl-C ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// A file or a folder, with all in it, that is removed unless it is kept.
pub struct Unfinished(Arc<Mutex<Option<PathBuf>>>);

impl Unfinished {
    /// Begins with a path at which nothing is that should stay.
    pub fn new(path: PathBuf) -> Self {
        let path = Arc::new(Mutex::new(Some(path)));
        let watched = Arc::clone(&path);
        let (ready, is_ready) = mpsc::channel();
        // A thread of its own: what writes does not wait for signals. It ends with the process.
        thread::spawn(move || {
            let Ok(runtime) = local::runtime() else { return };
            if runtime.block_on(asked_to_stop(ready)) {
                remove(&watched);
                process::exit(INTERRUPTED);
            }
        });
        // Nothing is written before a signal would take it away; an error is a thread that cannot watch for one.
        let _ = is_ready.recv();
        Self(path)
    }

    /// It is finished, and stays.
    pub fn keep(self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        remove(&self.0);
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
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

#[cfg(unix)]
async fn asked_to_stop(ready: Sender<()>) -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return false;
    };
    let _ = ready.send(());
    tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => true,
    }
}

#[cfg(not(unix))]
async fn asked_to_stop(ready: Sender<()>) -> bool {
    drop(ready);
    tokio::signal::ctrl_c().await.is_ok()
}
