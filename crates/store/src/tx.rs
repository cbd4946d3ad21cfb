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
    fn tenants(&self, after: &str, limit: usize) -> Result<Vec<TenantRecord>>;
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
    /// Writes so many bytes without a meaning in place of those that are there, to see whether the disk has room.
    fn set_ballast(&mut self, bytes: u32) -> Result<()>;
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
    /// Adds to what was spent on a day, or takes back, and forgets some of what was spent before `forget_before`.
    fn add_daily_spent(
        &mut self,
        tenant: &TenantId,
        day: i64,
        of: &[u8; 32],
        amount: Money,
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
    /// Keyed by the tenant's data key over everything else here: an intruder with nothing but the database cannot make one.
    pub mac: [u8; 32],
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
    /// The last entry whose hash is in the tiles of the log's tree. Those behind it, a few hundred, are computed from the entries.
    fn last_in_tiles(&self, tenant: &TenantId) -> Result<i64>;
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

/// Computes the leaf that an entry is in the tree of a tenant's log.
pub type LeafHash = fn(&TenantId, &EntryView<'_>) -> [u8; 32];

/// One more entry of a log.
#[allow(missing_docs)]
pub struct Append {
    pub entry: Arc<Entry>,
    /// The entry's leaf in the log's tree.
    pub leaf: [u8; 32],
    /// The head that the log has with this entry.
    pub head: Head,
    /// For entries that other processes have appended.
    pub leaf_hash: LeafHash,
}

#[allow(missing_docs)]
pub trait WriteAudit {
    /// Puts the head of a new tenant's log, which is empty.
    fn begin_log(&mut self, tenant: &TenantId, head: &Head) -> Result<()>;
    /// Appends an entry to the log.
    fn append(&mut self, tenant: &TenantId, append: Append) -> Result<()>;
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

/// Whose costs are listed.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum CostsOf<'a> {
    /// Of agents, in the order of their names.
    Agents,
    /// Of the newest sessions, of one agent or all.
    Sessions { agent: Option<&'a str> },
    /// Of tools, in the order of their names.
    Tools,
    /// Of the tools that an agent used.
    ToolsOfAgent(&'a str),
    /// Of the tools that a session used.
    ToolsOfSession(&'a str),
}

/// The answer that a repeated call gets again.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct IdempotentResponse {
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
    /// What was logged, at most `limit` lines.
    fn costs(&self, tenant: &TenantId, of: CostsOf<'_>, limit: usize) -> Result<Vec<(String, Cost)>>;
    /// What the whole tenant has authorized and not given back.
    fn authorized_total(&self, tenant: &TenantId) -> Result<Money>;
    /// How many answers the tenant has kept for repeated calls, and the bytes of their bodies.
    fn kept_responses(&self, tenant: &TenantId) -> Result<(i64, i64)>;
    fn idempotent_response(&self, tenant: &TenantId, caller: &str, key: &str) -> Result<Option<IdempotentResponse>>;
}

#[allow(missing_docs)]
pub trait WriteCounters {
    fn put_agent(&mut self, tenant: &TenantId, agent: &str, stats: &AgentStats) -> Result<()>;
    /// Counts an action for the session and for what its agent did with the tool; returns how often the agent has used the tool,
    /// this time included.
    fn count_action(&mut self, tenant: &TenantId, session: &Session, tool: &str, cost: Money) -> Result<i64>;
    /// Adds to what the agent and the tenant have authorized; negative to give back.
    fn add_authorized(&mut self, tenant: &TenantId, agent: &str, amount: Money) -> Result<()>;
    /// Puts an answer, and forgets a few that are from before `forget_before`.
    fn put_idempotent_response(
        &mut self,
        tenant: &TenantId,
        caller: &str,
        key: &str,
        answer: &IdempotentResponse,
        forget_before: UnixMicros,
    ) -> Result<()>;
    /// Takes up to `wanted` calls from what `limit` leaves of an hour; answers how many, and how many were used.
    fn take_calls(&mut self, key_digest: &[u8; 32], hour: i64, wanted: i64, limit: i64) -> Result<(i64, i64)>;
}
