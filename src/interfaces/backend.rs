//! Where an interface's calls go: to the store of this process, or to a haldir elsewhere.

use super::remote::Remote;
use crate::{
    error::Result,
    model::Credential,
    operations::{CallOptions, Haldir, Operation, Reply},
};

/// The receiver of calls.
#[derive(Clone)]
pub enum Backend {
    /// The store of this process.
    Local(Haldir),
    /// A haldir elsewhere, by its REST API.
    Remote(Remote),
}

impl Backend {
    /// Calls an operation with the JSON text of its input.
    pub async fn call(
        &self,
        operation: &'static Operation,
        credential: &Credential,
        input: &str,
        options: CallOptions,
    ) -> Result<Reply> {
        match self {
            Self::Local(haldir) => haldir.call(operation, credential, input, options).await,
            Self::Remote(remote) => remote.call(operation, credential, input, options).await,
        }
    }

    /// Counts a request that calls no operation, or refuses it; where calls go elsewhere, nothing is counted here.
    pub async fn admit(&self, credential: &Credential) -> Result<()> {
        match self {
            Self::Local(haldir) => {
                haldir.authenticate_only(credential)?;
                haldir.admit(credential).await
            }
            Self::Remote(_) => Ok(()),
        }
    }

    /// Whether the credential is good; where calls go elsewhere, elsewhere decides that with every call.
    pub fn authenticate(&self, credential: &Credential) -> Result<()> {
        match self {
            Self::Local(haldir) => haldir.authenticate_only(credential),
            Self::Remote(_) => Ok(()),
        }
    }
}
