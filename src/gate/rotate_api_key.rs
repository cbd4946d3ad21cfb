//! `rotateApiKey`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::{authenticate, create_api_key};
use crate::{
    call::{WriteContext, WriteOperation},
    crypto,
    error::{Code, Error, Result},
    model::{
        ApiKey, KEY_PREFIX, Role, Tier, UnixMicros,
        caller::{key_scope_covers, tighter},
        text::Text,
    },
    store::ApiKeyUpdate,
    watch::{self, Draft},
};

/// The default overlap, in seconds: an hour.
const DEFAULT_GRACE: i64 = 3_600;
/// The longest overlap, in seconds: seven days.
const MAX_GRACE: i64 = 604_800;

/// Replace an API key by a new one with the same name, tier, role, scopes and ceilings. The old key stays valid for an
/// overlap, so that its users can change over. The new key is shown once. An operator can replace keys that allow no
/// more than the operator's own key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateApiKey {
    /// The old key's first twelve characters.
    prefix: Text<1, 64>,
    /// Seconds for which the old key stays valid; 0 ends it now. Default: 3600.
    #[schemars(range(min = 0, max = 604_800), extend("default" = 3_600))]
    grace_seconds: Option<i64>,
}

/// The new key.
#[derive(Serialize, JsonSchema)]
pub struct ApiKeyRotated {
    /// The new key itself, shown only now: it is not stored.
    #[schemars(with = "String")]
    key: Zeroizing<String>,
    /// Its first characters.
    prefix: String,
    /// What people call it.
    name: String,
    /// Its hourly limit.
    tier: Tier,
    /// Its role.
    role: Role,
    /// What it may reach.
    scopes: Vec<String>,
    /// When it expires; null is never.
    expires_at: Option<UnixMicros>,
    /// The old key's first characters.
    previous_prefix: String,
    /// When the old key ends.
    previous_expires_at: UnixMicros,
    /// Seconds until then.
    grace_seconds: i64,
    /// What to do now.
    message: &'static str,
}

impl WriteOperation for RotateApiKey {
    type Output = ApiKeyRotated;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ApiKeyRotated> {
        let grace = self.grace_seconds.unwrap_or(DEFAULT_GRACE);
        if !(0..=MAX_GRACE).contains(&grace) {
            let message = format!("grace_seconds must be from 0 to {MAX_GRACE}");
            return Err(Error::invalid("grace_seconds", message));
        }
        let prefix = self.prefix.into_string();
        let ours = authenticate::own_keys(cx, &prefix)?;
        let old = ours.iter().find(|key| authenticate::is_live(key, cx.now)).ok_or_else(|| {
            Error::new(Code::Conflict, format!("the key {prefix} is revoked or has expired: make a new one"))
                .field("prefix")
        })?;
        check_reach(cx, old)?;
        let ends = tighter(Some(cx.now.plus_seconds(grace)), old.expires_at).unwrap_or(cx.now);
        cx.tx.update_api_key(&old.digest, ApiKeyUpdate::Expires(ends))?;
        let details = json!({"key_prefix": old.prefix, "name": old.name, "ends_at": ends});
        watch::append(cx, Draft::governance("key.rotate", None, &details)?)?;
        let secret = Zeroizing::new(crypto::token::<32>(KEY_PREFIX).map_err(Error::internal)?);
        let new = ApiKey { created_at: cx.now, last_used_at: None, ..ApiKey::clone(old) };
        let new = create_api_key::record(cx, new, &secret)?;
        Ok(ApiKeyRotated {
            key: secret,
            prefix: new.prefix,
            name: new.name,
            tier: new.tier,
            role: new.role,
            scopes: new.scopes,
            expires_at: new.expires_at,
            previous_prefix: prefix,
            previous_expires_at: ends,
            grace_seconds: ends.seconds_since(cx.now),
            message: "Keep this key in a safe place: it is not stored here and will not be shown again.",
        })
    }
}

/// The caller gets the new key, which must not allow more than the caller's own key.
fn check_reach(cx: &WriteContext<'_>, old: &ApiKey) -> Result<()> {
    let maker = cx.caller;
    if maker.is_key && maker.principal == old.prefix {
        return Ok(());
    }
    for scope in &old.scopes {
        if !maker.permissions.iter().any(|own| key_scope_covers(own, scope)) {
            let message =
                format!("this key reaches `{scope}`, which yours does not: an operator who may has to rotate it");
            return Err(Error::new(Code::InsufficientScope, message).field("prefix"));
        }
    }
    let within = old.ceilings.clone().tightened_by(&maker.ceilings) == old.ceilings
        && tighter(old.expires_at, maker.expires_at) == old.expires_at;
    if within {
        return Ok(());
    }
    let message = "this key has higher ceilings, or a longer life, than yours: an operator without has to rotate it";
    Err(Error::new(Code::CeilingExceeded, message).field("prefix"))
}
