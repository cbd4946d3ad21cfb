//! Upstream servers, the tools that they offered, policies, and what policies have counted.

use std::sync::Arc;

use crate::{
    ReadTx, Tx,
    database::{Record, from_row, params, record},
    error::Result,
    model::{PinnedTool, Policy, PolicyId, PolicyUse, TenantId, UnixMicros, Upstream, UpstreamName},
    statements::statements,
};

macro_rules! upstream {
    () => {
        "name, url, headers, limits, generation, healthy, problem, checked_at, coalesce(counts.calls, 0),
        coalesce(counts.errors, 0), coalesce(counts.latency, 0), created_at, created_by FROM upstreams AS known
        LEFT JOIN calls AS counts ON (counts.tenant, counts.id) = (known.tenant, ':' || known.name)"
    };
}

record! { upstream_tools: PinnedTool as tool {
    upstream, name, definition, digest, offered, listed, warnings, marks, first_seen, changed_at, accepted_by,
} }

record! { policies: Policy as policy { id, definition, created_at, created_by } }

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
    PUT_TOOL = PinnedTool::PUT;
    DELETE_TOOLS = "DELETE FROM upstream_tools WHERE tenant = ?1 AND upstream = ?2";
    POLICIES = concat!("SELECT ", policy!(), " FROM policies WHERE tenant = ?1 ORDER BY id LIMIT ?2");
    INSERT_POLICY = Policy::INSERT;
    DELETE_POLICY = "DELETE FROM policies WHERE tenant = ?1 AND id = ?2";
    FORGET_USES_OF_POLICY = "DELETE FROM policy_uses WHERE tenant = ?1 AND policy = ?2";
    POLICY_USES = "SELECT coalesce(sum(uses), 0) FROM policy_uses
        WHERE tenant = ?1 AND policy = ?2 AND subject = ?3 AND at > ?4";
    COUNT_POLICY_USE = "INSERT INTO policy_uses (tenant, policy, subject, at, uses) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET uses = max(0, policy_uses.uses + ?5)";
    OLD_POLICY_USES = "SELECT tenant, policy, subject, at FROM policy_uses WHERE at < ?1 ORDER BY at LIMIT ?2";
    FORGET_POLICY_USE = "DELETE FROM policy_uses WHERE tenant = ?1 AND policy = ?2 AND subject = ?3 AND at = ?4";
    TAINT = "SELECT source, at FROM session_taints WHERE tenant = ?1 AND session_id = ?2";
    PUT_TAINT = "INSERT INTO session_taints (tenant, session_id, source, at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET source = ?3, at = ?4 WHERE session_taints.at < ?5";
}

from_row! { Upstream {
    name, url, headers, limits, generation, healthy, problem, checked_at, calls, errors, latency, created_at,
    created_by,
} }

/// A name as it is compared with others: they are ASCII, so case is all that there is.
fn folded(name: &UpstreamName) -> String {
    name.as_str().to_ascii_lowercase()
}

#[allow(missing_docs)]
impl ReadTx {
    /// Its counts may be older ones.
    pub fn upstream(&self, tenant: &TenantId, name: &UpstreamName) -> Result<Option<Arc<Upstream>>> {
        if let Some(known) = self.row_cache().and_then(|(row_cache, version)| row_cache.upstream(version, tenant, name))
        {
            return Ok(Some(known));
        }
        let found = self.first::<Upstream>(UPSTREAM, params![tenant, name])?.map(Arc::new);
        if let (Some(found), Some((row_cache, version))) = (&found, self.row_cache()) {
            row_cache.keep_upstream(version, tenant, found);
        }
        Ok(found)
    }

    /// The upstream with a name that differs at most in case.
    pub fn upstream_alike(&self, tenant: &TenantId, name: &UpstreamName) -> Result<Option<Upstream>> {
        self.first(UPSTREAM_ALIKE, params![tenant, folded(name)])
    }

    /// In the order of their names, at most `limit`.
    pub fn upstreams(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Upstream>> {
        self.all(UPSTREAMS, params![tenant, limit])
    }

    /// Upstreams of all tenants that were not asked since `before`, and those that were not well since the later `unwell`,
    /// longest first, at most `limit`.
    pub fn upstreams_to_check(
        &self,
        (before, unwell): (UnixMicros, UnixMicros),
        limit: usize,
    ) -> Result<Vec<(TenantId, UpstreamName)>> {
        self.all(UPSTREAMS_TO_CHECK, params![before, unwell, limit])
    }

    pub fn pinned_tool(
        &self,
        tenant: &TenantId,
        upstream: &UpstreamName,
        name: &str,
    ) -> Result<Option<Arc<PinnedTool>>> {
        let read = || Ok(self.first::<PinnedTool>(TOOL, params![tenant, upstream, name])?.map(Arc::new));
        match self.buffer_if_writer() {
            Some(buffer) => {
                buffer.policy_cache.tools.or_read((tenant.clone(), upstream.clone(), name.to_owned()), read)
            }
            None => read(),
        }
    }

    /// The tools of this name, whichever upstream has them, at most `limit`.
    pub fn tools_named(&self, tenant: &TenantId, name: &str, limit: usize) -> Result<Vec<PinnedTool>> {
        self.all(TOOLS_NAMED, params![tenant, name, limit])
    }

    /// An upstream's tools in the order of their names, after `after`, at most `limit`.
    pub fn tools_of(
        &self,
        tenant: &TenantId,
        upstream: &UpstreamName,
        after: &str,
        limit: usize,
    ) -> Result<Vec<PinnedTool>> {
        self.all(TOOLS_OF, params![tenant, upstream, after, limit])
    }

    /// Names and digests of those that are listed, and as they were accepted, in the order of their names.
    pub fn callable_tools(
        &self,
        tenant: &TenantId,
        upstream: &UpstreamName,
        limit: usize,
    ) -> Result<Vec<(String, [u8; 32])>> {
        self.all(CALLABLE_TOOLS, params![tenant, upstream, limit])
    }

    pub fn policies(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Policy>> {
        let read = || self.all(POLICIES, params![tenant, limit]);
        match self.buffer_if_writer() {
            Some(buffer) => buffer.policy_cache.policies.or_read((tenant.clone(), limit), read),
            None => read(),
        }
    }

    /// How often a policy let `subject` through after `after`.
    pub fn policy_uses(&self, tenant: &TenantId, policy: &PolicyId, subject: &str, after: i64) -> Result<i64> {
        self.one(POLICY_USES, params![tenant, policy, subject, after])
    }

    /// The untrusted source that a session, or another holder that `subject` names, has read from, and when.
    pub fn taint(&self, tenant: &TenantId, subject: &str) -> Result<Option<(String, UnixMicros)>> {
        self.first(TAINT, params![tenant, subject])
    }
}

#[allow(missing_docs)]
impl Tx {
    /// Its counts go on from where they are.
    pub fn put_upstream(&mut self, tenant: &TenantId, upstream: &Upstream) -> Result<()> {
        let u = upstream;
        let params = params![
            tenant,
            u.name,
            folded(&u.name),
            u.url,
            u.headers,
            u.limits,
            u.generation,
            u.healthy,
            u.problem,
            u.checked_at,
            u.created_at,
            u.created_by,
        ];
        self.change(PUT_UPSTREAM, params)?;
        self.begin_counts(tenant, &upstream.name)
    }

    /// Forgets the upstream, its tools, and its counts.
    pub fn delete_upstream(&mut self, tenant: &TenantId, name: &UpstreamName) -> Result<()> {
        self.change(DELETE_TOOLS, params![tenant, name])?;
        self.change(DELETE_UPSTREAM, params![tenant, name])?;
        self.delete_counts(tenant, name)
    }

    pub fn set_health(
        &mut self,
        tenant: &TenantId,
        name: &UpstreamName,
        problem: Option<&str>,
        at: UnixMicros,
    ) -> Result<()> {
        self.change(SET_HEALTH, params![tenant, name, problem.is_none(), problem.unwrap_or_default(), at]).map(drop)
    }

    pub fn put_tool(&mut self, tenant: &TenantId, tool: &PinnedTool) -> Result<()> {
        self.change(PUT_TOOL, &tool.params(tenant)).map(drop)
    }

    pub fn insert_policy(&mut self, tenant: &TenantId, policy: &Policy) -> Result<()> {
        self.change(INSERT_POLICY, &policy.params(tenant)).map(drop)
    }

    /// Forgets the policy, and what was counted for it.
    pub fn delete_policy(&mut self, tenant: &TenantId, id: &PolicyId) -> Result<()> {
        self.change(FORGET_USES_OF_POLICY, params![tenant, id])?;
        self.change(DELETE_POLICY, params![tenant, id]).map(drop)
    }

    /// Counts one more, or, where the call came to nothing, one less.
    pub fn count_policy_use(&mut self, tenant: &TenantId, counted: &PolicyUse, by: i64) -> Result<()> {
        self.change(COUNT_POLICY_USE, params![tenant, counted.policy, counted.subject, counted.at, by]).map(drop)
    }

    /// Forgets at most `limit` counts from before `before`.
    pub fn forget_policy_uses(&mut self, before: i64, limit: usize) -> Result<()> {
        let old: Vec<(String, String, String, i64)> = self.all(OLD_POLICY_USES, params![before, limit])?;
        for (tenant, policy, subject, at) in old {
            self.change(FORGET_POLICY_USE, params![tenant, policy, subject, at])?;
        }
        Ok(())
    }

    /// One that is there already is renewed if it is from before `older`.
    pub fn put_taint(
        &mut self,
        tenant: &TenantId,
        subject: &str,
        source: &str,
        at: UnixMicros,
        older: UnixMicros,
    ) -> Result<()> {
        self.change(PUT_TAINT, params![tenant, subject, source, at, older]).map(drop)
    }
}
