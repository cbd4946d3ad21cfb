//! `haldir call`: every operation as a command, with flags made from the schema of its input.

mod command;
pub(in crate::interfaces) mod field;
mod input;

use std::{io::Write, process::ExitCode};

use clap::{ArgMatches, Command, FromArgMatches, Subcommand, error::ErrorKind};
use field::Field;
use zeroize::Zeroizing;

use super::{
    GlobalOptions, Screen, ServerOptions, Stop,
    local::{self, Local},
    stdin::StandardInput,
    target::{self, Place},
};
use crate::{
    error::{Code, Error, Result},
    interfaces::remote::Remote,
    model::Credential,
    operations::{self, CallOptions, Operation, Reply, Run},
};

pub const HELP: &str = "\
Without --url the call goes to the local store: as its operator, or, with --key or \
HALDIR_API_KEY, within what that key may do. With --url or HALDIR_BASE_URL it goes \
to the haldir there. A value - is read from standard input, so that a secret need \
not stand among the arguments.

Examples:
  haldir call create-session --agent-id research-bot --scopes read,spend:5
  printf %s \"$STRIPE_KEY\" |
    haldir call store-secret --name stripe_key --value -
  haldir call authorize-payment --session-id ses_… --amount 29.99 \\
    --idempotency-key order-17
  haldir call log-action --json-input \\
    '{\"session_id\": \"ses_…\", \"action\": \"read\", \"details\": {\"rows\": 3}}'
  haldir --url https://haldir.example.com call get-spend";

/// A call as it stands on the command line.
pub struct CallCommand {
    operation: &'static Operation,
    /// The fields that were given, as written.
    given: Vec<(Field, Vec<String>)>,
    json_input: Option<String>,
    idempotency_key: Option<String>,
    server: ServerOptions,
}

impl Subcommand for CallCommand {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(operations::all().iter().map(command::of))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        operation_of(name).is_some()
    }
}

fn operation_of(command: &str) -> Option<&'static Operation> {
    operations::all().iter().find(|operation| command::name(operation) == command)
}

impl FromArgMatches for CallCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let named = matches.subcommand().and_then(|(name, matches)| Some((operation_of(name)?, matches)));
        let Some((operation, matches)) = named else {
            return Err(clap::Error::raw(
                ErrorKind::MissingSubcommand,
                "name an operation, see `haldir call --help`\n",
            ));
        };
        // Not every operation has each of these flags.
        let text = |id: &str| matches.try_get_one::<String>(id).ok().flatten().cloned();
        let fields = Field::all(operation).into_iter().filter_map(|field| {
            let values = matches.get_many::<String>(&field.id())?.cloned().collect();
            Some((field, values))
        });
        Ok(Self {
            operation,
            given: fields.collect(),
            json_input: text(command::JSON_INPUT),
            idempotency_key: text(command::IDEMPOTENCY_KEY),
            server: ServerOptions { url: text(command::URL), key: text(command::KEY) },
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub fn run(command: CallCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let mut stdin = StandardInput::default();
    let input = input::build(&command.given, command.json_input.as_deref(), &mut stdin)?;
    let server = ServerOptions {
        url: command.server.url.or_else(|| global.server.url.clone()),
        key: command.server.key.or_else(|| global.server.key.clone()),
    };
    let (url, key) = match Place::find(global, &server, &mut stdin)? {
        Place::Server { url, key, profile } => {
            target::announce_server(global, &url, profile.as_deref());
            (Some(url), key)
        }
        Place::Store(key) => (None, key),
    };
    if matches!(command.operation.run, Run::Stream(_)) {
        stream(command.operation, url.as_deref(), global, key, &input)?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = CallOptions { idempotency_key: command.idempotency_key, ..CallOptions::default() };
    let reply = match url {
        Some(url) => elsewhere(command.operation, &url, key, &input, options),
        None => here(command.operation, global, key, &input, options),
    };
    screen.answer(&reply.map_err(target::explain)?.body)?;
    Ok(ExitCode::SUCCESS)
}

fn here(
    operation: &'static Operation,
    global: &GlobalOptions,
    key: Option<Zeroizing<String>>,
    input: &str,
    options: CallOptions,
) -> Result<Reply> {
    let mut local = if operation.run.changes() { Local::open(global)? } else { Local::open_existing(global)? };
    if let Some(key) = key {
        local.credential = Credential::ApiKey(key);
    }
    local.call(operation, input, options)
}

fn elsewhere(
    operation: &'static Operation,
    url: &str,
    key: Option<Zeroizing<String>>,
    input: &str,
    options: CallOptions,
) -> Result<Reply> {
    let credential = key.map_or(Credential::Anonymous, Credential::ApiKey);
    let remote = Remote::new(url)?;
    local::runtime()?.block_on(remote.call(operation, &credential, input, options))
}

/// Writes an answer to standard output as it arrives.
fn stream(
    operation: &'static Operation,
    url: Option<&str>,
    global: &GlobalOptions,
    key: Option<Zeroizing<String>>,
    input: &str,
) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    // Whoever reads may have seen enough, such as `head`: that is for the client to judge, and no failure of the call.
    let mut unwritten = None;
    let mut each = |piece: &[u8]| {
        out.write_all(piece).and_then(|()| out.flush()).map_err(|error| {
            unwritten = Some(error);
            Error::new(Code::Unavailable, "standard output cannot be written")
        })
    };
    let outcome = if let Some(url) = url {
        let credential = key.map_or(Credential::Anonymous, Credential::ApiKey);
        let remote = Remote::new(url)?;
        local::runtime()?.block_on(remote.stream(operation, &credential, input, &mut each))
    } else {
        let mut local = Local::open_existing(global)?;
        if let Some(key) = key {
            local.credential = Credential::ApiKey(key);
        }
        local.stream(operation, input, &mut each)
    };
    match unwritten {
        Some(error) => Err(Stop::Output(error)),
        None => Ok(outcome.map_err(target::explain)?),
    }
}
