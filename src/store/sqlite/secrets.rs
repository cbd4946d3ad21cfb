//! Sealed secrets.

use rusqlite::params;

use super::{
    SqliteTx,
    rows::{Columns, json, rows, word},
    statements::statements,
};
use crate::{
    error::Result,
    model::{SecretName, StoredSecret, TenantId, UpstreamName},
    store::{ReadSecrets, SecretVersions, WriteSecrets},
};

statements! {
    SECRET = "SELECT name, version, sealed, scope_required, disclosure, created_at, upstreams FROM secrets WHERE tenant = ?1 AND name = ?2";
    SECRET_NAMES = "SELECT name FROM secrets WHERE tenant = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    SECRETS_FOR = "SELECT name, version, created_at FROM secrets INDEXED BY secrets_sent
        WHERE tenant = ?1 AND upstreams <> '[]' AND EXISTS (SELECT 1 FROM json_each(upstreams) WHERE value = ?2)
        ORDER BY name";
    // Not INSERT OR REPLACE, which would count a new version as one more secret.
    PUT_SECRET = "INSERT INTO secrets (tenant, name, version, sealed, scope_required, disclosure, created_at,
        upstreams) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT DO UPDATE SET version = ?3, sealed = ?4, scope_required = ?5, disclosure = ?6, created_at = ?7,
        upstreams = ?8";
    DELETE_SECRET = "DELETE FROM secrets WHERE tenant = ?1 AND name = ?2";
}

impl ReadSecrets for SqliteTx<'_> {
    fn secret(&self, tenant: &TenantId, name: &SecretName) -> Result<Option<StoredSecret>> {
        let mut statement = self.connection()?.prepare_cached(SECRET)?;
        let mut rows = statement.query([tenant.as_str(), name.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut columns = Columns::of(row);
        Ok(Some(StoredSecret {
            name: columns.next()?,
            version: columns.next()?,
            sealed: columns.next()?,
            scope_required: columns.next()?,
            disclosure: columns.next()?,
            created_at: columns.next()?,
            upstreams: columns.next()?,
        }))
    }

    fn secret_names(&self, tenant: &TenantId, after: &str, limit: usize) -> Result<Vec<SecretName>> {
        let mut statement = self.connection()?.prepare_cached(SECRET_NAMES)?;
        statement.query_and_then(params![tenant.as_str(), after, rows(limit)], |row| Columns::of(row).next())?.collect()
    }

    fn secrets_for(&self, tenant: &TenantId, upstream: &UpstreamName) -> Result<SecretVersions> {
        if let Some(known) = self.memo().and_then(|(memo, state)| memo.secrets_for(state, tenant, upstream)) {
            return Ok(known);
        }
        let mut statement = self.connection()?.prepare_cached(SECRETS_FOR)?;
        let version = |row: &rusqlite::Row<'_>| {
            let mut columns = Columns::of(row);
            Ok((columns.next()?, columns.next()?, columns.next()?))
        };
        let found = statement.query_and_then([tenant.as_str(), upstream.as_str()], version)?;
        let found: SecretVersions = found.collect::<Result<Vec<_>>>()?.into();
        if let Some((memo, state)) = self.memo() {
            memo.keep_secrets_for(state, tenant, upstream, &found);
        }
        Ok(found)
    }
}

impl WriteSecrets for SqliteTx<'_> {
    fn put_secret(&mut self, tenant: &TenantId, secret: &StoredSecret) -> Result<()> {
        self.writable()?.prepare_cached(PUT_SECRET)?.execute(params![
            tenant.as_str(),
            secret.name.as_str(),
            secret.version,
            secret.sealed,
            secret.scope_required.as_str(),
            word(&secret.disclosure)?,
            secret.created_at.0,
            json(&secret.upstreams)?,
        ])?;
        Ok(())
    }

    fn delete_secret(&mut self, tenant: &TenantId, name: &SecretName) -> Result<bool> {
        Ok(self.writable()?.prepare_cached(DELETE_SECRET)?.execute([tenant.as_str(), name.as_str()])? > 0)
    }
}
