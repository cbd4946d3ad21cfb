//! The log that a command looks at: of the local store, or of a haldir elsewhere.

use serde_json::Value;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use crate::{
    config::secret_variable,
    error::{Error, Result},
    faces::{
        cli::{
            GlobalOptions, ServerOptions,
            local::{self, Local},
            stdin::StandardInput,
        },
        remote::Remote,
    },
    model::Credential,
    operations::{self, CallOptions},
};

pub enum Source {
    Here(Box<Local>),
    Elsewhere(Box<Remote>, Credential, Runtime),
}

impl Source {
    pub fn open(server: ServerOptions, global: &GlobalOptions) -> Result<Self> {
        let key = match server.key {
            Some(key) => Some(StandardInput::default().value("key", &key)?),
            None => secret_variable("HALDIR_API_KEY"),
        };
        let url = server.url.or_else(|| std::env::var("HALDIR_BASE_URL").ok().filter(|url| !url.is_empty()));
        let Some(url) = url else { return Ok(Self::Here(Box::new(Local::open_existing(global)?))) };
        let credential = key.map_or(Credential::Anonymous, |key: Zeroizing<String>| Credential::ApiKey(key));
        Ok(Self::Elsewhere(Box::new(Remote::new(&url)?), credential, local::runtime()?))
    }

    /// The JSON answer of an operation.
    pub fn call(&self, name: &str, input: &Value) -> Result<Value> {
        let operation = operations::named(name).ok_or_else(|| Error::internal(format!("no operation {name}")))?;
        let reply = match self {
            Self::Here(local) => local.call_named(name, &input.to_string())?,
            Self::Elsewhere(remote, credential, runtime) => {
                let options = CallOptions::default();
                runtime.block_on(remote.call(operation, credential, &input.to_string(), options))?
            }
        };
        serde_json::from_str(&reply.body).map_err(Error::internal)
    }

    /// The answer of an operation that streams it, piece by piece.
    pub fn stream(&self, name: &str, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let operation = operations::named(name).ok_or_else(|| Error::internal(format!("no operation {name}")))?;
        match self {
            Self::Here(local) => local.stream(operation, "{}", each),
            Self::Elsewhere(remote, credential, runtime) => {
                runtime.block_on(remote.stream(operation, credential, "{}", each))
            }
        }
    }

    /// The current checkpoint, a signed note.
    pub fn checkpoint(&self) -> Result<String> {
        let mut bytes = Vec::new();
        self.stream("getCheckpoint", &mut |piece| {
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
        let answer = self.call("listLogKeys", &serde_json::json!({}))?;
        let keys = answer["keys"].as_array().into_iter().flatten();
        Ok(keys.filter_map(|key| key["verifier_key"].as_str().map(str::to_owned)).collect())
    }
}
