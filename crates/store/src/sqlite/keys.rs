//! Tenants and API keys.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::{
    SqliteTx,
    rows::{Columns, json, rows, word},
    statements::statements,
};
use crate::{
    ApiKeyUpdate, ReadKeys, TenantRecord, WriteKeys,
    error::Result,
    model::{ApiKey, Ceilings, Money, TenantId, UnixMicros},
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
    INSERT_KEY = "INSERT INTO api_keys (digest, prefix, tenant, name, tier, role, scopes, max_scopes, allow_admin,
        max_spend, max_ttl, created_at, expires_at, max_daily_spend)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    REVOKE_KEY = "UPDATE api_keys SET revoked_at = ?2 WHERE digest = ?1 AND revoked_at IS NULL";
    END_KEY = "UPDATE api_keys SET expires_at = ?2 WHERE digest = ?1";
    SET_TIER = "UPDATE api_keys SET tier = ?2 WHERE digest = ?1";
    USE_KEY = "UPDATE api_keys SET last_used_at = ?2 WHERE digest = ?1";
}

fn api_key(row: &Row<'_>) -> Result<ApiKey> {
    let mut columns = Columns::of(row);
    Ok(ApiKey {
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

impl ReadKeys for SqliteTx<'_> {
    fn wrapped_data_key(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>> {
        let mut statement = self.connection()?.prepare_cached(TENANT_DATA_KEY)?;
        Ok(statement.query_row([tenant.as_str()], |row| row.get(0)).optional()?)
    }

    fn tenants(&self, after: &str, limit: usize) -> Result<Vec<TenantRecord>> {
        let mut statement = self.connection()?.prepare_cached(TENANT_RECORDS)?;
        let read = |row: &Row<'_>| {
            let mut columns = Columns::of(row);
            Ok(TenantRecord { id: columns.next()?, name: columns.next()?, created_at: columns.next()? })
        };
        statement.query_and_then(params![after, rows(limit)], read)?.collect()
    }

    fn tenant_named(&self, name: &str) -> Result<Option<TenantId>> {
        let mut statement = self.connection()?.prepare_cached(TENANT_NAMED)?;
        statement.query_and_then([name], |row| Columns::of(row).next())?.next().transpose()
    }

    fn master_key_check(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.connection()?.prepare_cached(META_VALUE)?.query_row([], |row| row.get(0)).optional()?)
    }

    fn any_api_key(&self) -> Result<bool> {
        Ok(self.connection()?.prepare_cached(ANY_KEY)?.exists([])?)
    }

    fn api_keys_by_prefix(&self, prefix: &str) -> Result<Arc<[Arc<ApiKey>]>> {
        if let Some(keys) = self.row_cache().and_then(|(row_cache, version)| row_cache.keys(version, prefix)) {
            return Ok(keys);
        }
        let mut statement = self.connection()?.prepare_cached(KEYS_BY_PREFIX)?;
        let keys: Arc<[Arc<ApiKey>]> =
            statement.query_and_then([prefix], |row| api_key(row).map(Arc::new))?.collect::<Result<_>>()?;
        // A prefix without keys is not cached: unauthenticated clients can ask for any number of them.
        if let Some((row_cache, version)) = self.row_cache().filter(|_| !keys.is_empty()) {
            row_cache.keep_keys(version, prefix, &keys);
        }
        Ok(keys)
    }

    fn api_keys(&self, tenant: &TenantId, before: Option<&(UnixMicros, String)>, limit: usize) -> Result<Vec<ApiKey>> {
        let (at, prefix) = before.map_or((i64::MAX, ""), |(at, prefix)| (at.0, prefix.as_str()));
        let mut statement = self.connection()?.prepare_cached(KEYS_OF_TENANT)?;
        statement.query_and_then(params![tenant.as_str(), at, prefix, rows(limit)], api_key)?.collect()
    }
}

impl WriteKeys for SqliteTx<'_> {
    fn name_tenant(&mut self, tenant: &TenantId, name: &str) -> Result<bool> {
        Ok(self.change(NAME_TENANT)?.execute([tenant.as_str(), name])? > 0)
    }

    fn insert_tenant(&mut self, tenant: &TenantId, wrapped_data_key: &[u8], now: UnixMicros) -> Result<()> {
        let mut statement = self.change(INSERT_TENANT)?;
        statement.execute(params![tenant.as_str(), wrapped_data_key, now.0])?;
        Ok(())
    }

    fn set_wrapped_data_key(&mut self, tenant: &TenantId, wrapped_data_key: &[u8]) -> Result<()> {
        let mut statement = self.change(SET_DATA_KEY)?;
        statement.execute(params![tenant.as_str(), wrapped_data_key])?;
        Ok(())
    }

    fn set_master_key_check(&mut self, check: &[u8]) -> Result<()> {
        self.change(PUT_META_VALUE)?.execute([check])?;
        Ok(())
    }

    fn set_ballast(&mut self, bytes: u32) -> Result<()> {
        self.change(SET_BALLAST)?.execute([bytes])?;
        Ok(())
    }

    fn insert_api_key(&mut self, key: &ApiKey) -> Result<()> {
        self.change(INSERT_KEY)?.execute(params![
            key.digest,
            key.prefix,
            key.tenant.as_str(),
            key.name,
            word(&key.tier)?,
            word(&key.role)?,
            json(&key.scopes)?,
            key.ceilings.scopes.as_ref().map(json).transpose()?,
            key.ceilings.admin,
            key.ceilings.spend.map(Money::nanos),
            key.ceilings.ttl,
            key.created_at.0,
            key.expires_at.map(|at| at.0),
            key.ceilings.daily.map(Money::nanos),
        ])?;
        Ok(())
    }

    fn update_api_key(&mut self, digest: &[u8; 32], update: ApiKeyUpdate) -> Result<()> {
        let (sql, at) = match update {
            ApiKeyUpdate::Revoked(at) => (REVOKE_KEY, at),
            ApiKeyUpdate::Expires(at) => (END_KEY, at),
            ApiKeyUpdate::Used(at) => (USE_KEY, at),
            ApiKeyUpdate::Tier(tier) => {
                self.change(SET_TIER)?.execute(params![digest, word(&tier)?])?;
                return Ok(());
            }
        };
        self.change(sql)?.execute(params![digest, at.0])?;
        Ok(())
    }
}
