//! `haldir call`: every operation as a command, with flags made from the schema of its input.

mod command;
pub(in crate::interfaces) mod field;
mod input;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand, error::ErrorKind};
use field::Field;

use super::{
    CommandError, GlobalOptions, ServerOptions,
    local::Local,
    stdin::StandardInput,
    target::{self, Destination, Target},
};
use crate::{
    error::Result,
    operations::{self, CallOptions, Operation, Run},
};

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

pub fn run(command: CallCommand, global: &GlobalOptions) -> Result<(), CommandError> {
    let CallCommand { operation, given, json_input, idempotency_key, server } = command;
    let mut stdin = StandardInput::default();
    let input = input::build(&given, json_input.as_deref(), &mut stdin)?;
    let server = ServerOptions {
        url: server.url.or_else(|| global.server.url.clone()),
        key: server.key.or_else(|| global.server.key.clone()),
    };
    let place = Destination::find(global, &server, &mut stdin)?;
    let open: fn(&GlobalOptions) -> Result<Local> =
        if operation.run.changes() { Local::open } else { Local::open_existing };
    let target = Target::open_destination(global, place, open)?;
    if matches!(operation.run, Run::Stream(_)) {
        return target.stream_to_output(operation.name, &input);
    }
    let options = CallOptions { idempotency_key, ..CallOptions::default() };
    let reply = target.call_with(operation, &input, options).map_err(target::explain)?;
    target::note_age(&reply);
    global.screen().answer(&reply.body)
}
