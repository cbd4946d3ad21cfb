//! Ctrl-C and SIGTERM: clean-up actions run before the process ends.

use std::{
    mem, process,
    sync::{
        Once,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::local;

/// The exit code of a program that Ctrl-C ended, as shells have it.
pub const INTERRUPTED: u8 = 130;
/// How long a command has to end by itself once it is interrupted.
const GRACE: Duration = Duration::from_secs(2);

type Action = Box<dyn FnOnce() + Send>;

/// The clean-up actions, oldest first. A static, since signals concern the whole process.
static ACTIONS: Mutex<Vec<(u64, Action)>> = Mutex::new(Vec::new());

/// A clean-up action: it runs if the process is interrupted before this is dropped.
pub struct OnInterrupt(u64);

impl OnInterrupt {
    /// Registers the action. The newest action runs first.
    pub fn run(action: impl FnOnce() + Send + 'static) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static WATCH: Once = Once::new();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        ACTIONS.lock().push((id, Box::new(action)));
        WATCH.call_once(watch);
        Self(id)
    }
}

impl Drop for OnInterrupt {
    fn drop(&mut self) {
        let mut actions = ACTIONS.lock();
        let place = actions.iter().position(|(id, _)| *id == self.0);
        let action = place.map(|place| actions.remove(place));
        // Dropped when the lock is released: an action may hold what is dropped with it.
        drop(actions);
        drop(action);
    }
}

/// How many other programs have the terminal now.
static ELSEWHERE: AtomicUsize = AtomicUsize::new(0);

/// While this is held, Ctrl-C concerns another program at the terminal, such as an editor, and does not end this one.
pub struct Elsewhere(());

impl Elsewhere {
    /// From when this returns on.
    pub fn now() -> Self {
        ELSEWHERE.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        ELSEWHERE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Lets a command that runs until it is interrupted end in order, with its store closed.
pub struct Interruption {
    asked: Receiver<()>,
    /// Dropped when the command has ended.
    _ended: Sender<()>,
    _watch: OnInterrupt,
}

impl Interruption {
    /// Registers: after an interruption the process ends once this is dropped, or after a grace period.
    pub fn watch() -> Self {
        let ((ask, asked), (ended, has_ended)) = (mpsc::channel(), mpsc::channel::<()>());
        let watch = OnInterrupt::run(move || {
            let _ = ask.send(());
            let _ = has_ended.recv_timeout(GRACE);
        });
        Self { asked, _ended: ended, _watch: watch }
    }

    /// Waits for this time; returns whether the command was interrupted.
    pub fn within(&self, time: Duration) -> bool {
        self.asked.recv_timeout(time).is_ok()
    }
}

/// Starts the thread that waits for signals. It ends with the process.
fn watch() {
    let (ready, is_ready) = mpsc::channel();
    thread::spawn(move || {
        let Ok(runtime) = local::runtime() else { return };
        if runtime.block_on(asked_to_stop(ready)) {
            let actions = mem::take(&mut *ACTIONS.lock());
            for (_, action) in actions.into_iter().rev() {
                action();
            }
            process::exit(INTERRUPTED.into());
        }
    });
    // Returns once the handlers are installed; an error means that they cannot be.
    let _ = is_ready.recv();
}

#[cfg(unix)]
async fn asked_to_stop(ready: Sender<()>) -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return false;
    };
    let _ = ready.send(());
    loop {
        tokio::select! {
            _ = terminate.recv() => return true,
            _ = interrupt.recv() => if ELSEWHERE.load(Ordering::SeqCst) == 0 {
                return true;
            },
        }
    }
}

#[cfg(not(unix))]
async fn asked_to_stop(ready: Sender<()>) -> bool {
    drop(ready);
    while tokio::signal::ctrl_c().await.is_ok() {
        if ELSEWHERE.load(Ordering::SeqCst) == 0 {
            return true;
        }
    }
    false
}
