//! `listApiKeys`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation, cut, page_size},
    error::Result,
    model::{ApiKey, Ceilings, Money, Role, Scopes, Tier, TimeCursor, UnixMicros},
};

/// Keys in one answer.
const MAX_LIMIT: i64 = 1_000;

/// List the API keys of this tenant, newest first: never the keys themselves, which are not stored.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListApiKeys {
    /// How many at most. Default 1000.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 1_000))]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<TimeCursor>,
}

/// The keys.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyList {
    /// How many are in this answer.
    pub count: usize,
    /// Newest first.
    pub keys: Vec<ApiKeyDetail>,
    /// The cursor of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// A key as it is listed. Times are Unix seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct ApiKeyDetail {
    /// Its first characters.
    pub prefix: String,
    pub name: String,
    pub tier: Tier,
    pub role: Role,
    pub scopes: Vec<String>,
    /// The scopes that a session created with it may have; null is no list.
    pub max_scopes: Option<Scopes>,
    /// The most that one session may spend, in USD; null is no limit.
    pub max_spend: Option<Money>,
    /// The most that all sessions created with it may spend together in a UTC day, in USD; null is no limit of its own.
    pub max_daily_spend: Option<Money>,
    /// The longest life of a session, in seconds; null is no limit.
    pub max_ttl: Option<i64>,
    pub created_at: UnixMicros,
    /// Null is never.
    pub expires_at: Option<UnixMicros>,
    /// Exact to about a minute; null is never.
    pub last_used: Option<UnixMicros>,
    pub revoked: bool,
}

impl From<ApiKey> for ApiKeyDetail {
    fn from(key: ApiKey) -> Self {
        let Ceilings { scopes, spend, daily, ttl, .. } = key.ceilings;
        Self {
            prefix: key.prefix,
            name: key.name,
            tier: key.tier,
            role: key.role,
            scopes: key.scopes,
            max_scopes: scopes,
            max_spend: spend,
            max_daily_spend: daily,
            max_ttl: ttl,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used: key.last_used_at,
            revoked: key.revoked_at.is_some(),
        }
    }
}

impl ReadOperation for ListApiKeys {
    type Output = ApiKeyList;

    fn run(self, cx: &ReadContext<'_>) -> Result<ApiKeyList> {
        let limit = page_size(self.limit.or(Some(MAX_LIMIT)), MAX_LIMIT)?;
        let before = self.cursor.map(|TimeCursor(at, id)| (at, id));
        let mut keys = cx.tx.api_keys(&cx.caller.tenant, before.as_ref(), limit + 1)?;
        let next_cursor = cut(&mut keys, limit, |last| format!("{}.{}", last.created_at.0, last.prefix));
        Ok(ApiKeyList { count: keys.len(), keys: keys.into_iter().map(Into::into).collect(), next_cursor })
    }
}
