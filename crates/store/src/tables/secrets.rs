//! Sealed secrets, and those that were in their places before.

use crate::{
    ReadTx, Tx,
    database::{Record, from_row, params, record},
    error::Result,
    model::{SecretName, SecretVersion, SecretVersions, StoredSecret, TenantId, UnixMicros, UpstreamName},
    statements::statements,
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

record! { secrets: StoredSecret as stored_secret {
    name, version, sealed, scope_required, disclosure, created_at, upstreams, stored_by,
} }

statements! {
    SECRET = concat!("SELECT ", stored_secret!(), " FROM secrets WHERE tenant = ?1 AND name = ?2");
    SECRET_NAMES = "SELECT name FROM secrets WHERE tenant = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    SECRETS_FOR = "SELECT name, version, created_at FROM secrets INDEXED BY secrets_sent
        WHERE tenant = ?1 AND upstreams <> '[]' AND EXISTS (SELECT 1 FROM json_each(upstreams) WHERE value = ?2)
        ORDER BY name";
    FORMER_FOR = "SELECT name, version, created_at FROM former_secrets INDEXED BY former_secrets_sent
        WHERE tenant = ?1 AND EXISTS (SELECT 1 FROM json_each(upstreams) WHERE value = ?2) ORDER BY name";
    FORMER_SECRET = concat!("SELECT ", stored_secret!(), " FROM former_secrets INDEXED BY former_secrets_sent
        WHERE tenant = ?1 AND name = ?2 AND version = ?3 AND created_at = ?4 LIMIT 1");
    SENDABLE = "SELECT count(*), coalesce(sum(length(sealed)), 0) FROM secrets INDEXED BY secrets_by_storer
        WHERE tenant = ?1 AND stored_by >= ?2 AND stored_by <= ?3 AND upstreams <> '[]' AND name <> ?4";
    // Not INSERT OR REPLACE, which would count a new version as one more secret.
    PUT_SECRET = concat!("INSERT INTO secrets (tenant, ", stored_secret!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT DO UPDATE SET version = ?3, sealed = ?4, scope_required = ?5, disclosure = ?6, created_at = ?7,
        upstreams = ?8, stored_by = ?9");
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

from_row! { SecretVersion { name, version, created_at } }

#[allow(missing_docs)]
impl ReadTx {
    pub fn secret(&self, tenant: &TenantId, name: &SecretName) -> Result<Option<StoredSecret>> {
        self.first(SECRET, params![tenant, name])
    }

    /// In the order of their names, after `after`, at most `limit`.
    pub fn secret_names(&self, tenant: &TenantId, after: &str, limit: usize) -> Result<Vec<SecretName>> {
        self.all(SECRET_NAMES, params![tenant, after, limit])
    }

    /// Those that may be sent to this upstream, and those that could be before they were replaced, narrowed or deleted.
    pub fn secrets_for(&self, tenant: &TenantId, upstream: &UpstreamName) -> Result<SecretVersions> {
        if let Some(known) =
            self.row_cache().and_then(|(row_cache, version)| row_cache.secrets_for(version, tenant, upstream))
        {
            return Ok(known);
        }
        let mut all: Vec<SecretVersion> = self.all(SECRETS_FOR, params![tenant, upstream])?;
        all.extend(self.all::<SecretVersion>(FORMER_FOR, params![tenant, upstream])?);
        let found: SecretVersions = all.into();
        if let Some((row_cache, version)) = self.row_cache() {
            row_cache.keep_secrets_for(version, tenant, upstream, &found);
        }
        Ok(found)
    }

    /// One of these, as it is or was stored.
    pub fn secret_version(&self, tenant: &TenantId, wanted: &SecretVersion) -> Result<Option<StoredSecret>> {
        let is_it = |secret: &StoredSecret| secret.version == wanted.version && secret.created_at == wanted.created_at;
        if let Some(secret) = self.secret(tenant, &wanted.name)?.filter(is_it) {
            return Ok(Some(secret));
        }
        self.first(FORMER_SECRET, params![tenant, wanted.name, wanted.version, wanted.created_at])
    }

    /// How many secrets may be sent to upstreams, but for the one of this name, and the bytes of their sealed values: those of one
    /// storer, or of all agents for `None`.
    pub fn sendable(&self, tenant: &TenantId, stored_by: Option<&str>, but: &SecretName) -> Result<(usize, usize)> {
        // Principals are printable ASCII.
        let (from, to) = stored_by.map_or((" ", "\u{7f}"), |storer| (storer, storer));
        let (count, bytes): (i64, i64) = self.one(SENDABLE, params![tenant, from, to, but])?;
        Ok((usize::try_from(count).unwrap_or(usize::MAX), usize::try_from(bytes).unwrap_or(usize::MAX)))
    }
}

#[allow(missing_docs)]
impl Tx {
    /// What it replaces is kept among the former values, if it could be sent.
    pub fn put_secret(&mut self, tenant: &TenantId, secret: &StoredSecret) -> Result<()> {
        self.keep_former(tenant, &secret.name, secret.created_at)?;
        self.change(PUT_SECRET, &secret.params(tenant)).map(drop)
    }

    /// Whether there was one. It is kept among the former values, if it could be sent.
    pub fn delete_secret(&mut self, tenant: &TenantId, name: &SecretName, now: UnixMicros) -> Result<bool> {
        self.keep_former(tenant, name, now)?;
        Ok(self.change(DELETE_SECRET, params![tenant, name])? > 0)
    }

    /// Puts what is stored under this name among the former values, if it could be sent, and has older ones make way.
    fn keep_former(&mut self, tenant: &TenantId, name: &SecretName, now: UnixMicros) -> Result<()> {
        let kept: Option<String> = self.change_returning(KEEP_FORMER, params![tenant, name, now])?;
        let Some(storer) = kept else { return Ok(()) };
        self.change(FORGET_AGED, params![tenant, now.plus_seconds(-FORMER_KEPT_SECONDS)])?;
        self.change(FORGET_OF_NAME, params![tenant, storer, name, MAX_FORMER_OF_NAME])?;
        let (most, most_bytes) = if storer.is_empty() { MAX_FORMER_OF_OPERATORS } else { MAX_FORMER_OF_AGENT };
        let (mut count, mut bytes, mut first_too_many) = (0, 0, None);
        self.connection()?.each(FORMER_OF, params![tenant, storer], |(id, length): (i64, i64)| {
            (count, bytes) = (count + 1, bytes + length);
            first_too_many = Some(id).filter(|_| count > most || bytes > most_bytes);
            Ok(first_too_many.is_none())
        })?;
        if let Some(id) = first_too_many {
            self.change(FORGET_UP_TO, params![tenant, storer, id])?;
        }
        // One more was added: so many steps are more than enough.
        for _ in 0..MAX_FORMER_OF_AGENTS.0 {
            let of_agents: Vec<(String, i64, i64)> = self.all(FORMER_OF_AGENTS, params![tenant])?;
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
            self.change(FORGET_OLDEST, params![tenant, storer])?;
        }
        Ok(())
    }
}
