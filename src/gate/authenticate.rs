//! Authentication: from a credential to a caller. It reads the store on every call, so that a revocation takes effect with
//! the next call in every process.

use std::sync::Arc;

use crate::{
    call::{Services, Settings, WriteContext},
    crypto,
    error::{Code, Error, Result},
    model::{ApiKey, Caller, Ceilings, Credential, KEY_PREFIX, Role, SignedInKey, TenantId, Tier, UnixMicros},
    store::ReadTx,
};

/// Characters of a key's public prefix.
pub const PUBLIC_CHARS: usize = 12;

/// The error for a prefix that no key has. It shows only the first characters: the caller may have given a whole key.
pub fn unknown_key(prefix: &str) -> Error {
    let shown: String = prefix.chars().take(PUBLIC_CHARS).collect();
    Error::not_found(format!("the key {shown}")).field("prefix")
}

/// The keys with this prefix in the caller's tenant; an error if there is none.
pub fn own_keys(cx: &WriteContext<'_>, prefix: &str) -> Result<Vec<Arc<ApiKey>>> {
    let keys = cx.tx.api_keys_by_prefix(prefix)?;
    let ours: Vec<_> = keys.iter().filter(|key| key.tenant == cx.caller.tenant).cloned().collect();
    if ours.is_empty() { Err(unknown_key(prefix)) } else { Ok(ours) }
}

/// The shortest key that is accepted: a key that a client brings along must be as hard to guess as a generated one.
pub const MIN_KEY_CHARS: usize = 36;
/// The longest key that is accepted.
const MAX_KEY_CHARS: usize = 256;

/// A caller, and the digest under which their calls are counted.
#[derive(Debug)]
pub struct Authenticated {
    /// The caller.
    pub caller: Caller,
    /// The caller's key, if it has one.
    pub key: Option<Arc<ApiKey>>,
}

/// The caller with this credential. A missing, unknown, revoked and expired key get the same error.
pub fn authenticate(
    tx: &ReadTx,
    services: &Services,
    credential: &Credential,
    now: UnixMicros,
) -> Result<Authenticated> {
    let local = &services.settings.local_ceilings;
    let keyless = |tenant, principal: &str, role, permission: &str, ceilings| Authenticated {
        caller: Caller {
            tenant,
            principal: principal.to_owned(),
            role,
            permissions: vec![permission.to_owned()],
            ceilings,
            tier: Tier::Enterprise,
            expires_at: None,
            is_key: false,
        },
        key: None,
    };
    match credential {
        Credential::Anonymous => Err(unauthorized()),
        Credential::LocalAgent => Ok(keyless(TenantId::local(), "local", Role::Agent, "*", local.clone())),
        Credential::LocalOperator(tenant) => {
            Ok(keyless(tenant.clone(), "operator", Role::Operator, "*", Ceilings::NONE))
        }
        Credential::ApiKey(_) | Credential::SignedIn(_) => {
            let found = match credential {
                Credential::ApiKey(presented) => find_key(tx, presented)?,
                Credential::SignedIn(SignedInKey { prefix, digest }) => find_by_digest(tx, prefix, digest)?,
                _ => None,
            };
            let key = found.filter(|key| is_live(key, now)).ok_or_else(unauthorized)?;
            let ceilings = match key.role {
                Role::Operator => key.ceilings.clone(),
                Role::Agent => {
                    let Settings { key_defaults, key_ceilings, .. } = &services.settings;
                    key.ceilings.or(key_defaults).tightened_by(key_ceilings)
                }
            };
            let caller = Caller {
                tenant: key.tenant.clone(),
                principal: key.prefix.clone(),
                role: key.role,
                permissions: key.scopes.clone(),
                ceilings,
                tier: key.tier,
                expires_at: key.expires_at,
                is_key: true,
            };
            Ok(Authenticated { caller, key: Some(key) })
        }
    }
}

/// The record of a presented key, live or not.
pub fn find_key(tx: &ReadTx, presented: &str) -> Result<Option<Arc<ApiKey>>> {
    if !presented.starts_with(KEY_PREFIX) || presented.len() > MAX_KEY_CHARS {
        return Ok(None);
    }
    let Some(prefix) = presented.get(..PUBLIC_CHARS) else { return Ok(None) };
    find_by_digest(tx, prefix, &digest(presented))
}

fn find_by_digest(tx: &ReadTx, prefix: &str, digest: &[u8; 32]) -> Result<Option<Arc<ApiKey>>> {
    let candidates = tx.api_keys_by_prefix(prefix)?;
    Ok(candidates.iter().find(|key| crypto::same(&key.digest, digest)).cloned())
}

/// The digest of a key, which the store keeps in place of the key.
pub fn digest(key: &str) -> [u8; 32] {
    crypto::digest(&[key.as_bytes()])
}

/// Neither revoked nor expired.
pub fn is_live(key: &ApiKey, now: UnixMicros) -> bool {
    key.revoked_at.is_none() && key.expires_at.is_none_or(|end| now < end)
}

fn unauthorized() -> Error {
    Error::new(
        Code::Unauthorized,
        "a valid API key is required: send it as `Authorization: Bearer hld_…` or `X-API-Key: hld_…`",
    )
}
