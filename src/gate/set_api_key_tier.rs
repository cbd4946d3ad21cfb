//! `setApiKeyTier`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::authenticate;
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Code, Error, Result},
    model::{Tier, text::Text},
    store::ApiKeyUpdate,
    watch::{self, Draft},
};

/// Change an API key's hourly limit, from the next call on. It has an effect only where the server limits calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetApiKeyTier {
    /// The key's first twelve characters.
    prefix: Text<1, 64>,
    /// Its hourly limit: free 100 calls, pro 5,000, enterprise 50,000, unless the server has other figures.
    tier: Tier,
}

/// What was changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApiKeyTierSet {
    /// The key's first characters.
    prefix: String,
    /// Its hourly limit from now on.
    tier: Tier,
    /// Its tier before.
    previous_tier: Tier,
}

impl WriteOperation for SetApiKeyTier {
    type Output = ApiKeyTierSet;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ApiKeyTierSet> {
        let prefix = self.prefix.into_string();
        let ours = authenticate::own_keys(cx, &prefix)?;
        let key = ours.iter().find(|key| authenticate::is_live(key, cx.now)).ok_or_else(|| {
            Error::new(Code::Conflict, format!("the key {prefix} is revoked or has expired")).field("prefix")
        })?;
        cx.tx.update_api_key(&key.digest, ApiKeyUpdate::Tier(self.tier))?;
        let details = json!({"key_prefix": key.prefix, "tier": self.tier, "previous_tier": key.tier});
        watch::append(cx, Draft::governance("key.tier", None, &details)?)?;
        Ok(ApiKeyTierSet { prefix, tier: self.tier, previous_tier: key.tier })
    }
}
