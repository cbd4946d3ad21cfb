//! Where a command works: the store of this machine, or a haldir server elsewhere.

use std::{io::IsTerminal, path::Path};

use serde_json::Value;
use tokio::runtime::Runtime;

use super::{
    GlobalOptions,
    local::{self, Local},
    output::note,
    stdin::StandardInput,
};
use crate::{
    config::secret_variable,
    error::{Error, Result},
    faces::remote::Remote,
    model::Credential,
    operations::{self, CallOptions, Operation, Reply},
};

/// The environment variable that names a server when `--url` does not.
const SERVER_VARIABLE: &str = "HALDIR_BASE_URL";

/// The address of the server that a command goes to: `--url`, or `HALDIR_BASE_URL`; none for the local store.
pub fn server_address(option: Option<&str>) -> Option<String> {
    let variable = || std::env::var(SERVER_VARIABLE).ok();
    option.map(str::to_owned).or_else(variable).filter(|url| !url.is_empty())
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
        Self::server(global)?.map_or_else(|| Self::store(global, Local::open_existing(global)?), Ok)
    }

    /// The same; a local store that does not exist is created.
    pub fn open_or_create(global: &GlobalOptions) -> Result<Self> {
        Self::server(global)?.map_or_else(|| Self::store(global, Local::open(global)?), Ok)
    }

    fn server(global: &GlobalOptions) -> Result<Option<Self>> {
        let Some(url) = server_address(global.server.url.as_deref()) else { return Ok(None) };
        let key = match &global.server.key {
            Some(key) => Some(StandardInput::default().value("key", key)?),
            None => secret_variable("HALDIR_API_KEY"),
        };
        announce_server(global, &url);
        let credential = key.map_or(Credential::Anonymous, Credential::ApiKey);
        Ok(Some(Self::Server(Box::new(Remote::new(&url)?), credential, local::runtime()?)))
    }

    fn store(global: &GlobalOptions, mut local: Local) -> Result<Self> {
        if let Some(key) = &global.server.key {
            local.credential = Credential::ApiKey(StandardInput::default().value("key", key)?);
        }
        Ok(Self::Store(Box::new(local)))
    }

    /// Calls the operation of this name with a JSON text as input.
    pub fn call(&self, name: &str, input: &str) -> Result<Reply> {
        match self {
            Self::Store(local) => local.call_named(name, input),
            Self::Server(remote, credential, runtime) => {
                runtime.block_on(remote.call(named(name)?, credential, input, CallOptions::default()))
            }
        }
    }

    /// The same, from and to JSON values.
    pub fn call_value(&self, name: &str, input: &Value) -> Result<Value> {
        serde_json::from_str(&self.call(name, &input.to_string())?.body).map_err(Error::internal)
    }

    /// The answer of an operation that streams it, piece by piece.
    pub fn stream(&self, name: &str, input: &str, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self {
            Self::Store(local) => local.stream(named(name)?, input, each),
            Self::Server(remote, credential, runtime) => {
                runtime.block_on(remote.stream(named(name)?, credential, input, each))
            }
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
        let answer = self.call_value("listLogKeys", &serde_json::json!({}))?;
        let keys = answer["keys"].as_array().into_iter().flatten();
        Ok(keys.filter_map(|key| key["verifier_key"].as_str().map(str::to_owned)).collect())
    }
}

fn named(name: &str) -> Result<&'static Operation> {
    operations::named(name).ok_or_else(|| Error::internal(format!("no operation {name}")))
}

/// Names the server on standard error, so that a command that went elsewhere than meant is noticed.
pub fn announce_server(global: &GlobalOptions, url: &str) {
    if !global.json {
        note(&format!("haldir: on the server {url}"));
    }
}

/// Names the local store where a person reads along. A script has named it itself, or works on the default one.
pub fn announce_store(global: &GlobalOptions, path: &Path) {
    if !global.json && std::io::stderr().is_terminal() {
        note(&format!("haldir: on the store {}", path.display()));
    }
}
