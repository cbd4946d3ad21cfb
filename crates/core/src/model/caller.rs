//! Callers, and the limits that apply to them in every interface.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Money, Scopes, TenantId, UnixMicros};

/// The two kinds of caller: the operator sets the limits, the agent works within them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Works within sessions; cannot mint keys, settle payments or change rules.
    Agent,
    /// Sets the limits of agents.
    Operator,
}

/// How many calls an hour a key may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// 100 calls an hour, unless the operator set another figure.
    #[default]
    Free,
    /// 5,000 calls an hour.
    Pro,
    /// 50,000 calls an hour.
    Enterprise,
}

impl Tier {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }
}

/// A part of haldir that key scopes name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Resource {
    Sessions,
    Vault,
    Audit,
    Payments,
    Webhooks,
    Proxy,
    Approvals,
    Admin,
}

impl Resource {
    /// Every resource, by the name that key scopes use.
    pub const ALL: [(&'static str, Self); 8] = [
        ("sessions", Self::Sessions),
        ("vault", Self::Vault),
        ("audit", Self::Audit),
        ("payments", Self::Payments),
        ("webhooks", Self::Webhooks),
        ("proxy", Self::Proxy),
        ("approvals", Self::Approvals),
        ("admin", Self::Admin),
    ];

    /// The name that key scopes use.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, resource)| *resource == self).map_or("", |(name, _)| name)
    }
}

/// What an operation requires of its caller: a key scope such as `audit:write`, and a role.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// The resource.
    pub resource: Resource,
    /// Whether it changes something; `write` includes `read`.
    pub write: bool,
    /// The lowest role.
    pub role: Role,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource.name(), if self.write { "write" } else { "read" })
    }
}

/// Parses a key scope: `*`, or `<resource>:read`, `:write`, `:*`.
pub fn parse_key_scope(text: &str) -> Result<(), String> {
    let valid = text == "*"
        || text.split_once(':').is_some_and(|(resource, access)| {
            Resource::ALL.iter().any(|(name, _)| *name == resource) && matches!(access, "read" | "write" | "*")
        });
    if valid {
        Ok(())
    } else {
        let names: Vec<_> = Resource::ALL.iter().map(|(name, _)| *name).collect();
        Err(format!(
            "`{text}` is no key scope: expected * or <resource>:read|write|*, where <resource> is one of {}",
            names.join(", ")
        ))
    }
}

/// The pattern of [`parse_key_scope`] for JSON Schema.
pub fn key_scope_pattern() -> String {
    let names: Vec<_> = Resource::ALL.iter().map(|(name, _)| *name).collect();
    format!(r"^(\*|({}):(read|write|\*))$", names.join("|"))
}

/// Whether a granted key scope covers another.
pub fn key_scope_covers(granted: &str, wanted: &str) -> bool {
    if granted == "*" || granted == wanted {
        return true;
    }
    let (Some((granted_resource, granted)), Some((resource, wanted))) =
        (granted.split_once(':'), wanted.split_once(':'))
    else {
        return false;
    };
    granted_resource == resource && (granted == "*" || (granted == "write" && wanted == "read"))
}

/// The limits that no session created with a key can exceed. `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceilings {
    /// The scopes that a session may be given.
    pub scopes: Option<Scopes>,
    /// Whether a session may be given `admin` or `*`.
    pub admin: bool,
    /// The most that one session may spend.
    pub spend: Option<Money>,
    /// The most that all sessions of one creator may spend in a UTC day.
    pub daily: Option<Money>,
    /// The longest life of a session, in seconds.
    pub ttl: Option<i64>,
}

impl Ceilings {
    /// No limits.
    pub const NONE: Self = Self { scopes: None, admin: true, spend: None, daily: None, ttl: None };

    /// These ceilings, with those of `defaults` where there is none.
    #[must_use]
    pub fn or(&self, defaults: &Self) -> Self {
        Self {
            scopes: self.scopes.clone().or_else(|| defaults.scopes.clone()),
            admin: self.admin,
            spend: self.spend.or(defaults.spend),
            daily: self.daily.or(defaults.daily),
            ttl: self.ttl.or(defaults.ttl),
        }
    }

    /// The tighter of two ceilings in every respect. A scope must pass both lists.
    #[must_use]
    pub fn tightened_by(&self, other: &Self) -> Self {
        let scopes = match (&self.scopes, &other.scopes) {
            (Some(a), Some(b)) => Some(Scopes::new(
                a.iter().filter(|scope| b.hold(scope)).chain(b.iter().filter(|scope| a.hold(scope))).cloned(),
            )),
            (one, None) | (None, one) => one.clone(),
        };
        Self {
            scopes,
            admin: self.admin && other.admin,
            spend: tighter(self.spend, other.spend),
            daily: tighter(self.daily, other.daily),
            ttl: tighter(self.ttl, other.ttl),
        }
    }
}

/// The smaller of two limits; `None` is no limit.
pub fn tighter<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// The credential of a caller.
#[derive(Clone)]
pub enum Credential {
    /// No credential.
    Anonymous,
    /// An API key, as presented.
    ApiKey(Zeroizing<String>),
    /// The keyless stdio server: an agent of the local tenant.
    LocalAgent,
    /// An API key by its digest: the person at a browser who signed in with the key itself.
    SignedIn(SignedInKey),
    /// A process with access to the store's files: the terminal client.
    LocalOperator(TenantId),
}

/// What is kept of an API key with which a person signed in: enough to find it in the store, without the secret.
#[derive(Clone)]
pub struct SignedInKey {
    /// Its first characters.
    pub prefix: String,
    /// Its digest, as in the store.
    pub digest: [u8; 32],
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::ApiKey(_) => "ApiKey(…)",
            Self::LocalAgent => "LocalAgent",
            Self::SignedIn(_) => "SignedIn(…)",
            Self::LocalOperator(_) => "LocalOperator",
        })
    }
}

/// The principal of a caller without a credential.
const ANONYMOUS: &str = "anonymous";

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant whose data the caller sees.
    pub tenant: TenantId,
    /// The caller's name in the audit log: a key's prefix, `local` or `operator`.
    pub principal: String,
    /// The role.
    pub role: Role,
    /// Key scopes.
    pub permissions: Vec<String>,
    /// The ceilings of sessions that the caller creates.
    pub ceilings: Ceilings,
    /// The tier of the hourly limit.
    pub tier: Tier,
    /// When the credential ends, if it does: sessions and keys that the caller creates end no later.
    pub expires_at: Option<UnixMicros>,
    /// Whether the caller has an API key: only keys have hourly limits.
    pub is_key: bool,
}

impl Caller {
    /// A caller without a credential, which can only create the first key.
    pub fn anonymous() -> Self {
        Self {
            tenant: TenantId::local(),
            principal: ANONYMOUS.to_owned(),
            role: Role::Agent,
            permissions: Vec::new(),
            ceilings: Ceilings::NONE,
            tier: Tier::Free,
            expires_at: None,
            is_key: false,
        }
    }

    /// Haldir itself, in a job that no client called for; the audit log shows `principal` as the actor.
    pub fn internal(tenant: TenantId, principal: &str) -> Self {
        Self { tenant, principal: principal.to_owned(), role: Role::Operator, ..Self::anonymous() }
    }

    /// Whether the caller has no credential.
    pub fn is_anonymous(&self) -> bool {
        self.principal == ANONYMOUS
    }

    /// Whether a key scope covers `permission`; the role is checked separately.
    pub fn may(&self, permission: Permission) -> bool {
        let wanted = permission.to_string();
        self.permissions.iter().any(|granted| key_scope_covers(granted, &wanted))
    }
}
