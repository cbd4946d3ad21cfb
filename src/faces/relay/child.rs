//! An upstream that is a child process: started by configuration only, never by a call.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use zeroize::Zeroizing;

use super::stderr_log::StderrLog;

/// How long a child has to end after its input has ended, and again after it was asked to.
const GRACE: Duration = Duration::from_secs(2);

/// How a child is started.
#[derive(Clone)]
pub struct ChildCommand {
    /// The program, as a shell would find it.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables of its environment that are not haldir's own: those with secrets.
    pub environment: Vec<(OsString, Zeroizing<String>)>,
    /// Where its standard error goes.
    pub log: PathBuf,
}

/// A child, its process group with it.
pub struct ChildProcess {
    child: Child,
    group: Option<u32>,
}

impl ChildCommand {
    /// Starts the child. It gets the environment without what is for haldir alone.
    pub fn start(&self) -> io::Result<(ChildProcess, ChildStdin, ChildStdout)> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HALDIR_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value.as_str())));
        // A group of its own: whatever the child starts ends with it.
        #[cfg(unix)]
        command.process_group(0);
        command.kill_on_drop(true);
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(io::Error::other("the child has no pipes"));
        };
        let log = StderrLog::open(&self.log)?;
        tokio::spawn(log.take(errors));
        let group = child.id();
        Ok((ChildProcess { child, group }, input, output))
    }
}

impl ChildProcess {
    /// Waits until the child ends by itself.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the child and all that it started: its input has ended already, then it is asked, then it is killed.
    pub async fn stop(mut self) {
        let group = self.group;
        let ended = timeout(GRACE, self.child.wait()).await.is_ok();
        if !ended {
            signal(group, &Ask::ToEnd);
            // Whether it has ended is seen by the wait below.
            let _ = timeout(GRACE, self.child.wait()).await;
        }
        // Also if the child itself has ended: what it left running is in its group.
        signal(group, &Ask::Kill);
        let _ = self.child.wait().await;
    }
}

enum Ask {
    ToEnd,
    Kill,
}

#[cfg(unix)]
fn signal(group: Option<u32>, ask: &Ask) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = match ask {
        Ask::ToEnd => Signal::TERM,
        Ask::Kill => Signal::KILL,
    };
    let Some(group) = group.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else { return };
    // Fails if nobody is left in the group.
    let _ = kill_process_group(group, signal);
}

#[cfg(not(unix))]
fn signal(_: Option<u32>, _: &Ask) {}
