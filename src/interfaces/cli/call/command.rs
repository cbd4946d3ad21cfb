//! An operation as a clap command.

use clap::{Arg, Command};
use unicode_width::UnicodeWidthStr;

use super::{super::HELP_WIDTH, field::Field};
use crate::operations::Operation;

pub const JSON_INPUT: &str = "json-input";
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Ids for the options of [`super::ServerOptions`]: an operation may have fields named `url` and `key`.
pub const URL: &str = "server-url";
pub const KEY: &str = "server-key";

/// The place in the help after all fields.
const OTHERS: usize = 1_000;

/// `createApiKey` is `create-api-key`.
pub fn name(operation: &Operation) -> String {
    let mut name = String::new();
    for c in operation.name.chars() {
        if c.is_ascii_uppercase() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The command of an operation.
pub fn of(operation: &'static Operation) -> Command {
    let fields = Field::all(operation);
    let description = operation.description();
    let summary = description.split_inclusive(". ").next().unwrap_or_default().trim().trim_end_matches('.').to_owned();
    let has_flag = |flag: &str| fields.iter().any(|field| field.flag == flag);
    let is_idempotent = operation.takes_idempotency_key();
    let mut command = Command::new(name(operation))
        .about(summary)
        .long_about(description)
        .after_help(example(operation, &fields))
        // In the order of the list: what is required comes first.
        .args(fields.iter().enumerate().map(|(place, field)| field.argument().display_order(place)))
        .arg(json_input());
    if is_idempotent {
        command = command.arg(idempotency_key());
    }
    // Where a field has one of these names, the flag is the field's, and the server's stands before `call`.
    if !has_flag("url") {
        let help = "A haldir elsewhere, instead of the local store. Default: HALDIR_BASE_URL";
        command = command.arg(Arg::new(URL).long("url").value_name("URL").help(help).help_heading("Server"));
    }
    if !has_flag("key") {
        let help = "The API key; - reads it from standard input. Default: HALDIR_API_KEY";
        command = command.arg(Arg::new(KEY).long("key").value_name("KEY").help(help).help_heading("Server"));
    }
    command
}

fn json_input() -> Arg {
    Arg::new(JSON_INPUT)
        .long(JSON_INPUT)
        .value_name("JSON")
        .display_order(OTHERS)
        .help("The input as a JSON object, or - for standard input; flags add to it")
}

fn idempotency_key() -> Arg {
    Arg::new(IDEMPOTENCY_KEY)
        .long(IDEMPOTENCY_KEY)
        .value_name("KEY")
        .display_order(OTHERS)
        .help("Makes a retry with the same key and input return the first answer, for 24 hours")
}

/// A call with what is required, with an example of each field. Where that makes no useful call, `help.txt` has another one.
fn example(operation: &Operation, fields: &[Field]) -> String {
    let mut example = format!("Example:\n  haldir call {}", name(operation));
    let mut columns = example.lines().last().unwrap_or_default().width();
    for field in fields.iter().filter(|field| field.required) {
        let flag = format!(" --{} {}", field.flag, field.example);
        // With room for the backslash that continues the line.
        if columns + flag.width() + 2 > HELP_WIDTH {
            example.push_str(" \\\n   ");
            columns = 3;
        }
        columns += flag.width();
        example.push_str(&flag);
    }
    example
}

#[cfg(test)]
mod tests {
    use crate::interfaces::cli;

    #[test]
    fn every_example_names_what_a_person_would_write() {
        let program = cli::command();
        for command in program.find_subcommand("call").unwrap().get_subcommands() {
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.contains("haldir call") && !example.contains("TEXT"), "{example}");
        }
    }
}
