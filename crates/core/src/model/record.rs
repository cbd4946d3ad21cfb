//! The records in the store.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AgentId, AuthorizationId, Ceilings, EntryId, Money, Role, Scope, Scopes, SecretName, SessionId, TenantId, Tier,
    UnixMicros, UpstreamName,
};

/// What every API key begins with.
pub const KEY_PREFIX: &str = "hld_";

/// An API key, without the key: only its BLAKE3 digest is kept.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ApiKey {
    /// The key's first twelve characters, which identify it for people.
    pub prefix: String,
    pub digest: [u8; 32],
    pub tenant: TenantId,
    pub name: String,
    pub tier: Tier,
    pub role: Role,
    /// Key scopes: `*` or `<resource>:read|write|*`.
    pub scopes: Vec<String>,
    pub ceilings: Ceilings,
    pub created_at: UnixMicros,
    pub expires_at: Option<UnixMicros>,
    pub last_used_at: Option<UnixMicros>,
    pub revoked_at: Option<UnixMicros>,
}

/// An agent's session: what it may do, spend, and for how long.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Session {
    pub id: SessionId,
    pub agent_id: AgentId,
    pub scopes: Scopes,
    /// Its own budget; `None` is no limit of its own.
    pub spend_limit: Option<Money>,
    /// What its key allowed a session to spend when it was created.
    pub spend_ceiling: Option<Money>,
    /// What all sessions of its agent with such a limit may spend together in a UTC day; `None` is no limit.
    pub daily_limit: Option<Money>,
    /// What its key allowed all of its sessions to spend in a UTC day when it was created.
    pub daily_ceiling: Option<Money>,
    /// What it and its descendants have authorized and not given back.
    pub spent: Money,
    /// What it has logged as cost.
    pub logged_cost: Money,
    pub action_count: i64,
    pub created_at: UnixMicros,
    /// `None` is never.
    pub expires_at: Option<UnixMicros>,
    pub revoked_at: Option<UnixMicros>,
    pub parent: Option<SessionId>,
    pub depth: i64,
    /// The principal that created it.
    pub created_by: String,
}

impl Session {
    /// A session without limits and a parent, which has not been used yet.
    pub fn new(id: SessionId, agent_id: AgentId, scopes: Scopes, created_at: UnixMicros, created_by: String) -> Self {
        Self {
            id,
            agent_id,
            scopes,
            spend_limit: None,
            spend_ceiling: None,
            daily_limit: None,
            daily_ceiling: None,
            spent: Money::ZERO,
            logged_cost: Money::ZERO,
            action_count: 0,
            created_at,
            expires_at: None,
            revoked_at: None,
            parent: None,
            depth: 0,
            created_by,
        }
    }

    /// Neither revoked nor expired.
    pub fn is_valid(&self, now: UnixMicros) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// What its own budget or its key's ceiling leaves, whichever is less; `None` is no limit.
    pub fn remaining(&self) -> Option<Money> {
        super::caller::tighter(self.spend_limit, self.spend_ceiling).map(|limit| limit.minus_floor_zero(self.spent))
    }
}

/// How a secret's plaintext may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Disclosure {
    /// getSecret returns it to a session that holds the required scope.
    #[default]
    Return,
    /// It is never returned: only the proxy puts it into an upstream call.
    Inject,
}

/// A sealed secret in the store.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct StoredSecret {
    pub name: SecretName,
    pub version: i64,
    /// Nonce and ciphertext, see `crypto::seal`.
    pub sealed: Vec<u8>,
    pub scope_required: Scope,
    pub disclosure: Disclosure,
    /// The only upstreams that it may be sent to.
    pub upstreams: Vec<UpstreamName>,
    pub created_at: UnixMicros,
    /// The principal of the agent that stored it; empty for an operator.
    pub stored_by: String,
}

/// Identifies a value of a secret that an upstream can have received. The version alone does not: after a deletion, versions of
/// the name start at 1 again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct SecretVersion {
    pub name: SecretName,
    pub version: i64,
    pub created_at: UnixMicros,
}

/// Values of secrets, including replaced ones.
pub type SecretVersions = Arc<[SecretVersion]>;

/// The status of a payment authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum AuthorizationStatus {
    Authorized,
    Captured,
    Voided,
}

/// A payment that was authorized against a budget.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Authorization {
    pub id: AuthorizationId,
    pub session_id: SessionId,
    pub agent_id: AgentId,
    pub amount: Money,
    /// What was captured of it; zero until then.
    pub captured: Money,
    pub currency: String,
    pub description: String,
    pub status: AuthorizationStatus,
    pub created_at: UnixMicros,
    pub settled_at: Option<UnixMicros>,
}

/// The origin of an audit entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// An agent logged what it did.
    Action,
    /// Haldir itself recorded a decision. No agent can write such an entry.
    #[default]
    Governance,
}

impl EntryKind {
    /// Its name in the store and in the canonical bytes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Governance => "governance",
        }
    }
}

/// An entry of the audit log, as stored. `haldir_verify::canonical` says which bytes are hashed.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Entry {
    pub seq: i64,
    pub id: EntryId,
    pub at: UnixMicros,
    pub kind: EntryKind,
    /// Empty where no session was involved.
    pub session_id: String,
    pub agent_id: String,
    pub tool: String,
    pub action: String,
    pub cost: Money,
    pub flagged: bool,
    /// Empty unless flagged.
    pub flag_reason: String,
    /// The principal that caused it.
    pub actor: String,
    /// JSON text; `None` where there were none.
    pub details: Option<String>,
    /// The salt keeps a guess at erased details from being confirmed by their digest.
    pub details_salt: Option<[u8; 16]>,
    pub details_digest: Option<[u8; 32]>,
    pub prev_hash: [u8; 32],
    pub entry_hash: [u8; 32],
}

/// An [`Entry`] that borrows its texts and hashes, such as from a row.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct EntryView<'a> {
    pub seq: i64,
    /// Not validated: a malformed id does not match the entry's hash.
    pub id: &'a str,
    pub at: UnixMicros,
    pub kind: EntryKind,
    pub session_id: &'a str,
    pub agent_id: &'a str,
    pub tool: &'a str,
    pub action: &'a str,
    pub cost: Money,
    pub flagged: bool,
    pub flag_reason: &'a str,
    pub actor: &'a str,
    pub details: Option<&'a str>,
    pub details_salt: Option<&'a [u8; 16]>,
    pub details_digest: Option<&'a [u8; 32]>,
    pub prev_hash: &'a [u8; 32],
    pub entry_hash: &'a [u8; 32],
}

impl Entry {
    /// Whether its texts were erased: no agent has an empty name.
    pub fn is_erased(&self) -> bool {
        self.agent_id.is_empty()
    }

    /// The entry as a view.
    pub fn view(&self) -> EntryView<'_> {
        EntryView {
            seq: self.seq,
            id: self.id.as_str(),
            at: self.at,
            kind: self.kind,
            session_id: &self.session_id,
            agent_id: &self.agent_id,
            tool: &self.tool,
            action: &self.action,
            cost: self.cost,
            flagged: self.flagged,
            flag_reason: &self.flag_reason,
            actor: &self.actor,
            details: self.details.as_deref(),
            details_salt: self.details_salt.as_ref(),
            details_digest: self.details_digest.as_ref(),
            prev_hash: &self.prev_hash,
            entry_hash: &self.entry_hash,
        }
    }
}

/// The fields of an entry that are counted.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct EntryLine<'a> {
    pub at: UnixMicros,
    pub kind: EntryKind,
    pub session_id: &'a str,
    pub agent_id: &'a str,
    pub tool: &'a str,
    pub action: &'a str,
    pub cost: Money,
    pub flagged: bool,
}

impl<'a> EntryView<'a> {
    /// The fields that are counted.
    pub fn line(&self) -> EntryLine<'a> {
        EntryLine {
            at: self.at,
            kind: self.kind,
            session_id: self.session_id,
            agent_id: self.agent_id,
            tool: self.tool,
            action: self.action,
            cost: self.cost,
            flagged: self.flagged,
        }
    }
}

impl EntryView<'_> {
    /// The owned entry; the error says what is wrong with its id.
    pub fn to_entry(&self) -> Result<Entry, String> {
        Ok(Entry {
            seq: self.seq,
            id: EntryId::parse(self.id).map_err(|problem| format!("id {problem}"))?,
            at: self.at,
            kind: self.kind,
            session_id: self.session_id.to_owned(),
            agent_id: self.agent_id.to_owned(),
            tool: self.tool.to_owned(),
            action: self.action.to_owned(),
            cost: self.cost,
            flagged: self.flagged,
            flag_reason: self.flag_reason.to_owned(),
            actor: self.actor.to_owned(),
            details: self.details.map(str::to_owned),
            details_salt: self.details_salt.copied(),
            details_digest: self.details_digest.copied(),
            prev_hash: *self.prev_hash,
            entry_hash: *self.entry_hash,
        })
    }
}
