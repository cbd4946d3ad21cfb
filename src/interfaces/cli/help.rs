//! Help texts: the program's lists the commands in groups and the options of every command; those of commands do not repeat
//! these options.

use std::{collections::HashMap, ffi::OsString, fmt::Write};

use clap::Command;

use super::{HELP_WIDTH, output::paragraph_lines};

/// The groups of commands in the help.
#[rustfmt::skip]
const GROUPS: [(&str, &[&str]); 5] = [
    ("to look",
        &["overview", "top", "dashboard", "log", "agents", "sessions", "spend", "payments", "usage", "status", "ready"]),
    ("to decide", &["approvals", "policy", "stop"]),
    ("to administer",
        &["keys", "secrets", "upstreams", "webhooks", "audit", "compliance", "retention", "erase", "tenants"]),
    ("to set up and keep running",
        &["install", "wrap-config", "init", "login", "logout", "whoami", "doctor", "config", "backup", "restore", "rekey", "migrate"]),
    ("for anything else", &["call", "demo", "completions", "man"]),
];

/// The option of every command that the help of each command shows.
const SHOWN: &str = "json";
const HINT: &str = "Options of every command: haldir --help";
/// Columns of a command's name, with the space around it.
const NAME: usize = 15;

/// What stands below the options in the help of each command: behind `=== ` and the names of the command, up to the next one.
const TEXTS: &str = include_str!("help.txt");

/// The program with the texts of `help.txt` in the help of its commands.
pub fn with_texts(program: Command) -> Command {
    fn add(command: Command, path: &str, texts: &HashMap<&str, &'static str>) -> Command {
        let command = match texts.get(path) {
            Some(text) => command.after_help(*text),
            None => command,
        };
        command.mut_subcommands(|below| {
            let path = format!("{path} {}", below.get_name());
            add(below, &path, texts)
        })
    }
    let sections = TEXTS.split("=== ").filter_map(|section| section.split_once('\n'));
    let texts = sections.map(|(path, text)| (path, text.trim_end())).collect();
    let path = program.get_name().to_owned();
    add(program, &path, &texts)
}

/// The program with its help laid out for these arguments.
pub fn arranged(command: Command, arguments: &[OsString]) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let is_of_command = arguments.iter().any(|argument| names.iter().any(|name| argument == name.as_str()));
    if is_of_command {
        let hidden = |argument: clap::Arg| {
            let is_hidden = argument.is_global_set() && argument.get_id() != SHOWN;
            argument.hide(is_hidden)
        };
        return command.mut_args(hidden).mut_subcommands(hinted);
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{{all-args}}{{after-help}}",
        listed(&command)
    );
    command.help_template(template).subcommand_help_heading("Help").mut_subcommands(|below| below.hide(true))
}

/// Adds a line that says where the global options are documented.
fn hinted(command: Command) -> Command {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    command.after_help(format!("{after}\n\n{HINT}")).mut_subcommands(hinted)
}

/// The commands by their groups.
fn listed(command: &Command) -> String {
    let mut text = String::new();
    for (group, names) in GROUPS {
        let _ = writeln!(text, "Commands {group}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let lines = paragraph_lines(&about.unwrap_or_default(), HELP_WIDTH - NAME);
            for (place, line) in lines.iter().enumerate() {
                let name = if place == 0 { format!("  {name}") } else { String::new() };
                let _ = writeln!(text, "{name:<NAME$}{line}");
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::command, *};

    #[test]
    fn every_command_stands_in_one_group() {
        let command = command();
        let mut there: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        there.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, there);
    }

    #[test]
    fn every_text_belongs_to_a_command() {
        let programs = [command(), crate::interfaces::server::command()];
        for path in TEXTS.lines().filter_map(|line| line.strip_prefix("=== ")) {
            let (program, names) = path.split_once(' ').unwrap_or((path, ""));
            let program = programs.iter().find(|known| known.get_name() == program);
            let found =
                names.split_whitespace().try_fold(program.unwrap(), |command, name| command.find_subcommand(name));
            assert!(found.is_some(), "{path}");
        }
    }

    #[test]
    fn the_help_of_a_command_has_its_own_options_and_that_of_the_program_all() {
        let help = |arguments: &[&str]| {
            let given: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            let all = [OsString::from("haldir")].into_iter().chain(given.clone());
            arranged(command(), &given).try_get_matches_from(all).unwrap_err().to_string()
        };
        let of_log = help(&["log", "--help"]);
        assert!(of_log.contains("--follow") && of_log.contains("--json") && of_log.contains(HINT), "{of_log}");
        assert!(!of_log.contains("--tenant") && !of_log.contains("--profile"), "{of_log}");
        let whole = help(&["--help"]);
        assert!(whole.contains("--tenant") && whole.contains("Commands to decide:\n  approvals"), "{whole}");
    }
}
