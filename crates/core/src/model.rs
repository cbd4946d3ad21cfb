//! The types that every room uses: ids, time, money, scopes, records. Pure: no I/O, no clock, no database.

pub mod approval;
mod cadence;
pub mod caller;
mod cursor;
pub mod duration;
pub mod id;
pub mod listed_name;
mod log_level;
pub mod money;
pub mod month;
mod pending_approval;
pub mod proxy;
pub mod record;
mod reported;
pub mod scope;
pub mod secret_placeholder;
pub mod text;
pub mod time;
mod time_point;
pub mod tool_name;
pub mod visible;

pub use approval::{Approval, ApprovalRule, ApprovalStatus, ElicitationResponse, PendingApproval, RuleType};
pub use cadence::{Cadence, MAX_SCHEDULES};
pub use caller::{Caller, Ceilings, Credential, Permission, Resource, Role, SignedInKey, Tier};
pub use cursor::{DeliveryCursor, SeqCursor, TimeCursor};
pub use id::{
    AgentId, ApprovalId, AuthorizationId, EntryId, PolicyId, RuleId, SecretName, SessionId, TenantId, UpstreamName,
};
pub use log_level::LogLevel;
pub use money::Money;
pub use month::{Day, Month};
pub use proxy::{
    InFlightCall, MAX_UPSTREAMS, PinnedTool, Policy, PolicyDefinition, PolicyType, PolicyUse, ToolMarks, Upstream,
    UpstreamSettings,
};
pub use record::{
    ApiKey, Authorization, AuthorizationStatus, Disclosure, Entry, EntryKind, EntryLine, EntryView, KEY_PREFIX,
    SecretVersion, SecretVersions, Session, StoredSecret,
};
pub use reported::ReportedCost;
pub use scope::{Scope, Scopes};
pub use time::{Clock, UnixMicros};
pub use time_point::TimePoint;
