//! `haldir completions` and `haldir man`: shell completions and manual pages of both programs, generated from their arguments.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;

use super::{CommandError, GlobalOptions, command, files::unwritable, output::line};
use crate::{
    error::{Code, Error, Result},
    interfaces::server,
};

/// The programs that there are.
const PROGRAMS: [&str; 2] = ["haldir", SERVER];
const SERVER: &str = "haldir-mcp";

#[derive(Args)]
pub struct CompletionsOptions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
    /// The program whose arguments are completed.
    #[arg(long, value_name = "NAME", value_parser = PROGRAMS, default_value = PROGRAMS[0])]
    program: String,
}

#[derive(Args)]
pub struct ManOptions {
    /// The command whose page is printed, such as keys create; haldir-mcp is the server's. Default: haldir's own.
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands of both programs into this folder instead.
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    out: Option<PathBuf>,
}

fn program(name: &str) -> Command {
    if name == SERVER { server::command() } else { command() }
}

pub fn completions(options: &CompletionsOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut program(&options.program), &options.program, &mut script);
    if global.json {
        let (script, shell) = (String::from_utf8_lossy(&script), options.shell.to_string());
        return line(&json!({"program": options.program, "shell": shell, "script": script}).to_string());
    }
    Ok(io::stdout().lock().write_all(&script)?)
}

pub fn man(options: &ManOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    if let Some(folder) = &options.out {
        let pages = write_all(folder).map_err(|error| unwritable("out", folder, &error))?;
        let text = format!("wrote {pages} pages to {}", folder.display());
        return line(&if global.json { json!({"folder": folder, "pages": pages}).to_string() } else { text });
    }
    let mut page = Vec::new();
    Man::new(find(&options.command)?).render(&mut page)?;
    if global.json {
        return line(&json!({"page": String::from_utf8_lossy(&page)}).to_string());
    }
    Ok(io::stdout().lock().write_all(&page)?)
}

/// The command of this path.
fn find(path: &[String]) -> Result<Command> {
    let (root, path) = match path.split_first() {
        Some((first, rest)) if PROGRAMS.contains(&first.as_str()) => (program(first), rest),
        _ => (command(), path),
    };
    let mut root = root.disable_help_subcommand(true);
    // So that each command knows its whole name.
    root.build();
    let mut command = &root;
    for name in path {
        command = command.find_subcommand(name).ok_or_else(|| {
            let message = format!("there is no command {name} in {}: see its --help", command.get_name());
            Error::new(Code::InvalidArgument, message).field("command")
        })?;
    }
    Ok(command.clone())
}

/// Writes the pages of all commands; returns how many.
fn write_all(folder: &Path) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    for name in PROGRAMS {
        clap_mangen::generate_to(program(name), folder)?;
    }
    Ok(PROGRAMS.iter().map(|name| count(&program(name))).sum())
}

fn count(command: &Command) -> usize {
    1 + command.get_subcommands().filter(|command| !command.is_hide_set()).map(count).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::interfaces::cli::HELP_WIDTH;

    #[test]
    fn each_command_has_an_example_whose_lines_are_not_broken() {
        fn look(command: &Command, problems: &mut Vec<String>) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            if !help.contains("Example") {
                problems.push(format!("{} has no example", command.get_name()));
            }
            let broken = help.lines().filter(|line| line.starts_with("  ") && line.width() > HELP_WIDTH);
            problems.extend(broken.map(|line| format!("{}: {line}", command.get_name())));
            for command in command.get_subcommands() {
                look(command, problems);
            }
        }
        let mut problems = Vec::new();
        for name in PROGRAMS {
            look(&program(name), &mut problems);
        }
        assert!(problems.is_empty(), "{problems:#?}");
    }
}
