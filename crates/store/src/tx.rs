//! What a transaction can do, by room. A backend implements these; rooms use them as `&dyn ReadTx` and
//! `&mut dyn Tx`. Every method is scoped to a tenant, so that a forgotten filter cannot leak another's data.

use std::sync::Arc;

use super::{
    ReadApprovals, ReadProxy, WriteApprovals, WriteProxy,
    compliance::{ReadCompliance, WriteCompliance},
    erasing::{ReadErasures, WriteErasures},
    retention::{ReadRetention, WriteRetention},
    signing::{ReadSigningKeys, WriteSigningKeys},
    stats::ReadStats,
    tree::{ReadTree, WriteTree},
    usage::{ReadUsage, WriteUsage},
    webhooks::{ReadWebhooks, WriteWebhooks},
};
use crate::{
    error::Result,
    model::{
        AgentId, ApiKey, Authorization, AuthorizationId, Entry, EntryView, Money, SecretName, SecretVersion,
        SecretVersions, Session, SessionId, StoredSecret, TenantId, Tier, UnixMicros, UpstreamName,
    },
};

/// What can be read.
pub trait ReadTx:
    ReadKeys
    + ReadSessions
    + ReadSecrets
    + ReadPayments
    + ReadAudit
    + ReadCounters
    + ReadApprovals
    + ReadStats
    + ReadRetention
    + ReadErasures
    + ReadWebhooks
    + ReadUsage
    + ReadSigningKeys
    + ReadTree
    + ReadCompliance
    + ReadProxy
{
}

impl<T> ReadTx for T where
    T: ReadKeys
        + ReadSessions
        + ReadSecrets
        + ReadPayments
        + ReadAudit
        + ReadCounters
        + ReadApprovals
        + ReadStats
        + ReadRetention
        + ReadErasures
        + ReadWebhooks
        + ReadUsage
        + ReadSigningKeys
        + ReadTree
        + ReadCompliance
        + ReadProxy
{
}

/// What can be read and changed.
pub trait Tx:
    ReadTx
    + WriteKeys
    + WriteSessions
    + WriteSecrets
    + WritePayments
    + WriteAudit
    + WriteCounters
    + WriteApprovals
    + WriteRetention
    + WriteErasures
    + WriteWebhooks
    + WriteUsage
    + WriteSigningKeys
    + WriteTree
    + WriteCompliance
    + WriteProxy
{
    /// Takes back everything this transaction has done so far; it goes on empty. For refusals: what was refused
    /// leaves nothing but its audit entry.
    fn start_over(&mut self) -> Result<()>;

    /// This as something that only reads.
    fn as_read(&self) -> &dyn ReadTx;
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

/// Tenants and API keys.
#[allow(missing_docs)]
pub trait ReadKeys {
    /// The tenant's data key, wrapped under the master key; `None` if there is no such tenant.
    fn wrapped_data_key(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>>;
    /// Tenants in the order of their ids, after `after`, at most `limit`.
    fn tenants(&self, after: &str, limit: usize) -> Result<Vec<TenantId>>;
    /// The same, with what is known of each.
    fn tenant_records(&self, after: &str, limit: usize) -> Result<Vec<TenantRecord>>;
    /// The tenant of this name.
    fn tenant_named(&self, name: &str) -> Result<Option<TenantId>>;
    /// A value that proves whether a master key is the store's own.
    fn master_key_check(&self) -> Result<Option<Vec<u8>>>;
    fn any_api_key(&self) -> Result<bool>;
    /// All keys that begin with `prefix`: nearly always one.
    fn api_keys_by_prefix(&self, prefix: &str) -> Result<Arc<[Arc<ApiKey>]>>;
    /// The tenant's keys, newest first, after the one with this time and prefix, at most `limit`.
    fn api_keys(&self, tenant: &TenantId, before: Option<&(UnixMicros, String)>, limit: usize) -> Result<Vec<ApiKey>>;
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

#[allow(missing_docs)]
pub trait WriteKeys {
    /// Whether there is such a tenant.
    fn name_tenant(&mut self, tenant: &TenantId, name: &str) -> Result<bool>;
    fn insert_tenant(&mut self, tenant: &TenantId, wrapped_data_key: &[u8], now: UnixMicros) -> Result<()>;
    /// Puts the tenant's data key as it is wrapped now.
    fn set_wrapped_data_key(&mut self, tenant: &TenantId, wrapped_data_key: &[u8]) -> Result<()>;
    fn set_master_key_check(&mut self, check: &[u8]) -> Result<()>;
    /// Writes so many bytes that mean nothing, to see whether there is room for them.
    fn put_ballast(&mut self, bytes: u32) -> Result<()>;
    /// Takes them away.
    fn delete_ballast(&mut self) -> Result<()>;
    fn insert_api_key(&mut self, key: &ApiKey) -> Result<()>;
    fn update_api_key(&mut self, digest: &[u8; 32], update: ApiKeyUpdate) -> Result<()>;
}

/// Which sessions to list, newest first.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct SessionQuery {
    pub agent_id: Option<AgentId>,
    /// Only ids that start with this.
    pub id_prefix: String,
    /// Older than this one: its creation time and id.
    pub before: Option<(UnixMicros, String)>,
    pub limit: usize,
}

#[allow(missing_docs)]
pub trait ReadSessions {
    fn session(&self, tenant: &TenantId, id: &SessionId) -> Result<Option<Arc<Session>>>;
    fn sessions(&self, tenant: &TenantId, query: &SessionQuery) -> Result<Vec<Session>>;
    /// The direct children, oldest first, after `after`, at most `limit`.
    fn child_sessions(
        &self,
        tenant: &TenantId,
        parent: &SessionId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Arc<Session>>>;
}

#[allow(missing_docs)]
pub trait WriteSessions {
    fn insert_session(&mut self, tenant: &TenantId, session: &Arc<Session>) -> Result<()>;
    fn revoke_session(&mut self, tenant: &TenantId, id: &SessionId, now: UnixMicros) -> Result<()>;
    fn set_spent(&mut self, tenant: &TenantId, id: &SessionId, spent: Money) -> Result<()>;
    fn add_logged(&mut self, tenant: &TenantId, id: &SessionId, cost: Money) -> Result<()>;
}

#[allow(missing_docs)]
pub trait ReadSecrets {
    fn secret(&self, tenant: &TenantId, name: &SecretName) -> Result<Option<StoredSecret>>;
    /// In the order of their names, after `after`, at most `limit`.
    fn secret_names(&self, tenant: &TenantId, after: &str, limit: usize) -> Result<Vec<SecretName>>;
    /// Those that may be sent to this upstream, and those that could be before they were replaced, narrowed or deleted.
    fn secrets_for(&self, tenant: &TenantId, upstream: &UpstreamName) -> Result<SecretVersions>;
    /// One of these, as it is or was stored.
    fn secret_version(&self, tenant: &TenantId, version: &SecretVersion) -> Result<Option<StoredSecret>>;
    /// How many secrets may be sent to upstreams, but for the one of this name, and the bytes of their sealed values: those of one
    /// storer, or of all agents for `None`.
    fn sendable(&self, tenant: &TenantId, stored_by: Option<&str>, but: &SecretName) -> Result<(usize, usize)>;
}

#[allow(missing_docs)]
pub trait WriteSecrets {
    /// What it replaces is kept among the former values, if it could be sent.
    fn put_secret(&mut self, tenant: &TenantId, secret: &StoredSecret) -> Result<()>;
    /// Whether there was one. It is kept among the former values, if it could be sent.
    fn delete_secret(&mut self, tenant: &TenantId, name: &SecretName, now: UnixMicros) -> Result<bool>;
}

/// Which payments, newest first.
#[allow(missing_docs)]
pub struct PaymentQuery {
    pub agent_id: Option<AgentId>,
    pub session_id: Option<SessionId>,
    /// Only those that are not settled yet.
    pub open: bool,
    /// Only those authorized at this time or later.
    pub since: Option<UnixMicros>,
    /// Only those authorized before this time.
    pub until: Option<UnixMicros>,
    /// Older than this one: the time of its authorization and its id.
    pub before: Option<(UnixMicros, String)>,
    pub limit: usize,
}

#[allow(missing_docs)]
pub trait ReadPayments {
    fn authorizations(&self, tenant: &TenantId, query: &PaymentQuery) -> Result<Vec<Authorization>>;
    /// What was spent on a UTC day of what is bounded by day, by a keyed hash of whose it is.
    fn daily_spent(&self, tenant: &TenantId, day: i64, of: &[u8; 32]) -> Result<Money>;
    fn authorization(&self, tenant: &TenantId, id: &AuthorizationId) -> Result<Option<Authorization>>;
}

#[allow(missing_docs)]
pub trait WritePayments {
    /// Puts what was spent on a day, and forgets some of what was spent before `forget_before`.
    fn put_daily_spent(
        &mut self,
        tenant: &TenantId,
        day: i64,
        of: &[u8; 32],
        spent: Money,
        forget_before: i64,
    ) -> Result<()>;
    fn insert_authorization(&mut self, tenant: &TenantId, authorization: &Authorization) -> Result<()>;
    fn settle_authorization(&mut self, tenant: &TenantId, authorization: &Authorization) -> Result<()>;
}

/// The end of a tenant's log.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Head {
    /// The last entry's number; 0 is an empty log.
    pub seq: i64,
    pub at: UnixMicros,
    pub entry_hash: [u8; 32],
    /// The Merkle tree's frontier, see `crypto::Frontier`.
    pub tree: Vec<u8>,
    /// Keyed by the tenant's data key over everything here: who has only the database cannot make one. `None` on a
    /// head that this batch of writes has put itself, and will seal once, when it commits.
    pub mac: Option<[u8; 32]>,
    /// What agents have logged.
    pub actions: i64,
    pub cost: Money,
    pub flagged: i64,
}

/// Which entries to list, newest first.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct AuditQuery {
    pub session_id: Option<String>,
    pub agent_id: Option<String>,
    pub tool: Option<String>,
    pub flagged: Option<bool>,
    /// At this time or later.
    pub since: Option<UnixMicros>,
    /// Before this time.
    pub until: Option<UnixMicros>,
    /// Only entries with a smaller number.
    pub before_seq: Option<i64>,
    /// Only entries with this number or a greater one.
    pub first_seq: Option<i64>,
    pub limit: usize,
}

/// Entries, as far as one query looks.
#[derive(Debug, Default)]
pub struct AuditPage {
    /// Newest first. What cannot be read as an entry is tampering: it stands in its place and says so.
    pub entries: Vec<Result<Entry, StoredEntryProblem>>,
    /// Whether there may be more in front of this number; `None` is the end.
    pub older_than: Option<i64>,
}

/// Entries in the order of the log, as far as one query looks.
#[derive(Debug, Default)]
pub struct AuditPart {
    /// Oldest first.
    pub entries: Vec<Result<Entry, StoredEntryProblem>>,
    /// The number to go on with; `None` is the end.
    pub next: Option<i64>,
}

#[allow(missing_docs)]
pub trait ReadAudit {
    fn head(&self, tenant: &TenantId) -> Result<Option<Head>>;
    /// The last entry that is folded: the tiles of the tree end with it. What lies behind it is the log's tail, a few
    /// hundred entries.
    fn folded(&self, tenant: &TenantId) -> Result<i64>;
    fn entry(&self, tenant: &TenantId, seq: i64) -> Result<Option<Result<Entry, StoredEntryProblem>>>;
    fn entries(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage>;
    /// The next entries in the order of the log, by `first_seq` and `before_seq` and the filters, but not by time.
    fn entries_forward(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPart>;
    /// Hands over every entry from `first` on, in order, until `each` answers `false`.
    fn each_entry(
        &self,
        tenant: &TenantId,
        first: i64,
        each: &mut dyn FnMut(Result<EntryView<'_>, StoredEntryProblem>) -> bool,
    ) -> Result<()>;
}

/// A stored entry that cannot even be read as one: tampering that the reader reports instead of failing on.
#[derive(Clone, Debug)]
pub struct StoredEntryProblem {
    /// Its number, as far as it could be read.
    pub seq: Option<i64>,
    /// What could not be read.
    pub problem: String,
}

/// Makes the `mac` of a head.
pub trait LogKeeper: Send + Sync {
    /// A keyed hash over everything else in it, and whose it is.
    fn seal(&self, tenant: &TenantId, head: &Head) -> [u8; 32];
    /// The leaf that an entry is in the log's tree.
    fn leaf_hash(&self, tenant: &TenantId, entry: &EntryView<'_>) -> [u8; 32];
}

#[allow(missing_docs)]
pub trait WriteAudit {
    /// Appends an entry, which is this leaf of the log's tree.
    fn insert_entry(&mut self, tenant: &TenantId, entry: Arc<Entry>, leaf: [u8; 32]) -> Result<()>;
    /// Puts the head. Its `mac` is made when the batch goes to the database.
    fn put_head(&mut self, tenant: &TenantId, head: Head, keeper: Arc<dyn LogKeeper>) -> Result<()>;
}

/// What is known of an agent: totals, and the windows that anomaly rules count in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AgentStats {
    pub actions: i64,
    pub cost: Money,
    pub authorized: Money,
    pub burst_start: UnixMicros,
    pub burst_count: i64,
    pub refusal_start: UnixMicros,
    pub refusal_count: i64,
    pub secret_start: UnixMicros,
    pub secret_count: i64,
}

/// How often something happened and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Cost {
    pub actions: i64,
    pub cost: Money,
}

impl Cost {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { actions: self.actions.saturating_add(other.actions), cost: self.cost.saturating_add(other.cost) }
    }

    /// What is left without the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { actions: self.actions.saturating_sub(other.actions), cost: self.cost.minus_floor_zero(other.cost) }
    }
}

/// Whose use of a tool is counted.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum ToolTally<'a> {
    Tenant,
    Agent(&'a str),
    Session(&'a str),
}

/// One tool's share.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ToolSpend {
    pub tool: String,
    pub total: Cost,
}

/// The answer that a repeated call gets again.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct IdempotentAnswer {
    /// Of the operation and its input.
    pub digest: [u8; 32],
    pub status: u16,
    /// `None` where the answer holds a secret: such answers are never kept.
    pub body: Option<String>,
    pub created_at: UnixMicros,
    /// The session that the call named; empty if it named none. Nothing is decided by it.
    pub session_id: String,
}

/// Small rows that are counted in: agents, tools, hourly limits, idempotency keys.
#[allow(missing_docs)]
pub trait ReadCounters {
    fn agent(&self, tenant: &TenantId, agent: &str) -> Result<Option<AgentStats>>;
    /// What the agents have logged, in the order of their names, at most `limit`.
    fn agent_costs(&self, tenant: &TenantId, limit: usize) -> Result<Vec<(String, Cost)>>;
    /// What the newest sessions, of one agent or all, have logged, at most `limit`.
    fn session_costs(&self, tenant: &TenantId, agent: Option<&str>, limit: usize) -> Result<Vec<(String, Cost)>>;
    /// What the tools have cost, in the order of their names, at most `limit`.
    fn tool_costs(&self, tenant: &TenantId, of: ToolTally<'_>, limit: usize) -> Result<Vec<ToolSpend>>;
    /// What the whole tenant has authorized and not given back.
    fn authorized_total(&self, tenant: &TenantId) -> Result<Money>;
    /// How many answers the tenant has kept for repeated calls, and the bytes of their bodies.
    fn kept_answers(&self, tenant: &TenantId) -> Result<(i64, i64)>;
    fn idempotent_answer(&self, tenant: &TenantId, caller: &str, key: &str) -> Result<Option<IdempotentAnswer>>;
}

#[allow(missing_docs)]
pub trait WriteCounters {
    fn put_agent(&mut self, tenant: &TenantId, agent: &str, stats: &AgentStats) -> Result<()>;
    /// Adds one use; answers how often the tool has been used so far, this time included.
    fn add_tool_use(&mut self, tenant: &TenantId, agent: &str, tool: &str, cost: Money) -> Result<i64>;
    /// Adds to what the tenant has authorized; negative to give back.
    fn add_authorized(&mut self, tenant: &TenantId, amount: Money) -> Result<()>;
    fn put_idempotent_answer(
        &mut self,
        tenant: &TenantId,
        caller: &str,
        key: &str,
        answer: &IdempotentAnswer,
    ) -> Result<()>;
    /// Forgets at most `limit` answers from before `before`.
    fn forget_answers(&mut self, before: UnixMicros, limit: usize) -> Result<()>;
    /// Takes up to `wanted` calls from what `limit` leaves of an hour; answers how many, and how many were used.
    fn take_calls(&mut self, key_digest: &[u8; 32], hour: i64, wanted: i64, limit: i64) -> Result<(i64, i64)>;
}
