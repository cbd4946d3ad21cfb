//! Sealed secrets, and those that were in their places before.

use rusqlite::{Row, params};

use super::{
    SqliteTx,
    rows::{Columns, json, rows, word},
    statements::statements,
};
use crate::{
    ReadSecrets, WriteSecrets,
    error::Result,
    model::{SecretName, SecretVersion, SecretVersions, StoredSecret, TenantId, UnixMicros, UpstreamName},
};

/// Former values of one name that one principal stored: the oldest make way.
const MAX_FORMER_OF_NAME: usize = 64;
/// Former values of one agent's key, and the bytes of them; those of other keys never make way for them.
const MAX_FORMER_OF_AGENT: (i64, i64) = (64, 131_072);
/// Those of operators.
const MAX_FORMER_OF_OPERATORS: (i64, i64) = (1_024, 4_194_304);
/// Those of all agents of a tenant together: of the agent that has most, the oldest make way.
const MAX_FORMER_OF_AGENTS: (i64, i64) = (512, 1_048_576);
/// How long they are kept, in seconds: a year, and so longer than nearly every credential is good.
const FORMER_KEPT_SECONDS: i64 = 365 * 86_400;

statements! {
    SECRET = "SELECT name, version, sealed, scope_required, disclosure, created_at, upstreams, stored_by FROM secrets
        WHERE tenant = ?1 AND name = ?2";
    SECRET_NAMES = "SELECT name FROM secrets WHERE tenant = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    SECRETS_FOR = "SELECT name, version, created_at FROM secrets INDEXED BY secrets_sent
        WHERE tenant = ?1 AND upstreams <> '[]' AND EXISTS (SELECT 1 FROM json_each(upstreams) WHERE value = ?2)
        ORDER BY name";
    FORMER_FOR = "SELECT name, version, created_at FROM former_secrets INDEXED BY former_secrets_sent
        WHERE tenant = ?1 AND EXISTS (SELECT 1 FROM json_each(upstreams) WHERE value = ?2) ORDER BY name";
    FORMER_SECRET = "SELECT name, version, sealed, scope_required, disclosure, created_at, upstreams, stored_by
        FROM former_secrets INDEXED BY former_secrets_sent
        WHERE tenant = ?1 AND name = ?2 AND version = ?3 AND created_at = ?4 LIMIT 1";
    SENDABLE = "SELECT count(*), coalesce(sum(length(sealed)), 0) FROM secrets INDEXED BY secrets_by_storer
        WHERE tenant = ?1 AND stored_by >= ?2 AND stored_by <= ?3 AND upstreams <> '[]' AND name <> ?4";
    // Not INSERT OR REPLACE, which would count a new version as one more secret.
    PUT_SECRET = "INSERT INTO secrets (tenant, name, version, sealed, scope_required, disclosure, created_at,
        upstreams, stored_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT DO UPDATE SET version = ?3, sealed = ?4, scope_required = ?5, disclosure = ?6, created_at = ?7,
        upstreams = ?8, stored_by = ?9";
    DELETE_SECRET = "DELETE FROM secrets WHERE tenant = ?1 AND name = ?2";
    KEEP_FORMER = "INSERT INTO former_secrets (tenant, name, version, sealed, scope_required, disclosure, created_at,
        upstreams, stored_by, replaced_at)
        SELECT tenant, name, version, sealed, scope_required, disclosure, created_at, upstreams, stored_by, ?3
        FROM secrets WHERE tenant = ?1 AND name = ?2 AND upstreams <> '[]' RETURNING stored_by";
    FORGET_AGED = "DELETE FROM former_secrets WHERE tenant = ?1 AND replaced_at < ?2";
    FORGET_OF_NAME = "DELETE FROM former_secrets WHERE id IN (SELECT id FROM former_secrets INDEXED BY former_secrets_by_name
        WHERE tenant = ?1 AND stored_by = ?2 AND name = ?3 ORDER BY id DESC LIMIT -1 OFFSET ?4)";
    FORMER_OF = "SELECT id, length(sealed) FROM former_secrets INDEXED BY former_secrets_by_storer
        WHERE tenant = ?1 AND stored_by = ?2 ORDER BY id DESC";
    FORGET_UP_TO = "DELETE FROM former_secrets INDEXED BY former_secrets_by_storer
        WHERE tenant = ?1 AND stored_by = ?2 AND id <= ?3";
    FORMER_OF_AGENTS = "SELECT stored_by, count(*), sum(length(sealed)) FROM former_secrets
        INDEXED BY former_secrets_by_storer WHERE tenant = ?1 AND stored_by > '' GROUP BY stored_by";
    FORGET_OLDEST = "DELETE FROM former_secrets WHERE id = (SELECT id FROM former_secrets
        INDEXED BY former_secrets_by_storer WHERE tenant = ?1 AND stored_by = ?2 ORDER BY id LIMIT 1)";
}

fn stored(row: &Row<'_>) -> Result<StoredSecret> {
    let mut columns = Columns::of(row);
    Ok(StoredSecret {
        name: columns.next()?,
        version: columns.next()?,
        sealed: columns.next()?,
        scope_required: columns.next()?,
        disclosure: columns.next()?,
        created_at: columns.next()?,
        upstreams: columns.next()?,
        stored_by: columns.next()?,
    })
}

impl ReadSecrets for SqliteTx<'_> {
    fn secret(&self, tenant: &TenantId, name: &SecretName) -> Result<Option<StoredSecret>> {
        let mut statement = self.connection()?.prepare_cached(SECRET)?;
        let mut rows = statement.query([tenant.as_str(), name.as_str()])?;
        rows.next()?.map(stored).transpose()
    }

    fn secret_names(&self, tenant: &TenantId, after: &str, limit: usize) -> Result<Vec<SecretName>> {
        let mut statement = self.connection()?.prepare_cached(SECRET_NAMES)?;
        statement.query_and_then(params![tenant.as_str(), after, rows(limit)], |row| Columns::of(row).next())?.collect()
    }

    fn secrets_for(&self, tenant: &TenantId, upstream: &UpstreamName) -> Result<SecretVersions> {
        if let Some(known) =
            self.row_cache().and_then(|(row_cache, version)| row_cache.secrets_for(version, tenant, upstream))
        {
            return Ok(known);
        }
        let version = |row: &Row<'_>| {
            let mut columns = Columns::of(row);
            Ok(SecretVersion { name: columns.next()?, version: columns.next()?, created_at: columns.next()? })
        };
        let mut all = Vec::new();
        for sql in [SECRETS_FOR, FORMER_FOR] {
            let mut statement = self.connection()?.prepare_cached(sql)?;
            let found = statement.query_and_then([tenant.as_str(), upstream.as_str()], version)?;
            all.extend(found.collect::<Result<Vec<_>>>()?);
        }
        let found: SecretVersions = all.into();
        if let Some((row_cache, version)) = self.row_cache() {
            row_cache.keep_secrets_for(version, tenant, upstream, &found);
        }
        Ok(found)
    }

    fn secret_version(&self, tenant: &TenantId, wanted: &SecretVersion) -> Result<Option<StoredSecret>> {
        let is_it = |secret: &StoredSecret| secret.version == wanted.version && secret.created_at == wanted.created_at;
        if let Some(secret) = self.secret(tenant, &wanted.name)?.filter(is_it) {
            return Ok(Some(secret));
        }
        let mut statement = self.connection()?.prepare_cached(FORMER_SECRET)?;
        let version = params![tenant.as_str(), wanted.name.as_str(), wanted.version, wanted.created_at.0];
        let mut rows = statement.query(version)?;
        rows.next()?.map(stored).transpose()
    }

    fn sendable(&self, tenant: &TenantId, stored_by: Option<&str>, but: &SecretName) -> Result<(usize, usize)> {
        // Principals are printable ASCII.
        let (from, to) = stored_by.map_or((" ", "\u{7f}"), |storer| (storer, storer));
        let mut statement = self.connection()?.prepare_cached(SENDABLE)?;
        let counts = statement.query_row([tenant.as_str(), from, to, but.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        Ok((usize::try_from(counts.0).unwrap_or(usize::MAX), usize::try_from(counts.1).unwrap_or(usize::MAX)))
    }
}

impl WriteSecrets for SqliteTx<'_> {
    fn put_secret(&mut self, tenant: &TenantId, secret: &StoredSecret) -> Result<()> {
        self.keep_former(tenant, &secret.name, secret.created_at)?;
        self.change(PUT_SECRET)?.execute(params![
            tenant.as_str(),
            secret.name.as_str(),
            secret.version,
            secret.sealed,
            secret.scope_required.as_str(),
            word(&secret.disclosure)?,
            secret.created_at.0,
            json(&secret.upstreams)?,
            secret.stored_by,
        ])?;
        Ok(())
    }

    fn delete_secret(&mut self, tenant: &TenantId, name: &SecretName, now: UnixMicros) -> Result<bool> {
        self.keep_former(tenant, name, now)?;
        Ok(self.change(DELETE_SECRET)?.execute([tenant.as_str(), name.as_str()])? > 0)
    }
}

impl SqliteTx<'_> {
    /// Puts what is stored under this name among the former values, if it could be sent, and has older ones make way.
    fn keep_former(&mut self, tenant: &TenantId, name: &SecretName, now: UnixMicros) -> Result<()> {
        let (tenant, name) = (tenant.as_str(), name.as_str());
        let kept: Vec<String> = self
            .change(KEEP_FORMER)?
            .query_map(params![tenant, name, now.0], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let Some(storer) = kept.into_iter().next() else { return Ok(()) };
        let aged = now.plus_seconds(-FORMER_KEPT_SECONDS);
        self.change(FORGET_AGED)?.execute(params![tenant, aged.0])?;
        self.change(FORGET_OF_NAME)?.execute(params![tenant, storer, name, rows(MAX_FORMER_OF_NAME)])?;
        let (most, most_bytes) = if storer.is_empty() { MAX_FORMER_OF_OPERATORS } else { MAX_FORMER_OF_AGENT };
        let mut first_too_many = None;
        {
            let mut statement = self.connection()?.prepare_cached(FORMER_OF)?;
            let mut found = statement.query([tenant, &storer])?;
            let (mut count, mut bytes) = (0, 0);
            while let Some(row) = found.next()? {
                count += 1;
                bytes += row.get::<_, i64>(1)?;
                if count > most || bytes > most_bytes {
                    first_too_many = Some(row.get::<_, i64>(0)?);
                    break;
                }
            }
        }
        if let Some(id) = first_too_many {
            self.change(FORGET_UP_TO)?.execute(params![tenant, storer, id])?;
        }
        // One more was added: so many steps are more than enough.
        for _ in 0..MAX_FORMER_OF_AGENTS.0 {
            let of_agents: Vec<(String, i64, i64)> = self
                .connection()?
                .prepare_cached(FORMER_OF_AGENTS)?
                .query_map([tenant], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let count: i64 = of_agents.iter().map(|(_, count, _)| count).sum();
            let bytes: i64 = of_agents.iter().map(|(_, _, bytes)| bytes).sum();
            let heaviest = if bytes > MAX_FORMER_OF_AGENTS.1 {
                of_agents.iter().max_by_key(|(_, _, bytes)| bytes)
            } else if count > MAX_FORMER_OF_AGENTS.0 {
                of_agents.iter().max_by_key(|(_, count, _)| count)
            } else {
                None
            };
            let Some((storer, ..)) = heaviest else { break };
            self.change(FORGET_OLDEST)?.execute([tenant, storer])?;
        }
        Ok(())
    }
}
