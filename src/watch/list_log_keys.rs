//! `listLogKeys`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{canonical::hex, tree};
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::UnixMicros,
};

/// List the public keys that the heads of this log were signed with, the newest first, and the log's name in
/// checkpoints. Keep them elsewhere: a signature proves something only to who knows the key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListLogKeys {}

/// The log's name and keys.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogKeys {
    /// The log's name in checkpoints.
    pub origin: String,
    /// How many keys there are.
    pub count: usize,
    /// The newest first: that one signs.
    pub keys: Vec<LogKey>,
}

/// A public key.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogKey {
    /// Its name, also in /.well-known/jwks.json.
    pub key_id: String,
    /// Ed25519, 32 bytes in hexadecimal.
    pub public_key: String,
    /// As verifiers of signed notes take it: `<name>+<hash>+<key>` (C2SP signed-note).
    pub verifier_key: String,
    /// When it was made, in Unix seconds.
    pub created_at: UnixMicros,
    /// Since when it signs nothing any more, or from when on, in Unix seconds; null for the one in use.
    pub retires_at: Option<UnixMicros>,
}

impl ReadOperation for ListLogKeys {
    type Output = LogKeys;

    fn run(self, cx: &ReadContext<'_>) -> Result<LogKeys> {
        let tenant = &cx.caller.tenant;
        let origin = tree::origin(tenant, cx.services.keyring.tenant(cx.tx, tenant)?.log_name);
        let signing = cx.services.keyring.signing_keys(cx.tx)?;
        let keys: Vec<_> = signing
            .published()
            .iter()
            .map(|published| LogKey {
                key_id: published.key.id(),
                public_key: hex(published.key.as_bytes()),
                verifier_key: tree::verifier(&origin, published).to_string(),
                created_at: published.created_at,
                retires_at: published.retires_at,
            })
            .collect();
        Ok(LogKeys { origin, count: keys.len(), keys })
    }
}
