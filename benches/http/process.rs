//! Child processes, none of which outlives the benchmark.
//!
//! A child ends when its standard input does. The drop guard closes it on every
//! path out of the benchmark, and the operating system does if the benchmark is
//! killed. A program that does not watch its input is started through
//! [`keep`], which watches it in its place.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::Result;

/// How long a child may take to get ready, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long [`keep`] waits for its program: less than [`PATIENCE`], so that the
/// keeper is never killed before it has seen the program's end.
const KEPT_PATIENCE: Duration = Duration::from_secs(15);

/// A child process; dropping it ends it.
pub struct Guard {
    child: Child,
    /// The child's life line.
    stdin: Option<ChildStdin>,
}

impl Guard {
    /// Spawns the command with its input and output in our hands.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        // A group of its own: Ctrl-C reaches the benchmark alone, which then
        // ends its children in order.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn input(&mut self) -> Result<&mut ChildStdin> {
        self.stdin.as_mut().ok_or_else(|| "the child has no input".into())
    }

    /// Every line the child prints, with the moment at which it was read. The
    /// reading goes on to the end, lest the child blocks on a full pipe.
    pub fn lines(&mut self) -> Result<mpsc::Receiver<(Instant, String)>> {
        let output = self.child.stdout.take().ok_or("the child's output is taken")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                // Nobody listens any more: the rest is read and forgotten.
                let _ = sender.send((Instant::now(), line));
            }
        });
        Ok(lines)
    }

    /// Asks the child to end and waits for it; kills it if it does not.
    pub fn end(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        match wait(&mut self.child, PATIENCE)? {
            Some(status) => Ok(status),
            None => Err("the child did not end and was killed".into()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing is left to tell anyone on this path; `end` reports.
        let _ = self.end();
    }
}

/// Waits so long for a child, then kills it and returns `None`.
fn wait(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// A child that answers HTTP on a port of its own choice.
pub struct Server {
    guard: Guard,
    pub address: SocketAddr,
    /// The process that does the work, which is not always our own child.
    pub pid: u32,
}

impl Server {
    /// One of the bare servers: this very program, told to be one.
    pub fn bare<I: AsRef<std::ffi::OsStr>>(args: &[I]) -> Result<Self> {
        Self::ready(Command::new(std::env::current_exe()?).args(args))
    }

    /// Another program with these environment variables, whose messages go to `log`.
    pub fn kept(program: &Path, args: &[&std::ffi::OsStr], variables: &[(&str, &str)], log: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("keep").arg(program).args(args);
        without_settings(&mut command).envs(variables.iter().copied()).stderr(File::create(log)?);
        Self::ready(&mut command).map_err(|error| {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            format!("{}: {error}\n{said}", program.display()).into()
        })
    }

    /// A program that was told where to listen, which is for the caller to wait
    /// for. It is started by a [`keep`] of ours; all it says goes to `log`.
    pub fn at(command: &mut Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let mut guard = Guard::spawn(command.stderr(File::create(log)?))?;
        // The receiver may go: what follows is read and forgotten.
        let (_, line) = guard.lines()?.recv_timeout(PATIENCE)?;
        let pid = line.strip_prefix("keeping ").ok_or("it was not kept")?.parse()?;
        Ok(Self { guard, address, pid })
    }

    fn ready(command: &mut Command) -> Result<Self> {
        let mut guard = Guard::spawn(command)?;
        let lines = guard.lines()?;
        let mut pid = guard.id();
        loop {
            let line = match lines.recv_timeout(PATIENCE) {
                Ok((_, line)) => line,
                Err(RecvTimeoutError::Timeout) => return Err("never got ready".into()),
                Err(RecvTimeoutError::Disconnected) => return Err("ended before ready".into()),
            };
            if let Some(kept) = line.strip_prefix("keeping ") {
                pid = kept.parse()?;
            } else if let Some((_, address)) = line.split_once("listening on http://") {
                let address = address.trim().parse()?;
                return Ok(Self { guard, address, pid });
            } else {
                return Err(format!("said {line:?} where it should say where it listens").into());
            }
        }
    }

    /// Ends the server and insists that it ends well.
    pub fn stop(mut self) -> Result<()> {
        let status = self.guard.end()?;
        if status.success() {
            return Ok(());
        }
        Err(format!("the server ended with {status}").into())
    }
}

/// Keeps the caller's own settings of the server out of the measurement.
pub fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HALDIR_") {
            command.env_remove(name);
        }
    }
    command
}

/// The hidden subcommand that runs a program until the benchmark lets go of our
/// standard input, then asks it to end. Returns the program's exit code.
pub fn keep(command: &[String]) -> Result<u8> {
    let (program, args) = command.split_first().ok_or("keep: no program")?;
    let mut child = Command::new(program).args(args).stdin(Stdio::null()).spawn()?;
    println!("keeping {}", child.id());
    let (sender, let_go) = mpsc::channel::<()>();
    thread::spawn(move || {
        await_input_end();
        drop(sender);
    });
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(code(status));
        }
        match let_go.recv_timeout(Duration::from_millis(100)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    terminate(&mut child)?;
    let status = wait(&mut child, KEPT_PATIENCE)?;
    Ok(status.map_or(1, code))
}

/// Ends this process when its standard input ends.
pub fn exit_with_input() {
    thread::spawn(|| {
        await_input_end();
        std::process::exit(0);
    });
}

fn await_input_end() {
    // An unreadable input is an ended one.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(unix)]
fn terminate(child: &mut Child) -> Result<()> {
    let pid = rustix::process::Pid::from_child(child);
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) -> Result<()> {
    Ok(child.kill()?)
}
