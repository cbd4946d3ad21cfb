//! A small process of haldir's own that outlives it by a moment. haldir ends its children when it ends; when it is killed
//! it cannot, and a child that ignores the end of its input would run on. The watchdog is told of each child's process
//! group over a pipe. When the pipe closes, no other process can end them, and it does.
//!
//! There is one for all children, started with the first of them.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, Write},
    process::{Child, Command, Stdio},
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};

/// The argument that makes the server's program a watchdog.
pub const COMMAND: &str = "watchdog";
/// Groups that are watched at a time: more children than haldir has.
const MAX_GROUPS: usize = 4_096;

/// The watchdog of this process.
#[derive(Default)]
struct Watchdog {
    /// Whether this program can be one.
    enabled: bool,
    running: Option<Child>,
    groups: BTreeSet<u32>,
}

static WATCHDOG: Mutex<Option<Watchdog>> = Mutex::new(None);

/// For programs that know [`COMMAND`]: from now on children are watched.
pub fn enable() {
    WATCHDOG.lock().get_or_insert_default().enabled = true;
}

/// A group that has to end with this process.
pub(super) fn watch(group: u32) {
    if let Some(watchdog) = &mut *WATCHDOG.lock() {
        watchdog.groups.insert(group);
        watchdog.tell(&format!("+{group}\n"));
    }
}

/// A group that has ended. Its number may soon be another group's.
pub(super) fn forget(group: u32) {
    if let Some(watchdog) = &mut *WATCHDOG.lock() {
        watchdog.groups.remove(&group);
        if watchdog.running.is_some() {
            watchdog.tell(&format!("-{group}\n"));
        }
    }
}

impl Watchdog {
    fn tell(&mut self, line: &str) {
        if !self.enabled {
            return;
        }
        if self.write(line).is_ok() {
            return;
        }
        // It is not there yet, or not any more: a new one is told of all.
        let all: Vec<_> = self.groups.iter().map(|group| format!("+{group}\n")).collect();
        let started = start().and_then(|child| {
            if let Some(mut ended) = self.running.replace(child) {
                // Ended or not, it gets no more messages.
                let _ = ended.kill();
                let _ = ended.wait();
            }
            self.write(&all.concat())
        });
        if let Err(error) = started {
            tracing::warn!(%error, "children are not watched: one that ignores the end of its input may outlive a killed haldir");
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let pipe = self.running.as_mut().and_then(|child| child.stdin.as_mut());
        pipe.ok_or(io::ErrorKind::NotConnected)?.write_all(text.as_bytes())
    }
}

fn start() -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    // The program that runs, though its file may have been replaced.
    #[cfg(target_os = "linux")]
    let program = std::path::PathBuf::from("/proc/self/exe");
    #[cfg(not(target_os = "linux"))]
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.arg0("haldir-mcp").arg(COMMAND).env_clear().current_dir("/");
    // A group of its own: what ends haldir's does not end the watchdog before its time.
    command.process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// The watchdog itself: reads groups until the pipe closes, and ends those that are left.
pub fn run() {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let Some((sign, Some(group))) = line.split_at_checked(1).map(|(sign, group)| (sign, group_of(group))) else {
            continue;
        };
        if sign == "+" && groups.len() < MAX_GROUPS {
            groups.insert(group);
        } else {
            groups.remove(&group);
        }
    }
    for group in groups.into_iter().filter_map(Pid::from_raw) {
        // Fails if no process is left in it.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// No number but that of a group of its own: 0 and 1 would mean others.
fn group_of(text: &str) -> Option<i32> {
    text.parse().ok().filter(|group| *group > 1)
}
