//! Where a command works: the store of this machine, or a haldir server elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::{
    CommandError, GlobalOptions, ServerOptions,
    local::{self, Local},
    output::{Screen, line, note, printable, sentence},
    profile::{self, Profiles},
    stdin::StandardInput,
};
use crate::{
    config::secret_variable,
    error::{Code, Error, Result},
    interfaces::remote::Remote,
    model::Credential,
    operations::{self, CallOptions, Operation, Reply},
    watch::list_log_keys::LogKeys,
};

/// The environment variable that names a server when `--url` does not.
pub const SERVER_VARIABLE: &str = "HALDIR_BASE_URL";
/// The one with the key for it.
pub const KEY_VARIABLE: &str = "HALDIR_API_KEY";

/// Data that is older is said to be.
const SHOWN_AGE: Duration = Duration::from_secs(1);

/// Operations on something that has to exist, and the command that lists it.
const LISTS: [(&[&str], &str); 11] = [
    (&["getAuditEntry"], "log --ids"),
    (&["getApproval", "approveRequest", "denyRequest"], "approvals list"),
    (&["deleteApprovalRule"], "approvals rules list"),
    (&["deleteComplianceSchedule"], "compliance schedules list"),
    (&["revokeApiKey", "setApiKeyTier"], "keys list"),
    (&["capturePayment", "voidPayment"], "payments list"),
    (&["deleteProxyPolicy"], "policy list"),
    (&["deleteSecret"], "secrets list"),
    (&["nameTenant"], "tenants list"),
    (&["deleteUpstream", "acceptTools"], "upstreams list"),
    (&["deleteWebhook", "pingWebhook", "rotateWebhookSecret"], "webhooks list"),
];

/// Where a command goes, before anything is opened.
pub enum Destination {
    /// The store of this machine, as its operator or with the key that a flag gives.
    Store(Option<Zeroizing<String>>),
    /// A server, and the key that calls bear.
    Server {
        /// Its address.
        url: String,
        /// `None`: calls bear none.
        key: Option<Zeroizing<String>>,
        /// The profile that names it, if one does.
        profile: Option<String>,
    },
}

impl Destination {
    /// A flag goes before the environment, that before the default profile, and that before the store: `--url`,
    /// `--profile`, `--db`, `HALDIR_BASE_URL`, `HALDIR_PROFILE`, `HALDIR_DB`. A profile's key goes to the profile's server only;
    /// `--key` and `HALDIR_API_KEY` go before it. On the store both make a command act within that key; an empty `--key` stands
    /// for none.
    pub fn find(global: &GlobalOptions, server: &ServerOptions, stdin: &mut StandardInput) -> Result<Self> {
        let given = server.key.as_deref().map(|key| stdin.value("key", key)).transpose()?;
        let on_store = |given: Option<Zeroizing<String>>| {
            Ok(Self::Store(given.or_else(key_for_store).filter(|key| !key.is_empty())))
        };
        let at = |url: String, given| Self::Server { url, key: given, profile: None };
        if let Some(url) = &server.url {
            if global.profile.is_some() {
                return Err(Error::invalid("profile", "--url and --profile both name a server: give one of them"));
            }
            let variable = || secret_variable(KEY_VARIABLE);
            // An empty one means none: the store, whatever the environment says.
            return if url.is_empty() { on_store(given) } else { Ok(at(url.clone(), given.or_else(variable))) };
        }
        if let Some(name) = &global.profile {
            // Named by a flag, so that its own key goes before that of the environment.
            return Self::of_profile(name, given);
        }
        if global.given.contains_key("db") {
            return on_store(given);
        }
        let with_variable = |given: Option<Zeroizing<String>>| given.or_else(|| secret_variable(KEY_VARIABLE));
        if let Some(url) = std::env::var(SERVER_VARIABLE).ok().filter(|url| !url.is_empty()) {
            return Ok(at(url, with_variable(given)));
        }
        if let Some(name) = profile::of_environment()? {
            return Self::of_profile(&name, with_variable(given));
        }
        if global.store.db.is_some() {
            return on_store(given);
        }
        // Without a home directory there is no profile, and the store says what it misses.
        let Ok(file) = profile::file() else { return on_store(given) };
        match Profiles::read(&file)?.get(profile::DEFAULT) {
            Some(_) => Self::of_profile(profile::DEFAULT, with_variable(given)),
            None => on_store(given),
        }
    }

    fn of_profile(name: &str, given: Option<Zeroizing<String>>) -> Result<Self> {
        let profiles = Profiles::read(&profile::file()?)?;
        let Some(found) = profiles.get(name) else {
            let message = format!(
                "there is no profile {name}: `haldir login --profile {name}` makes it, and `haldir whoami --all` \
                 lists those that there are"
            );
            return Err(Error::new(Code::NotFound, message).field("profile"));
        };
        let key = given.or_else(|| Some(found.key.clone()));
        Ok(Self::Server { url: found.url.clone(), key, profile: Some(name.to_owned()) })
    }

    /// Whether it is a server.
    pub fn is_server(global: &GlobalOptions) -> Result<bool> {
        // Standard input is read once, by the command itself.
        let server = ServerOptions { url: global.server.url.clone(), key: None };
        Ok(matches!(Self::find(global, &server, &mut StandardInput::default())?, Self::Server { .. }))
    }
}

/// What a command's operations run on.
pub enum Target {
    /// The store of this machine.
    Store(Box<Local>),
    /// A server, with the key that calls bear.
    Server(Box<Remote>, Credential, Runtime),
}

impl Target {
    /// The server that was named, or else the local store, which must exist.
    pub fn open(global: &GlobalOptions) -> Result<Self> {
        Self::at(global, Local::open_existing)
    }

    /// The same; a local store that does not exist is created.
    pub fn open_or_create(global: &GlobalOptions) -> Result<Self> {
        Self::at(global, Local::open)
    }

    fn at(global: &GlobalOptions, store: fn(&GlobalOptions) -> Result<Local>) -> Result<Self> {
        Self::open_destination(global, Destination::find(global, &global.server, &mut StandardInput::default())?, store)
    }

    /// A place that was found before; `store` opens the local one.
    pub fn open_destination(
        global: &GlobalOptions,
        place: Destination,
        store: fn(&GlobalOptions) -> Result<Local>,
    ) -> Result<Self> {
        match place {
            Destination::Store(key) => {
                let mut local = store(global)?;
                if let Some(key) = key {
                    local.credential = Credential::ApiKey(key);
                }
                Ok(Self::Store(Box::new(local)))
            }
            Destination::Server { url, key, profile } => {
                announce_server(global, &url, profile.as_deref());
                Self::at_server(&url, key)
            }
        }
    }

    /// A server, whatever else is named.
    pub fn at_server(url: &str, key: Option<Zeroizing<String>>) -> Result<Self> {
        let credential = key.map_or(Credential::Anonymous, Credential::ApiKey);
        Ok(Self::Server(Box::new(Remote::new(url)?), credential, local::runtime()?))
    }

    /// Calls the operation of this name with a JSON text as input.
    pub fn call(&self, name: &str, input: &str) -> Result<Reply> {
        self.call_with(named(name)?, input, CallOptions::default()).map_err(|mut error| {
            let list = LISTS.iter().find(|(names, _)| error.code == Code::NotFound && names.contains(&name));
            if let Some((_, list)) = list {
                error.message = format!("{}: `haldir {list}` lists what there is", error.message);
            }
            explain(error)
        })
    }

    /// Calls an operation, with an idempotency key perhaps.
    pub fn call_with(&self, operation: &'static Operation, input: &str, options: CallOptions) -> Result<Reply> {
        match self {
            Self::Store(local) => local.call(operation, input, options),
            Self::Server(remote, credential, runtime) => {
                runtime.block_on(remote.call(operation, credential, input, options))
            }
        }
    }

    /// What a server says at a path that needs no key, whatever its status.
    pub fn public(&self, path: &str) -> Result<String> {
        match self {
            Self::Store(_) => Err(Error::internal(format!("the store has no {path}"))),
            Self::Server(remote, _, runtime) => runtime.block_on(remote.public(path)),
        }
    }

    /// Calls an operation and reads its response. The input becomes text at once, so that amounts in it stay exact.
    pub fn read<T: DeserializeOwned>(&self, name: &str, input: impl Serialize) -> Result<T> {
        let input = serde_json::to_string(&input).map_err(Error::internal)?;
        serde_json::from_str(&self.call(name, &input)?.body).map_err(Error::internal)
    }

    /// Calls an operation and shows its response: with `--json` as it came, otherwise by `show`.
    pub fn show<T: DeserializeOwned>(
        &self,
        global: &GlobalOptions,
        name: &str,
        input: impl Serialize,
        show: impl FnOnce(T) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let input = serde_json::to_string(&input).map_err(Error::internal)?;
        let reply = self.call(name, &input)?;
        note_age(&reply);
        if global.json {
            return line(&reply.body);
        }
        show(serde_json::from_str(&reply.body).map_err(Error::internal)?)
    }

    /// The answer of an operation that streams it, piece by piece.
    pub fn stream(&self, name: &str, input: &str, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self {
            Self::Store(local) => local.stream(named(name)?, input, each),
            Self::Server(remote, credential, runtime) => {
                runtime.block_on(remote.stream(named(name)?, credential, input, each))
            }
        }
        .map_err(explain)
    }

    /// Writes such a response to standard output as it arrives.
    pub fn stream_to_output(&self, name: &str, input: &str) -> Result<(), CommandError> {
        let mut out = std::io::stdout().lock();
        // The reading program may have seen enough, such as `head`: `Stop` decides about that.
        let mut unwritten = None;
        let streamed = self.stream(name, input, &mut |piece| {
            out.write_all(piece).and_then(|()| out.flush()).map_err(|error| {
                unwritten = Some(error);
                Error::new(Code::Unavailable, "standard output cannot be written")
            })
        });
        match unwritten {
            Some(error) => Err(CommandError::Output(error)),
            None => Ok(streamed?),
        }
    }

    /// Whether this is a local store that has no key yet.
    pub fn is_store_without_keys(&self) -> Result<bool> {
        match self {
            Self::Store(local) => local.haldir.has_no_key(),
            Self::Server(..) => Ok(false),
        }
    }

    /// The current checkpoint, a signed note.
    pub fn checkpoint(&self) -> Result<String> {
        let mut bytes = Vec::new();
        self.stream("getCheckpoint", "{}", &mut |piece| {
            bytes.extend_from_slice(piece);
            if bytes.len() > crate::crypto::MAX_NOTE_BYTES {
                return Err(Error::internal("the checkpoint is too long"));
            }
            Ok(())
        })?;
        String::from_utf8(bytes).map_err(Error::internal)
    }

    /// The log's verifier keys, the newest first.
    pub fn keys(&self) -> Result<Vec<String>> {
        let LogKeys { keys, .. } = self.read("listLogKeys", json!({}))?;
        Ok(keys.into_iter().map(|key| key.verifier_key).collect())
    }
}

impl GlobalOptions {
    /// Calls an operation of the server that was named, or else of the local store, which must exist, and shows its
    /// response; see [`Target::show`].
    pub fn show<T: DeserializeOwned>(
        &self,
        name: &str,
        input: impl Serialize,
        show: impl FnOnce(T) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        Target::open(self)?.show(self, name, input, show)
    }

    /// Calls an operation, as [`Self::show`] does, and says what it has done.
    pub fn done(&self, name: &str, input: impl Serialize, sentence: &str) -> Result<(), CommandError> {
        self.show(name, input, |_: Value| line(&printable(sentence)))
    }

    /// Standard output, as these options want it written.
    pub fn screen(&self) -> Screen {
        Screen::new(self.json)
    }

    /// Shows what a command did: with `--json` this document, otherwise this sentence.
    pub fn report(&self, document: &Value, text: &str) -> Result<(), CommandError> {
        if self.json { line(&document.to_string()) } else { sentence(&printable(text)) }
    }
}

/// The same error with what a person at a terminal can do about it: they have no headers to set.
pub fn explain(error: Error) -> Error {
    if error.code != Code::Unauthorized {
        return error;
    }
    let message = "the API key is unknown there, was revoked, or has expired; or none was given. Give another one with \
                   --key - or HALDIR_API_KEY, or store one with haldir login. The local store needs none: its operator makes \
                   keys with `haldir keys create`, and `haldir keys list` shows them";
    Error { message: message.to_owned(), ..error }
}

/// The key of the environment for the local store. Where the environment names a server, its key is that server's.
fn key_for_store() -> Option<Zeroizing<String>> {
    let is_server_s = std::env::var(SERVER_VARIABLE).is_ok_and(|url| !url.is_empty());
    secret_variable(KEY_VARIABLE).filter(|key| !is_server_s && !key.is_empty())
}

/// Refuses to do what no key allows as if the key of the environment allowed it.
pub fn require_no_key_of_environment() -> Result<()> {
    if key_for_store().is_none() {
        return Ok(());
    }
    let message = format!(
        "{KEY_VARIABLE} is set, but this command works on files of this machine as the store's operator, whatever a key may do: \
         unset it first"
    );
    Err(Error::invalid("key", message))
}

fn named(name: &str) -> Result<&'static Operation> {
    operations::named(name).ok_or_else(|| Error::internal(format!("no operation {name}")))
}

/// Names the server on standard error, so that a command that went elsewhere than meant is noticed.
pub fn announce_server(global: &GlobalOptions, url: &str, profile: Option<&str>) {
    if !global.json {
        let by = profile.map_or_else(String::new, |name| format!(" (profile {name})"));
        note(&printable(&format!("haldir: on the server {url}{by}")));
    }
}

/// Says how old what is shown is, where a replica has answered that is behind.
pub fn note_age(reply: &Reply) {
    if let Some(age) = reply.data_age.filter(|age| *age > SHOWN_AGE) {
        note(&format!("haldir: the data is {:.1} s old", age.as_secs_f64()));
    }
}

/// Names the local store where a person reads along. A script has named it itself, or works on the default one.
pub fn announce_store(global: &GlobalOptions, place: &str) {
    if !global.json && std::io::stderr().is_terminal() {
        note(&format!("haldir: on the store {place}"));
    }
}
