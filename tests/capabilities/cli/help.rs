//! Help texts, completions and manual pages of both programs.

use std::{
    fs,
    process::{Command, Stdio},
};

use super::{Outcome, Terminal, outcome};
use crate::support::{Pty, at_once};

/// What every terminal has.
const COLUMNS: usize = 80;

const PROGRAMS: [&str; 2] = [env!("CARGO_BIN_EXE_haldir"), env!("CARGO_BIN_EXE_haldir-mcp")];

fn program(path: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(path);
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

fn help(path: &str, arguments: &[String]) -> String {
    let Outcome { code, stdout, stderr } = outcome(program(path, arguments).arg("--help"));
    assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
    stdout
}

#[test]
fn both_programs_say_what_they_are_on_one_line_of_json() {
    for (path, name) in PROGRAMS.iter().zip(["haldir", "haldir-mcp"]) {
        for arguments in [["--version", "--json"], ["--json", "--version"]] {
            let Outcome { code, stdout, stderr } = outcome(&mut program(path, &arguments.map(str::to_owned)));
            assert_eq!((code, stderr.as_str(), stdout.lines().count()), (0, "", 1), "{stdout}");
            let said: serde_json::Value = serde_json::from_str(&stdout).unwrap();
            assert_eq!((&said["name"], &said["version"]), (&name.into(), &env!("CARGO_PKG_VERSION").into()), "{said}");
            assert!(said["target"].as_str().unwrap().contains(std::env::consts::ARCH), "{said}");
            let has_postgres = said["features"].as_array().unwrap().contains(&"postgres".into());
            assert_eq!(has_postgres, cfg!(feature = "postgres"), "{said}");
            assert!(said["schema_version"].as_i64().unwrap() > 0, "{said}");
            assert!(said["protocol_versions"].as_array().unwrap().contains(&"2025-11-25".into()), "{said}");
        }
    }
}

/// The commands that a help text names, in one list or in groups.
fn commands(help: &str) -> Vec<String> {
    let mut is_listed = false;
    let commands = help.lines().filter(|line| {
        is_listed = line.starts_with("Commands") || (is_listed && !line.is_empty());
        is_listed && line.starts_with("  ") && !line.starts_with("   ")
    });
    let names = commands.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

/// Looks at the help of a command and of all below it; answers how many those are.
fn look(path: &str, arguments: &[String]) -> usize {
    let text = help(path, arguments);
    for line in text.lines() {
        assert!(line.chars().count() <= COLUMNS, "{arguments:?}: {line}");
    }
    assert!(text.contains("Example"), "{arguments:?} has no example:\n{text}");
    let below = commands(&text).into_iter().map(|name| look(path, &[arguments, &[name]].concat()));
    1 + below.sum::<usize>()
}

#[test]
fn the_help_of_every_command_of_both_programs_fits_80_columns_and_has_an_example() {
    let counts = at_once(2, |index| look(PROGRAMS[index], &[]));
    // Every operation is a command of `call`, and `serve`, `wrap` and `health` are of the server.
    assert!(counts[0] > haldir::operations::all().len() && counts[1] == 4, "{counts:?}");
}

#[test]
fn help_is_the_same_at_a_terminal_but_for_its_colours() {
    let arguments = ["call", "create-session"].map(str::to_owned);
    let plain = help(PROGRAMS[0], &arguments);
    let at_terminal = |variables: &[(&str, &str)]| {
        let mut command = program(PROGRAMS[0], &arguments);
        command.arg("--help").envs(variables.iter().copied());
        Pty::start(command, 80).finish().1.replace("\r\n", "\n")
    };
    let coloured = at_terminal(&[]);
    assert!(coloured.contains('\u{1b}'), "{coloured:?}");
    assert_eq!(at_terminal(&[("NO_COLOR", "1")]), plain);
    // A narrower terminal has narrower lines.
    let mut command = program(PROGRAMS[1], &[]);
    command.arg("-h").env("NO_COLOR", "1");
    let narrow = Pty::start(command, 60).finish().1;
    let described = narrow.lines().take_while(|line| !line.starts_with("Examples"));
    assert!(described.into_iter().all(|line| line.trim_end().chars().count() <= 60), "{narrow}");
}

#[test]
fn shells_get_completions_of_both_programs() {
    let terminal = Terminal::new();
    for (shell, knows) in [("bash", "rotate-key"), ("zsh", "#compdef haldir"), ("fish", "complete -c haldir")] {
        let script = terminal.done(&["completions", shell]).stdout;
        assert!(script.contains(knows) && script.contains("wrap-config"), "{shell}: {script}");
        let server = terminal.done(&["completions", shell, "--program", "haldir-mcp"]).stdout;
        assert!(server.contains("--listen") || server.contains("-l listen"), "{shell}: {server}");
    }
    let script = terminal.folder.path().join("haldir.bash");
    fs::write(&script, terminal.done(&["completions", "bash"]).stdout).unwrap();
    // The shell itself takes it, and answers what may follow.
    let complete = r#"source "$0" && COMP_WORDS=(haldir audit ver) COMP_CWORD=2 && _haldir haldir ver audit && echo "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    let answered = outcome(bash.args(["--norc", "-c", complete]).arg(&script).stdin(Stdio::null()));
    assert_eq!((answered.code, answered.stdout.trim()), (0, "verify"), "{answered:?}");
    assert!(terminal.refused(&["completions", "csh"], 2).stderr.contains("bash"));
    assert_eq!(terminal.done(&["--json", "completions", "fish"]).json()["shell"], "fish");
    assert!(!terminal.store().exists(), "no store is needed, and none is made");
}

#[test]
fn there_is_a_manual_page_of_every_command() {
    let terminal = Terminal::new();
    let page = terminal.done(&["man"]).stdout;
    assert!(page.contains(".TH haldir 1") && page.contains("NO_COLOR"), "{page}");
    let page = terminal.done(&["man", "keys", "create"]).stdout;
    assert!(page.contains(".TH haldir-keys-create 1") && page.contains("max\\-spend"), "{page}");
    assert!(terminal.done(&["man", "haldir-mcp", "serve"]).stdout.contains(".TH haldir-mcp-serve 1"));
    assert!(terminal.refused(&["man", "keys", "none"], 2).stderr.contains("no command none"));
    let folder = terminal.folder.path().join("man");
    let written = terminal.done(&["--json", "man", "--out", folder.to_str().unwrap()]).json();
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(written["pages"], names.len());
    for name in
        ["haldir.1", "haldir-audit-verify.1", "haldir-call-create-session.1", "haldir-mcp.1", "haldir-mcp-wrap.1"]
    {
        assert!(names.iter().any(|written| written == name), "{name} in {names:?}");
    }
}
