//! Upstream servers, the tools that they offered, policies, and in-flight calls.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Row, params};

use super::{
    SqliteTx,
    rows::{Columns, FromColumn, from_json, json, rows},
    statements::statements,
};
use crate::{
    ReadProxy, WriteProxy,
    error::Result,
    model::{
        InFlightCall, PinnedTool, Policy, PolicyDefinition, PolicyId, PolicyUse, TenantId, ToolMarks, UnixMicros,
        Upstream, UpstreamName, UpstreamSettings,
    },
};

macro_rules! upstream {
    () => {
        "name, url, headers, limits, generation, healthy, problem, checked_at, coalesce(counts.calls, 0),
        coalesce(counts.errors, 0), coalesce(counts.latency, 0), created_at, created_by FROM upstreams AS known
        LEFT JOIN calls AS counts ON (counts.tenant, counts.id) = (known.tenant, ':' || known.name)"
    };
}

macro_rules! tool {
    () => {
        "upstream, name, definition, digest, offered, listed, warnings, marks, first_seen, changed_at, accepted_by"
    };
}

statements! {
    UPSTREAM = concat!("SELECT ", upstream!(), " WHERE known.tenant = ?1 AND name = ?2");
    UPSTREAM_ALIKE = concat!("SELECT ", upstream!(), " WHERE known.tenant = ?1 AND folded = ?2");
    UPSTREAMS = concat!("SELECT ", upstream!(), " WHERE known.tenant = ?1 ORDER BY name LIMIT ?2");
    UPSTREAMS_TO_CHECK = "SELECT tenant, name FROM upstreams WHERE url <> ''
        AND checked_at < ?2 AND (checked_at < ?1 OR healthy = 0) ORDER BY checked_at LIMIT ?3";
    PUT_UPSTREAM = "INSERT OR REPLACE INTO upstreams (tenant, name, folded, url, headers, limits, generation, healthy,
        problem, checked_at, created_at, created_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    DELETE_UPSTREAM = "DELETE FROM upstreams WHERE tenant = ?1 AND name = ?2";
    SET_HEALTH = "UPDATE upstreams SET healthy = ?3, problem = ?4, checked_at = ?5 WHERE tenant = ?1 AND name = ?2";
    TOOL = concat!("SELECT ", tool!(), " FROM upstream_tools WHERE tenant = ?1 AND upstream = ?2 AND name = ?3");
    TOOLS_NAMED = concat!("SELECT ", tool!(), " FROM upstream_tools INDEXED BY upstream_tools_by_name
        WHERE tenant = ?1 AND name = ?2 ORDER BY upstream LIMIT ?3");
    TOOLS_OF = concat!("SELECT ", tool!(), " FROM upstream_tools WHERE tenant = ?1 AND upstream = ?2 AND name > ?3
        ORDER BY name LIMIT ?4");
    CALLABLE_TOOLS = "SELECT name, digest FROM upstream_tools
        WHERE tenant = ?1 AND upstream = ?2 AND listed = 1 AND offered IS NULL ORDER BY name LIMIT ?3";
    PUT_TOOL = "INSERT OR REPLACE INTO upstream_tools (tenant, upstream, name, definition, digest, offered, listed,
        warnings, marks, first_seen, changed_at, accepted_by)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    DELETE_TOOLS = "DELETE FROM upstream_tools WHERE tenant = ?1 AND upstream = ?2";
    POLICIES = "SELECT id, definition, created_at, created_by FROM policies WHERE tenant = ?1 ORDER BY id LIMIT ?2";
    INSERT_POLICY = "INSERT INTO policies (tenant, id, definition, created_at, created_by) VALUES (?1, ?2, ?3, ?4, ?5)";
    DELETE_POLICY = "DELETE FROM policies WHERE tenant = ?1 AND id = ?2";
    FORGET_USES_OF_POLICY = "DELETE FROM policy_uses WHERE tenant = ?1 AND policy = ?2";
    POLICY_USES = "SELECT coalesce(sum(uses), 0) FROM policy_uses
        WHERE tenant = ?1 AND policy = ?2 AND subject = ?3 AND at > ?4";
    COUNT_POLICY_USE = "INSERT INTO policy_uses (tenant, policy, subject, at, uses) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET uses = max(0, uses + ?5)";
    OLD_POLICY_USES = "SELECT tenant, policy, subject, at FROM policy_uses WHERE at < ?1 ORDER BY at LIMIT ?2";
    FORGET_POLICY_USE = "DELETE FROM policy_uses WHERE tenant = ?1 AND policy = ?2 AND subject = ?3 AND at = ?4";
    TAINT = "SELECT source, at FROM session_taints WHERE tenant = ?1 AND session_id = ?2";
    PUT_TAINT = "INSERT INTO session_taints (tenant, session_id, source, at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET source = ?3, at = ?4 WHERE at < ?5";
}

impl FromColumn for BTreeMap<String, String> {
    type Stored = String;

    fn from_column(stored: String) -> Result<Self, String> {
        from_json(&stored)
    }
}

impl FromColumn for ToolMarks {
    type Stored = String;

    fn from_column(stored: String) -> Result<Self, String> {
        from_json(&stored)
    }
}

impl FromColumn for PolicyDefinition {
    type Stored = String;

    fn from_column(stored: String) -> Result<Self, String> {
        from_json(&stored)
    }
}

impl FromColumn for UpstreamSettings {
    type Stored = String;

    fn from_column(stored: String) -> Result<Self, String> {
        from_json(&stored)
    }
}

impl FromColumn for Vec<PolicyUse> {
    type Stored = String;

    fn from_column(stored: String) -> Result<Self, String> {
        from_json(&stored)
    }
}

fn upstream(row: &Row<'_>) -> Result<Upstream> {
    let mut columns = Columns::of(row);
    Ok(Upstream {
        name: columns.next()?,
        url: columns.next()?,
        headers: columns.next()?,
        limits: columns.next()?,
        generation: columns.next()?,
        healthy: columns.next()?,
        problem: columns.next()?,
        checked_at: columns.next()?,
        calls: columns.next()?,
        errors: columns.next()?,
        latency: columns.next()?,
        created_at: columns.next()?,
        created_by: columns.next()?,
    })
}

fn tool(row: &Row<'_>) -> Result<PinnedTool> {
    let mut columns = Columns::of(row);
    Ok(PinnedTool {
        upstream: columns.next()?,
        name: columns.next()?,
        definition: columns.next()?,
        digest: columns.next()?,
        offered: columns.next()?,
        listed: columns.next()?,
        warnings: columns.next()?,
        marks: columns.next()?,
        first_seen: columns.next()?,
        changed_at: columns.next()?,
        accepted_by: columns.next()?,
    })
}

/// A name as it is compared with others: they are ASCII, so case is all that there is.
fn folded(name: &UpstreamName) -> String {
    name.as_str().to_ascii_lowercase()
}

impl ReadProxy for SqliteTx<'_> {
    fn upstream(&self, tenant: &TenantId, name: &UpstreamName) -> Result<Option<Arc<Upstream>>> {
        if let Some(known) = self.row_cache().and_then(|(row_cache, version)| row_cache.upstream(version, tenant, name))
        {
            return Ok(Some(known));
        }
        let mut statement = self.connection()?.prepare_cached(UPSTREAM)?;
        let mut rows = statement.query([tenant.as_str(), name.as_str()])?;
        let Some(found) = rows.next()?.map(upstream).transpose()?.map(Arc::new) else { return Ok(None) };
        if let Some((row_cache, version)) = self.row_cache() {
            row_cache.keep_upstream(version, tenant, &found);
        }
        Ok(Some(found))
    }

    fn upstream_alike(&self, tenant: &TenantId, name: &UpstreamName) -> Result<Option<Upstream>> {
        let mut statement = self.connection()?.prepare_cached(UPSTREAM_ALIKE)?;
        let mut rows = statement.query([tenant.as_str(), &folded(name)])?;
        rows.next()?.map(upstream).transpose()
    }

    fn upstreams(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Upstream>> {
        let mut statement = self.connection()?.prepare_cached(UPSTREAMS)?;
        statement.query_and_then(params![tenant.as_str(), rows(limit)], upstream)?.collect()
    }

    fn upstreams_to_check(
        &self,
        (before, unwell): (UnixMicros, UnixMicros),
        limit: usize,
    ) -> Result<Vec<(TenantId, UpstreamName)>> {
        let mut statement = self.connection()?.prepare_cached(UPSTREAMS_TO_CHECK)?;
        let found = statement.query_and_then(params![before.0, unwell.0, rows(limit)], |row| {
            let mut columns = Columns::of(row);
            Ok((columns.next()?, columns.next()?))
        })?;
        found.collect()
    }

    fn pinned_tool(&self, tenant: &TenantId, upstream: &UpstreamName, name: &str) -> Result<Option<Arc<PinnedTool>>> {
        let read = || {
            let mut statement = self.connection()?.prepare_cached(TOOL)?;
            let mut rows = statement.query([tenant.as_str(), upstream.as_str(), name])?;
            rows.next()?.map(|row| tool(row).map(Arc::new)).transpose()
        };
        match self.buffer_if_writer() {
            Some(buffer) => {
                buffer.policy_cache.tools.or_read((tenant.clone(), upstream.clone(), name.to_owned()), read)
            }
            None => read(),
        }
    }

    fn tools_named(&self, tenant: &TenantId, name: &str, limit: usize) -> Result<Vec<PinnedTool>> {
        let mut statement = self.connection()?.prepare_cached(TOOLS_NAMED)?;
        statement.query_and_then(params![tenant.as_str(), name, rows(limit)], tool)?.collect()
    }

    fn tools_of(
        &self,
        tenant: &TenantId,
        upstream: &UpstreamName,
        after: &str,
        limit: usize,
    ) -> Result<Vec<PinnedTool>> {
        let mut statement = self.connection()?.prepare_cached(TOOLS_OF)?;
        statement.query_and_then(params![tenant.as_str(), upstream.as_str(), after, rows(limit)], tool)?.collect()
    }

    fn callable_tools(
        &self,
        tenant: &TenantId,
        upstream: &UpstreamName,
        limit: usize,
    ) -> Result<Vec<(String, [u8; 32])>> {
        let mut statement = self.connection()?.prepare_cached(CALLABLE_TOOLS)?;
        let params = params![tenant.as_str(), upstream.as_str(), rows(limit)];
        let found = statement.query_and_then(params, |row| {
            let mut columns = Columns::of(row);
            Ok((columns.next()?, columns.next()?))
        })?;
        found.collect()
    }

    fn policies(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Policy>> {
        let read = || {
            let mut statement = self.connection()?.prepare_cached(POLICIES)?;
            statement
                .query_and_then(params![tenant.as_str(), rows(limit)], |row| {
                    let mut columns = Columns::of(row);
                    Ok(Policy {
                        id: columns.next()?,
                        definition: columns.next()?,
                        created_at: columns.next()?,
                        created_by: columns.next()?,
                    })
                })?
                .collect()
        };
        match self.buffer_if_writer() {
            Some(buffer) => buffer.policy_cache.policies.or_read((tenant.clone(), limit), read),
            None => read(),
        }
    }

    fn policy_uses(&self, tenant: &TenantId, policy: &PolicyId, subject: &str, after: i64) -> Result<i64> {
        let mut statement = self.connection()?.prepare_cached(POLICY_USES)?;
        Ok(statement.query_row(params![tenant.as_str(), policy.as_str(), subject, after], |row| row.get(0))?)
    }

    fn abandoned_calls(&self, before: UnixMicros, limit: usize) -> Result<Vec<(TenantId, InFlightCall)>> {
        self.find_abandoned(before, limit)
    }

    fn taint(&self, tenant: &TenantId, subject: &str) -> Result<Option<(String, UnixMicros)>> {
        let mut statement = self.connection()?.prepare_cached(TAINT)?;
        let mut rows = statement.query([tenant.as_str(), subject])?;
        Ok(rows.next()?.map(|row| Ok::<_, rusqlite::Error>((row.get(0)?, UnixMicros(row.get(1)?)))).transpose()?)
    }
}

impl WriteProxy for SqliteTx<'_> {
    fn put_upstream(&mut self, tenant: &TenantId, upstream: &Upstream) -> Result<()> {
        self.change(PUT_UPSTREAM)?.execute(params![
            tenant.as_str(),
            upstream.name.as_str(),
            folded(&upstream.name),
            upstream.url,
            json(&upstream.headers)?,
            json(&upstream.limits)?,
            upstream.generation,
            upstream.healthy,
            upstream.problem,
            upstream.checked_at.map(|at| at.0),
            upstream.created_at.0,
            upstream.created_by,
        ])?;
        self.begin_counts(tenant, &upstream.name)
    }

    fn delete_upstream(&mut self, tenant: &TenantId, name: &UpstreamName) -> Result<()> {
        self.change(DELETE_TOOLS)?.execute([tenant.as_str(), name.as_str()])?;
        self.change(DELETE_UPSTREAM)?.execute([tenant.as_str(), name.as_str()])?;
        self.delete_counts(tenant, name)
    }

    fn set_health(
        &mut self,
        tenant: &TenantId,
        name: &UpstreamName,
        problem: Option<&str>,
        at: UnixMicros,
    ) -> Result<()> {
        let mut statement = self.change(SET_HEALTH)?;
        let problem = (problem.is_none(), problem.unwrap_or_default());
        statement.execute(params![tenant.as_str(), name.as_str(), problem.0, problem.1, at.0])?;
        Ok(())
    }

    fn count_call(&mut self, tenant: &TenantId, name: &UpstreamName, latency: i64, failed: bool) -> Result<()> {
        self.buffer_count(tenant, name, latency, failed)
    }

    fn put_tool(&mut self, tenant: &TenantId, tool: &PinnedTool) -> Result<()> {
        self.change(PUT_TOOL)?.execute(params![
            tenant.as_str(),
            tool.upstream.as_str(),
            tool.name,
            tool.definition,
            tool.digest,
            tool.offered,
            tool.listed,
            json(&tool.warnings)?,
            json(&tool.marks)?,
            tool.first_seen.0,
            tool.changed_at.map(|at| at.0),
            tool.accepted_by,
        ])?;
        Ok(())
    }

    fn insert_policy(&mut self, tenant: &TenantId, policy: &Policy) -> Result<()> {
        self.change(INSERT_POLICY)?.execute(params![
            tenant.as_str(),
            policy.id.as_str(),
            json(&policy.definition)?,
            policy.created_at.0,
            policy.created_by,
        ])?;
        Ok(())
    }

    fn delete_policy(&mut self, tenant: &TenantId, id: &PolicyId) -> Result<()> {
        self.change(FORGET_USES_OF_POLICY)?.execute([tenant.as_str(), id.as_str()])?;
        self.change(DELETE_POLICY)?.execute([tenant.as_str(), id.as_str()])?;
        Ok(())
    }

    fn count_policy_use(&mut self, tenant: &TenantId, counted: &PolicyUse, by: i64) -> Result<()> {
        let mut statement = self.change(COUNT_POLICY_USE)?;
        statement.execute(params![tenant.as_str(), counted.policy, counted.subject, counted.at, by])?;
        Ok(())
    }

    fn forget_policy_uses(&mut self, before: i64, limit: usize) -> Result<()> {
        let old: Vec<(String, String, String, i64)> = {
            let mut statement = self.connection()?.prepare_cached(OLD_POLICY_USES)?;
            let found = statement.query_map(params![before, rows(limit)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
            found.collect::<Result<_, _>>()?
        };
        for (tenant, policy, subject, at) in old {
            let mut statement = self.change(FORGET_POLICY_USE)?;
            statement.execute(params![tenant, policy, subject, at])?;
        }
        Ok(())
    }

    fn begin_call(&mut self, tenant: &TenantId, call: &InFlightCall) -> Result<()> {
        self.buffer_call(tenant, call)
    }

    fn renew_call(&mut self, tenant: &TenantId, id: &str, lease: UnixMicros) -> Result<bool> {
        self.buffer_lease(tenant, id, lease)
    }

    fn end_call(&mut self, tenant: &TenantId, id: &str) -> Result<bool> {
        self.buffer_closing(tenant, id)
    }

    fn put_taint(
        &mut self,
        tenant: &TenantId,
        subject: &str,
        source: &str,
        at: UnixMicros,
        older: UnixMicros,
    ) -> Result<()> {
        let mut statement = self.change(PUT_TAINT)?;
        statement.execute(params![tenant.as_str(), subject, source, at.0, older.0])?;
        Ok(())
    }
}
