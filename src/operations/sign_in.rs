//! Reads of the dashboard besides operations.

use super::{
    definition::Operation,
    engine::{Haldir, permitted},
};
use crate::{
    error::{Code, Error, Result},
    gate::authenticate::{self, PUBLIC_CHARS},
    model::{Caller, Credential, SignedInKey},
};

impl Haldir {
    /// Checks an API key that a person signs in with. Returns the credential to keep in place of the key.
    pub fn sign_in(&self, credential: &Credential) -> Result<(Credential, Caller)> {
        let caller = self.caller_of(credential)?;
        let Credential::ApiKey(key) = credential else { return Ok((credential.clone(), caller)) };
        let unknown = || Error::new(Code::Unauthorized, "no such API key");
        let prefix = key.get(..PUBLIC_CHARS).ok_or_else(unknown)?.to_owned();
        Ok((Credential::SignedIn(SignedInKey { prefix, digest: authenticate::digest(key) }), caller))
    }

    /// The number of entries in the caller's log, which grows with every recorded event of the tenant.
    pub fn log_size(&self, credential: &Credential) -> Result<i64> {
        let (now, services) = (self.now(), &self.inner.services);
        self.inner.store.read(|tx| {
            let caller = authenticate::authenticate(tx, services, credential, now)?.caller;
            Ok(tx.head(&caller.tenant)?.map_or(0, |head| head.seq))
        })
    }
}

impl Operation {
    /// Whether the role and the key scopes of `caller` cover this operation.
    pub fn is_open_to(&self, caller: &Caller) -> bool {
        permitted(self, caller).is_ok()
    }
}
