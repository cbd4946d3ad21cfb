//! The git repository as a mirror: one file for each log, one commit for each checkpoint.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{CheckpointCopy, failed};
use crate::error::Result;

/// How long git may take for one of its commands.
const GIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What is kept of what git says.
const MAX_MESSAGE_BYTES: u64 = 1_024;

/// Writes the note into its file in the work tree `folder`, and commits that file alone.
pub fn commit(folder: &Path, next: &CheckpointCopy) -> Result<()> {
    // The last part of an origin is the log's own name, in hexadecimal.
    let name: String = next.origin.rsplit('/').next().unwrap_or_default().to_owned() + ".checkpoint";
    fs::write(folder.join(&name), &next.note).map_err(failed)?;
    git(folder, &["add", "--", &name])?;
    let message = format!("{} at {} entries", next.origin, next.size);
    // Empty, since after a restart the file may be there already.
    let commit = [
        "-c", "user.name=haldir", "-c", "user.email=haldir@localhost", "-c", "commit.gpgSign=false", "commit",
        "--quiet", "--allow-empty", "--message", &message, "--", &name,
    ];
    git(folder, &commit)
}

/// Runs git without a shell, without hooks, and without the variables of this process: some are secrets.
fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let kept = ["PATH", "HOME", "SYSTEMROOT"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new("git")
        .current_dir(folder)
        .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"])
        .args(arguments)
        .env_clear()
        .envs(kept)
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("git cannot be run: {error}")))?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if began.elapsed() > GIT_TIMEOUT {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Err(failed(format!("git took longer than {} seconds", GIT_TIMEOUT.as_secs())));
        }
        thread::sleep(LOOK_EVERY);
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(errors) = child.stderr.take() {
        errors.take(MAX_MESSAGE_BYTES).read_to_end(&mut said).map_err(failed)?;
    }
    Err(failed(format!("git failed: {}", String::from_utf8_lossy(&said).trim())))
}
