//! `revokeApiKey`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::authenticate;
use crate::{
    call::{WriteContext, WriteOperation},
    error::Result,
    model::text::Text,
    store::ApiKeyUpdate,
    watch::{self, Draft},
};

/// Revoke an API key: it is refused from the next call on, in every process, and the sessions that it made end. Revoking
/// twice is no error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeApiKey {
    /// The key's first twelve characters.
    prefix: Text<1, 64>,
}

/// What was revoked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApiKeyRevoked {
    /// Always true.
    pub revoked: bool,
    /// The key's first characters.
    pub prefix: String,
}

impl WriteOperation for RevokeApiKey {
    type Output = ApiKeyRevoked;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ApiKeyRevoked> {
        let prefix = self.prefix.into_string();
        revoke(cx, &prefix)?;
        Ok(ApiKeyRevoked { revoked: true, prefix })
    }
}

/// Revokes the key with this prefix in the caller's tenant. Sessions that it created may not act from then on.
pub(super) fn revoke(cx: &mut WriteContext<'_>, prefix: &str) -> Result<()> {
    let ours = authenticate::own_keys(cx, prefix)?;
    for key in ours.iter().filter(|key| key.revoked_at.is_none()) {
        cx.tx.update_api_key(&key.digest, ApiKeyUpdate::Revoked(cx.now))?;
        let details = json!({"key_prefix": key.prefix, "name": key.name});
        watch::append(cx, Draft::governance("key.revoke", None, &details)?)?;
    }
    Ok(())
}
