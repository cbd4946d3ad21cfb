//! An upstream that is a child process: started by configuration or command line only, never by a call of the API.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Unexpected},
};
use tokio::{
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};
use zeroize::Zeroizing;

use super::stderr_log::{self, LastWords, Noise, StderrLog};
use crate::{
    model::{TenantId, UpstreamName, UpstreamSettings, duration::parse_seconds},
    redact::Known,
};

/// How long a child has to end after its input has ended, and again after it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// How long the end of a child whose output has ended is waited for, to say how it ended.
const ENDED_WITHIN: Duration = Duration::from_millis(500);
/// What stands before the end of a child's standard error, which may hold secrets.
pub const LAST_WORDS: &str = "; its last words: ";

/// What every child may see of haldir's own environment, as the SDKs' clients have it, and what a locale needs.
const HARMLESS: [&str; 25] = [
    "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
    // Of Windows.
    "APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROCESSOR_ARCHITECTURE", "PROGRAMDATA",
    "PROGRAMFILES", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "USERNAME", "USERPROFILE", "WINDIR",
];
/// Children of the configuration, and variables and arguments of one.
const MAX_CHILDREN: usize = 64;
const MAX_PARTS: usize = 256;

/// An upstream of the config file: a program that haldir starts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildUpstream {
    /// The program, as a shell would find it.
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables of its environment; `{{secret:NAME}}` stands for a secret that may go to this upstream.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables of haldir's own environment that it sees besides those that are harmless.
    #[serde(default)]
    pub inherit: Vec<String>,
    /// Where it is started.
    pub folder: Option<PathBuf>,
    /// What holds for it alone. Durations are seconds, or have a unit, as in `90s`.
    #[serde(default, deserialize_with = "limits")]
    pub limits: UpstreamSettings,
    /// Its tenant. Default: the local tenant.
    #[serde(default = "TenantId::local")]
    pub tenant: TenantId,
}

/// Limits as the config file has them.
fn limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UpstreamSettings, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        call_timeout: Option<Seconds>,
        start_timeout: Option<Seconds>,
        concurrency: Option<i64>,
        max_answer: Option<i64>,
    }
    let Written { call_timeout, start_timeout, concurrency, max_answer } = Written::deserialize(deserializer)?;
    let seconds = |written: Option<Seconds>| written.map(|Seconds(seconds)| seconds);
    Ok(UpstreamSettings {
        call_timeout: seconds(call_timeout),
        start_timeout: seconds(start_timeout),
        concurrency,
        max_answer,
    })
}

/// A duration: a number of seconds, or text with units.
struct Seconds(i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a number of seconds, or a duration such as \"90s\", \"15m\" or \"1h\"";
        match toml::Value::deserialize(deserializer)? {
            toml::Value::Integer(seconds) => Ok(Self(seconds)),
            toml::Value::String(text) => parse_seconds(&text).map(Self).map_err(D::Error::custom),
            other => Err(D::Error::invalid_type(Unexpected::Other(other.type_str()), &expected)),
        }
    }
}

/// The children that the operator has configured.
#[derive(Clone, Debug, Default)]
pub struct Children {
    known: BTreeMap<UpstreamName, ChildUpstream>,
    /// The store's file: the logs are beside it.
    store: PathBuf,
}

impl Children {
    /// Those of the config file, or what is wrong with them.
    pub fn new(known: BTreeMap<UpstreamName, ChildUpstream>, store: PathBuf) -> Result<Self, String> {
        if known.len() > MAX_CHILDREN {
            return Err(format!("there are more than {MAX_CHILDREN} upstreams"));
        }
        for (name, child) in &known {
            if child.command.is_empty() {
                return Err(format!("upstreams.{name}: the command is empty"));
            }
            if child.args.len() + child.env.len() + child.inherit.len() > MAX_PARTS {
                return Err(format!("upstreams.{name}: has more than {MAX_PARTS} arguments and variables"));
            }
            if let Some((field, problem)) = child.limits.problem() {
                return Err(format!("upstreams.{name}.limits: {field} {problem}"));
            }
            let is_bad = |variable: &&String| variable.is_empty() || variable.contains(['=', '\0']);
            if let Some(bad) = child.env.keys().chain(&child.inherit).find(is_bad) {
                return Err(format!("upstreams.{name}: `{bad}` is no name of a variable"));
            }
            let texts = child.env.values().chain(&child.args).chain([&child.command]);
            if texts.into_iter().any(|text| text.contains('\0')) {
                return Err(format!("upstreams.{name}: a NUL character stands in a text"));
            }
        }
        Ok(Self { known, store })
    }

    /// Their tenants and names.
    pub fn all(&self) -> impl Iterator<Item = (&TenantId, &UpstreamName)> {
        self.known.iter().map(|(name, child)| (&child.tenant, name))
    }

    /// The child of this name.
    pub fn get(&self, tenant: &TenantId, name: &UpstreamName) -> Option<&ChildUpstream> {
        self.known.get(name).filter(|child| child.tenant == *tenant)
    }

    /// How that child is started, with these variables; `known` are the secrets that it can have received then.
    pub fn command(
        &self,
        name: &UpstreamName,
        child: &ChildUpstream,
        environment: Vec<(OsString, Zeroizing<String>)>,
        known: Arc<Known>,
    ) -> ChildCommand {
        ChildCommand {
            program: child.command.clone().into(),
            arguments: child.args.iter().map(Into::into).collect(),
            environment,
            inherited: Inherited::Harmless(child.inherit.iter().map(Into::into).collect()),
            folder: child.folder.clone(),
            log: stderr_log::path(&self.store, name),
            known,
        }
    }
}

/// What a child sees of haldir's own environment. What is for haldir alone it never sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inherited {
    /// Everything: haldir stands in for a client that would have given it that.
    All,
    /// What is harmless, and these.
    Harmless(Vec<OsString>),
}

impl Inherited {
    fn holds(&self, name: &OsStr) -> bool {
        let is_ours = name.to_string_lossy().to_ascii_uppercase().starts_with("HALDIR_");
        let is_wanted = match self {
            Self::All => true,
            Self::Harmless(more) => {
                let is_it = |known: &OsStr| is_same(known, name, cfg!(windows));
                more.iter().any(|known| is_it(known)) || HARMLESS.iter().any(|known| is_it(OsStr::new(known)))
            }
        };
        !is_ours && is_wanted
    }
}

/// Whether two names are those of one variable: on Windows their case does not count, and `PATH` is written `Path`.
fn is_same(one: &OsStr, other: &OsStr, folds_case: bool) -> bool {
    one == other || (folds_case && one.eq_ignore_ascii_case(other))
}

/// The file that a shell would start for this name, where the system itself looks for programs with the extension `exe`
/// only: `npx` is `npx.cmd` on Windows. None if it is for the system to say.
#[cfg(any(windows, test))]
fn as_a_shell_finds(
    program: &OsStr,
    folders: impl Iterator<Item = PathBuf>,
    extensions: &str,
    exists: impl Fn(&std::path::Path) -> bool,
) -> Option<PathBuf> {
    let name = std::path::Path::new(program);
    if name.extension().is_some() || name.components().count() != 1 {
        return None;
    }
    let in_folder = |folder: PathBuf| {
        let with = |extension: &str| {
            let mut file = name.as_os_str().to_owned();
            file.push(extension.to_ascii_lowercase());
            folder.join(file)
        };
        extensions.split(';').filter(|extension| !extension.is_empty()).map(with).find(|file| exists(file))
    };
    folders.into_iter().find_map(in_folder)
}

/// How a child is started.
#[derive(Clone, PartialEq, Eq)]
pub struct ChildCommand {
    /// The program, as a shell would find it.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables of its environment that are not haldir's own: those with secrets.
    pub environment: Vec<(OsString, Zeroizing<String>)>,
    /// What it sees of haldir's own environment.
    pub inherited: Inherited,
    /// Where it is started; else where haldir was.
    pub folder: Option<PathBuf>,
    /// Where its standard error goes, and what it writes to standard output that is no message.
    pub log: PathBuf,
    /// The secrets that it can have received: its standard error is written down without them.
    pub known: Arc<Known>,
}

/// A child, its process group with it: one that is dropped is killed.
pub struct ChildProcess {
    child: Child,
    /// None once it was ended.
    group: Option<u32>,
    words: LastWords,
    noise: Noise,
    errors: JoinHandle<()>,
}

impl ChildCommand {
    /// The program as the system takes it.
    #[cfg(windows)]
    fn file(&self) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let extensions = std::env::var("PATHEXT").unwrap_or_else(|_| ".COM;.EXE;.BAT;.CMD".to_owned());
        let found = as_a_shell_finds(&self.program, std::env::split_paths(&path), &extensions, |file| file.is_file());
        found.map_or_else(|| self.program.clone(), PathBuf::into_os_string)
    }

    /// The program as the system takes it.
    #[cfg(not(windows))]
    fn file(&self) -> &OsStr {
        &self.program
    }

    /// Starts the child. It gets the environment without what is for haldir alone.
    pub fn start(&self) -> io::Result<(ChildProcess, ChildStdin, ChildStdout)> {
        let mut command = Command::new(self.file());
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| self.inherited.holds(name)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
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
        let words = LastWords::default();
        let (noise, lines) = Noise::new(&self.log, Arc::clone(&self.known), words.clone());
        let errors = tokio::spawn(log.take(errors, lines, Arc::clone(&self.known), words.clone()));
        let group = child.id();
        #[cfg(unix)]
        if let Some(group) = group {
            super::watchdog::watch(group);
        }
        Ok((ChildProcess { child, group, words, noise, errors }, input, output))
    }
}

impl ChildProcess {
    /// Writes down what the child wrote to standard output that is no message. It answers nothing, as with the SDKs: a client
    /// that waits for an answer goes on waiting.
    pub fn noise(&mut self, line: &str) {
        self.noise.take(line);
    }

    /// Waits until the child ends by itself.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// How a child ended that has closed its output, for the client of a request: with what it last wrote to standard
    /// error.
    pub async fn how_it_ended(&mut self) -> String {
        let status = timeout(ENDED_WITHIN, self.child.wait()).await;
        // What it started may hold the pipe open.
        if !self.errors.is_finished() {
            let _ = timeout(ENDED_WITHIN, &mut self.errors).await;
        }
        let status = match status {
            Ok(Ok(status)) => format!("the child ended ({status})"),
            Ok(Err(_)) | Err(_) => "the child closed its standard output".to_owned(),
        };
        match self.words.text() {
            words if words.is_empty() => status,
            words => format!("{status}{LAST_WORDS}{words}"),
        }
    }

    /// Ends the child and all that it started: its input has ended already, then it is asked, then it is killed.
    pub async fn stop(mut self) {
        let group = self.group.take();
        let ended = timeout(GRACE, self.child.wait()).await.is_ok();
        if !ended {
            signal(group, &Ask::ToEnd);
            // Whether it has ended is seen by the wait below.
            let _ = timeout(GRACE, self.child.wait()).await;
        }
        // Also if the child itself has ended: what it left running is in its group.
        end(group);
        let _ = self.child.wait().await;
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        end(self.group.take());
    }
}

/// Kills what there still is of a group.
fn end(group: Option<u32>) {
    signal(group, &Ask::Kill);
    #[cfg(unix)]
    if let Some(group) = group {
        super::watchdog::forget(group);
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
    // Fails if no process is left in the group.
    let _ = kill_process_group(group, signal);
}

#[cfg(not(unix))]
fn signal(_: Option<u32>, _: &Ask) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_the_file_that_a_shell_finds() {
        let there = [PathBuf::from("b/npx.cmd"), PathBuf::from("b/node.exe"), PathBuf::from("c/npx.exe")];
        let find = |program: &str| {
            let folders = ["a", "b", "c"].map(PathBuf::from).into_iter();
            as_a_shell_finds(OsStr::new(program), folders, ".COM;.EXE;;.CMD", |file| there.iter().any(|it| it == file))
        };
        assert_eq!(find("npx"), Some(PathBuf::from("b/npx.cmd")));
        assert_eq!(find("node"), Some(PathBuf::from("b/node.exe")));
        for left in ["npm", "npx.cmd", "b/npx"] {
            assert_eq!(find(left), None, "{left}");
        }
    }

    #[test]
    fn limits_in_the_config_file_are_seconds_or_have_a_unit() {
        let child: ChildUpstream = toml::from_str(
            "command = 'x'\nlimits = { call_timeout = '1h 30m', start_timeout = 90, concurrency = 2, max_answer = 4096 }",
        )
        .unwrap();
        let (call_timeout, start_timeout) = (Some(5_400), Some(90));
        let (concurrency, max_answer) = (Some(2), Some(4_096));
        assert_eq!(child.limits, UpstreamSettings { call_timeout, start_timeout, concurrency, max_answer });
        assert_eq!(toml::from_str::<ChildUpstream>("command = 'x'").unwrap().limits, UpstreamSettings::default());
        assert!(toml::from_str::<ChildUpstream>("command = 'x'\nlimits = { other = 1 }").is_err());
    }

    #[test]
    fn the_case_of_a_variable_counts_where_the_system_says_so() {
        let (one, other) = (OsStr::new("PATH"), OsStr::new("Path"));
        assert!(is_same(one, other, true) && !is_same(one, other, false) && is_same(one, one, false));
        assert!(!is_same(one, OsStr::new("PATHEXT"), true));
    }
}
