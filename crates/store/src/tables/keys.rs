//! Tenants and API keys.

use std::sync::Arc;

use crate::{
    ReadTx, Tx,
    database::{Columns, FromRow, from_row, params},
    error::Result,
    model::{ApiKey, Ceilings, TenantId, Tier, UnixMicros},
    statements::statements,
};

macro_rules! api_key {
    () => {
        "digest, prefix, tenant, name, tier, role, scopes, max_scopes, allow_admin, max_spend, max_daily_spend, max_ttl, created_at,
        expires_at, last_used_at, revoked_at"
    };
}

statements! {
    TENANT_DATA_KEY = "SELECT data_key FROM tenants WHERE id = ?1";
    TENANT_RECORDS = "SELECT id, name, created_at FROM tenants WHERE id > ?1 ORDER BY id LIMIT ?2";
    TENANT_NAMED = "SELECT id FROM tenants WHERE name = ?1 AND name <> ''";
    NAME_TENANT = "UPDATE tenants SET name = ?2 WHERE id = ?1";
    SET_DATA_KEY = "UPDATE tenants SET data_key = ?2 WHERE id = ?1";
    INSERT_TENANT = "INSERT INTO tenants (id, data_key, created_at) VALUES (?1, ?2, ?3)";
    META_VALUE = "SELECT value FROM meta WHERE key = 'master_key_check'";
    SET_BALLAST = "INSERT OR REPLACE INTO meta (key, value) VALUES ('ballast', zeroblob(?1))";
    PUT_META_VALUE = "INSERT OR REPLACE INTO meta (key, value) VALUES ('master_key_check', ?1)";
    ANY_KEY = "SELECT 1 FROM api_keys WHERE digest >= x'' LIMIT 1";
    KEYS_BY_PREFIX = concat!("SELECT ", api_key!(), " FROM api_keys WHERE prefix = ?1");
    KEYS_OF_TENANT = concat!("SELECT ", api_key!(),
        " FROM api_keys WHERE tenant = ?1 AND (created_at, prefix) < (?2, ?3)
        ORDER BY created_at DESC, prefix DESC LIMIT ?4");
    INSERT_KEY = concat!("INSERT INTO api_keys (", api_key!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)");
    REVOKE_KEY = "UPDATE api_keys SET revoked_at = ?2 WHERE digest = ?1 AND revoked_at IS NULL";
    END_KEY = "UPDATE api_keys SET expires_at = ?2 WHERE digest = ?1";
    SET_TIER = "UPDATE api_keys SET tier = ?2 WHERE digest = ?1";
    USE_KEY = "UPDATE api_keys SET last_used_at = ?2 WHERE digest = ?1";
}

impl FromRow for ApiKey {
    fn from_row(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            digest: columns.next()?,
            prefix: columns.next()?,
            tenant: columns.next()?,
            name: columns.next()?,
            tier: columns.next()?,
            role: columns.next()?,
            scopes: columns.next()?,
            ceilings: Ceilings {
                scopes: columns.next()?,
                admin: columns.next()?,
                spend: columns.next()?,
                daily: columns.next()?,
                ttl: columns.next()?,
            },
            created_at: columns.next()?,
            expires_at: columns.next()?,
            last_used_at: columns.next()?,
            revoked_at: columns.next()?,
        })
    }
}

/// Changes to an API key.
#[derive(Clone, Copy, Debug)]
pub enum ApiKeyUpdate {
    /// It may not be used from now on.
    Revoked(UnixMicros),
    /// It ends at this time.
    Expires(UnixMicros),
    /// It was used.
    Used(UnixMicros),
    /// It has another hourly limit.
    Tier(Tier),
}

/// A tenant, as the operators of the store know it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct TenantRecord {
    pub id: TenantId,
    /// Empty without one.
    pub name: String,
    pub created_at: UnixMicros,
}

from_row! { TenantRecord { id, name, created_at } }

#[allow(missing_docs)]
impl ReadTx {
    /// The tenant's data key, wrapped under the master key; `None` if there is no such tenant.
    pub fn wrapped_data_key(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>> {
        self.first(TENANT_DATA_KEY, params![tenant])
    }

    /// Tenants in the order of their ids, after `after`, at most `limit`.
    pub fn tenants(&self, after: &str, limit: usize) -> Result<Vec<TenantRecord>> {
        self.all(TENANT_RECORDS, params![after, limit])
    }

    /// The tenant of this name.
    pub fn tenant_named(&self, name: &str) -> Result<Option<TenantId>> {
        self.first(TENANT_NAMED, params![name])
    }

    /// A value that proves whether a master key is the store's own.
    pub fn master_key_check(&self) -> Result<Option<Vec<u8>>> {
        self.first(META_VALUE, &[])
    }

    pub fn any_api_key(&self) -> Result<bool> {
        self.exists(ANY_KEY, &[])
    }

    /// All keys that begin with `prefix`: nearly always one.
    pub fn api_keys_by_prefix(&self, prefix: &str) -> Result<Arc<[Arc<ApiKey>]>> {
        if let Some(keys) = self.row_cache().and_then(|(row_cache, version)| row_cache.keys(version, prefix)) {
            return Ok(keys);
        }
        let found: Vec<ApiKey> = self.all(KEYS_BY_PREFIX, params![prefix])?;
        let keys: Arc<[Arc<ApiKey>]> = found.into_iter().map(Arc::new).collect();
        // A prefix without keys is not cached: unauthenticated clients can ask for any number of them.
        if let Some((row_cache, version)) = self.row_cache().filter(|_| !keys.is_empty()) {
            row_cache.keep_keys(version, prefix, &keys);
        }
        Ok(keys)
    }

    /// The tenant's keys, newest first, after the one with this time and prefix, at most `limit`.
    pub fn api_keys(
        &self,
        tenant: &TenantId,
        before: Option<&(UnixMicros, String)>,
        limit: usize,
    ) -> Result<Vec<ApiKey>> {
        let (at, prefix) = before.map_or((i64::MAX, ""), |(at, prefix)| (at.0, prefix.as_str()));
        self.all(KEYS_OF_TENANT, params![tenant, at, prefix, limit])
    }
}

#[allow(missing_docs)]
impl Tx {
    /// Whether there is such a tenant.
    pub fn name_tenant(&mut self, tenant: &TenantId, name: &str) -> Result<bool> {
        Ok(self.change(NAME_TENANT, params![tenant, name])? > 0)
    }

    pub fn insert_tenant(&mut self, tenant: &TenantId, wrapped_data_key: &[u8], now: UnixMicros) -> Result<()> {
        self.lock_tenant(tenant)?;
        self.change(INSERT_TENANT, params![tenant, wrapped_data_key, now]).map(drop)
    }

    /// Puts the tenant's data key as it is wrapped now.
    pub fn set_wrapped_data_key(&mut self, tenant: &TenantId, wrapped_data_key: &[u8]) -> Result<()> {
        self.change(SET_DATA_KEY, params![tenant, wrapped_data_key]).map(drop)
    }

    pub fn set_master_key_check(&mut self, check: &[u8]) -> Result<()> {
        self.change(PUT_META_VALUE, params![check]).map(drop)
    }

    /// Writes so many bytes without a meaning in place of those that are there, to see whether the disk has room.
    pub fn set_ballast(&mut self, bytes: u32) -> Result<()> {
        self.change(SET_BALLAST, params![bytes]).map(drop)
    }

    pub fn insert_api_key(&mut self, key: &ApiKey) -> Result<()> {
        let ApiKey { ceilings, .. } = key;
        let params = params![
            key.digest, key.prefix, key.tenant, key.name, key.tier, key.role, key.scopes, ceilings.scopes,
            ceilings.admin, ceilings.spend, ceilings.daily, ceilings.ttl, key.created_at, key.expires_at,
            key.last_used_at, key.revoked_at,
        ];
        self.change(INSERT_KEY, params).map(drop)
    }

    pub fn update_api_key(&mut self, digest: &[u8; 32], update: ApiKeyUpdate) -> Result<()> {
        match update {
            ApiKeyUpdate::Revoked(at) => self.change(REVOKE_KEY, params![digest, at]),
            ApiKeyUpdate::Expires(at) => self.change(END_KEY, params![digest, at]),
            ApiKeyUpdate::Used(at) => self.change(USE_KEY, params![digest, at]),
            ApiKeyUpdate::Tier(tier) => self.change(SET_TIER, params![digest, tier]),
        }
        .map(drop)
    }
}
