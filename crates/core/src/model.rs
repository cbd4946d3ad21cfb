//! The words that every room uses: ids, time, money, scopes, records. Pure: no I/O, no clock, no database.

pub mod approval;
mod cadence;
pub mod caller;
mod cursor;
pub mod duration;
mod held;
pub mod id;
mod log_level;
pub mod money;
pub mod month;
pub mod proxy;
pub mod record;
mod reported;
pub mod scope;
pub mod text;
pub mod time;
mod time_point;
pub mod tool_name;
pub mod visible;

pub use approval::{Approval, ApprovalRule, ApprovalStatus, Held, Person, RuleType};
pub use cadence::Cadence;
pub use caller::{Caller, Ceilings, Credential, Permission, Resource, Role, SignedInKey, Tier};
pub use cursor::{DeliveryCursor, SeqCursor, TimeCursor};
pub use id::{
    AgentId, ApprovalId, AuthorizationId, EntryId, PolicyId, RuleId, SecretName, SessionId, TenantId, UpstreamName,
};
pub use log_level::LogLevel;
pub use money::Money;
pub use month::{Day, Month};
pub use proxy::{
    InFlightCall, PinnedTool, Policy, PolicyDefinition, PolicyType, PolicyUse, ToolMarks, Upstream, UpstreamSettings,
};
pub use record::{
    ApiKey, Authorization, AuthorizationStatus, Disclosure, Entry, EntryKind, EntryLine, EntryView, SecretVersion,
    SecretVersions, Session, StoredSecret,
};
pub use reported::ReportedCost;
pub use scope::{Scope, Scopes};
pub use time::{Clock, UnixMicros};
pub use time_point::TimePoint;
