//! `haldir secrets`: the names of what is in the vault. A value comes from the terminal, standard input or a file, never from
//! an argument, and is never shown.

use std::{fs::File, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    CommandError, GlobalOptions,
    files::read_bounded,
    output::{line, printable},
    prompt,
    stdin::remove_line_break,
    target::Target,
};
use crate::{
    error::{Error, Result},
    vault::{list_secrets::SecretList, store_secret::SecretStored},
};

/// The largest value, in bytes: as the operation has it, in characters.
const MAX_BYTES: usize = 64 * 1024 * 4;
/// Bytes of a JSON document that a byte of a value may become: `\u0000`.
const ESCAPED: usize = 6;
/// Room for the other members of the input.
const OTHERS: usize = 16 * 1024;
/// Names asked for at a time.
const PAGE: i64 = 1_000;

#[derive(Subcommand)]
pub enum SecretsCommand {
    /// Store a secret: its value is asked for, or comes from standard input or a file. A new value of a name is a new
    /// version.
    #[command(visible_alias = "store")]
    Set(SetOptions),
    /// List the names of all secrets.
    List,
    /// Delete a secret, for good.
    #[command(visible_aliases = ["delete", "remove"])]
    Rm {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        /// The session that deletes it, where an agent's key does.
        #[arg(long, value_name = "SESSION")]
        session: Option<String>,
    },
}

#[derive(Args)]
pub struct SetOptions {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The file that holds the value, as text.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The scope that a session must hold to read it. Default: read.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Never give it out: only the proxy puts it into calls.
    #[arg(long)]
    inject: bool,
    /// An upstream server that the proxy may send it to. May be repeated, or have commas between.
    #[arg(long = "upstream", value_name = "NAME", value_delimiter = ',')]
    upstreams: Option<Vec<String>>,
    /// The session that stores it, where an agent's key replaces a secret.
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
}

/// The input of `storeSecret`. Written as text at once, so that the value has no further copy.
#[derive(Serialize)]
struct Input<'a> {
    name: &'a str,
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope_required: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disclosure: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstreams: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
}

pub fn run(command: &SecretsCommand, global: &GlobalOptions) -> Result<(), CommandError> {
    match command {
        SecretsCommand::Set(options) => set(options, global),
        SecretsCommand::List => list(global),
        SecretsCommand::Rm { name, session } => {
            let input = json!({"name": name, "session_id": session});
            global.done("deleteSecret", input, &format!("deleted {name}"))
        }
    }
}

fn set(options: &SetOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    if global.server.key.as_deref() == Some("-") && options.file.is_none() && !prompt::can_ask() {
        let message = "the key and the value cannot both be read from standard input: give the key as HALDIR_API_KEY, or the \
                       value as --file";
        return Err(Error::invalid("key", message).into());
    }
    // First, so that no value is typed that cannot be stored.
    let target = Target::open_or_create(global)?;
    let value = match &options.file {
        Some(path) => of_file(path)?,
        None => prompt::secret("value", &printable(&format!("Value of {} (it is not shown)", options.name)))?,
    };
    if value.is_empty() {
        return Err(Error::invalid("value", "the value is empty: there is nothing to store").into());
    }
    let input = Input {
        name: &options.name,
        value: &value,
        scope_required: options.scope.as_deref(),
        disclosure: options.inject.then_some("inject"),
        upstreams: options.upstreams.as_deref(),
        session_id: options.session.as_deref(),
    };
    // Reserved in full, since growing would leave copies of the value behind.
    let mut text = Zeroizing::new(Vec::with_capacity(value.len() * ESCAPED + OTHERS));
    serde_json::to_writer(&mut *text, &input).map_err(Error::internal)?;
    let text = std::str::from_utf8(&text).map_err(Error::internal)?;
    let reply = target.call("storeSecret", text)?;
    if global.json {
        return line(&reply.body);
    }
    let SecretStored { name, version, .. } = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    line(&printable(&format!("stored {name}, version {version}")))
}

fn of_file(path: &std::path::Path) -> Result<Zeroizing<String>> {
    // Reserved in full, as above.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES + 1));
    let read = File::open(path).and_then(|file| read_bounded(file, MAX_BYTES as u64, &mut text));
    read.map_err(|error| Error::invalid("file", format!("{}: {error}", path.display())))?;
    remove_line_break(&mut text);
    Ok(text)
}

fn list(global: &GlobalOptions) -> Result<(), CommandError> {
    let target = Target::open(global)?;
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let page: SecretList = target.read("listSecrets", json!({"limit": PAGE, "cursor": cursor}))?;
        names.extend(page.secrets);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if global.json {
        return line(&json!({"count": names.len(), "secrets": names}).to_string());
    }
    if names.is_empty() {
        return line("there is no secret: `haldir secrets set NAME` stores one");
    }
    names.iter().try_for_each(|name| line(&printable(name.as_str())))
}
