//! Tenants and API keys.

use rusqlite::{OptionalExtension, Row, params};

use super::{
    SqliteTx,
    rows::{Column, from_json, from_word, json, word},
    statements::statements,
};
use crate::{
    error::{Error, Result},
    model::{ApiKey, TenantId, UnixMicros},
    store::{ApiKeyUpdate, ReadKeys, WriteKeys},
};

statements! {
    TENANT_DATA_KEY = "SELECT data_key FROM tenants WHERE id = ?1";
    INSERT_TENANT = "INSERT INTO tenants (id, data_key, created_at) VALUES (?1, ?2, ?3)";
    META_VALUE = "SELECT value FROM meta WHERE key = 'master_key_check'";
    PUT_META_VALUE = "INSERT OR REPLACE INTO meta (key, value) VALUES ('master_key_check', ?1)";
    ANY_KEY = "SELECT 1 FROM api_keys WHERE digest >= x'' LIMIT 1";
    KEYS_BY_PREFIX = "SELECT * FROM api_keys WHERE prefix = ?1";
    KEYS_OF_TENANT = "SELECT * FROM api_keys WHERE tenant = ?1 ORDER BY created_at DESC LIMIT ?2";
    INSERT_KEY = "INSERT INTO api_keys (digest, prefix, tenant, name, tier, role, scopes, ceilings, created_at,
        expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    REVOKE_KEY = "UPDATE api_keys SET revoked_at = ?2 WHERE digest = ?1 AND revoked_at IS NULL";
    USE_KEY = "UPDATE api_keys SET last_used_at = ?2 WHERE digest = ?1";
}

fn api_key(row: &Row<'_>) -> Result<ApiKey> {
    Ok(ApiKey {
        prefix: row.column("prefix")?,
        digest: row.column("digest")?,
        tenant: row.column("tenant")?,
        name: row.column("name")?,
        tier: from_word(row.get_ref("tier")?.as_str().map_err(Error::internal)?)?,
        role: from_word(row.get_ref("role")?.as_str().map_err(Error::internal)?)?,
        scopes: from_json(row.get_ref("scopes")?.as_str().map_err(Error::internal)?).map_err(Error::internal)?,
        ceilings: from_json(row.get_ref("ceilings")?.as_str().map_err(Error::internal)?).map_err(Error::internal)?,
        created_at: row.column("created_at")?,
        expires_at: row.column("expires_at")?,
        last_used_at: row.column("last_used_at")?,
        revoked_at: row.column("revoked_at")?,
    })
}

impl ReadKeys for SqliteTx<'_> {
    fn wrapped_data_key(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>> {
        let mut statement = self.connection.prepare_cached(TENANT_DATA_KEY)?;
        Ok(statement.query_row([tenant.as_str()], |row| row.get(0)).optional()?)
    }

    fn master_key_check(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.connection.prepare_cached(META_VALUE)?.query_row([], |row| row.get(0)).optional()?)
    }

    fn any_api_key(&self) -> Result<bool> {
        Ok(self.connection.prepare_cached(ANY_KEY)?.exists([])?)
    }

    fn api_keys_by_prefix(&self, prefix: &str) -> Result<Vec<ApiKey>> {
        let mut statement = self.connection.prepare_cached(KEYS_BY_PREFIX)?;
        statement.query_and_then([prefix], api_key)?.collect()
    }

    fn api_keys(&self, tenant: &TenantId, limit: usize) -> Result<Vec<ApiKey>> {
        let mut statement = self.connection.prepare_cached(KEYS_OF_TENANT)?;
        statement.query_and_then(params![tenant.as_str(), limit as i64], api_key)?.collect()
    }
}

impl WriteKeys for SqliteTx<'_> {
    fn insert_tenant(&mut self, tenant: &TenantId, wrapped_data_key: &[u8], now: UnixMicros) -> Result<()> {
        let mut statement = self.connection.prepare_cached(INSERT_TENANT)?;
        statement.execute(params![tenant.as_str(), wrapped_data_key, now.0])?;
        Ok(())
    }

    fn set_master_key_check(&mut self, check: &[u8]) -> Result<()> {
        self.connection.prepare_cached(PUT_META_VALUE)?.execute([check])?;
        Ok(())
    }

    fn insert_api_key(&mut self, key: &ApiKey) -> Result<()> {
        self.connection.prepare_cached(INSERT_KEY)?.execute(params![
            key.digest,
            key.prefix,
            key.tenant.as_str(),
            key.name,
            word(&key.tier)?,
            word(&key.role)?,
            json(&key.scopes)?,
            json(&key.ceilings)?,
            key.created_at.0,
            key.expires_at.map(|at| at.0),
        ])?;
        Ok(())
    }

    fn update_api_key(&mut self, digest: &[u8; 32], update: ApiKeyUpdate) -> Result<()> {
        let (sql, at) = match update {
            ApiKeyUpdate::Revoked(at) => (REVOKE_KEY, at),
            ApiKeyUpdate::Used(at) => (USE_KEY, at),
        };
        self.connection.prepare_cached(sql)?.execute(params![digest, at.0])?;
        Ok(())
    }
}
