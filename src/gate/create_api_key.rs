//! `createApiKey`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    authenticate::{self, PUBLIC_CHARS},
    tenants::{self, BootstrapToken},
};
use crate::{
    call::{WriteContext, WriteOperation},
    crypto,
    error::{Code, Error, Result},
    model::{
        ApiKey, Caller, Ceilings, KEY_PREFIX, Money, Role, Scopes, TenantId, Tier,
        caller::{key_scope_covers, key_scope_pattern, parse_key_scope, tighter},
        text::Text,
    },
    watch::{self, Draft, chain},
};

/// Make an API key. The first key of an empty store needs no authentication on a loopback address, and belongs to
/// an operator. Later ones are made by an operator's key, or with the bootstrap token, which makes a new tenant.
/// A key has a role and ceilings that no session created with it can exceed. It is shown once.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What people call it.
    #[schemars(extend("default" = "default"))]
    name: Option<Text<1, 128>>,
    /// Its hourly limit: free 100 calls, pro 5,000, enterprise 50,000.
    #[serde(default)]
    tier: Tier,
    /// An agent's key cannot make keys, settle payments or change rules. Default: agent; the first key of a tenant
    /// is an operator's.
    role: Option<Role>,
    /// What it may reach: `*`, or `<resource>:read|write|*` over sessions, vault, audit, payments, webhooks,
    /// proxy, approvals and admin. Default: what its maker may reach.
    #[schemars(length(min = 1, max = 32), inner(regex(pattern = key_scope_pattern())))]
    scopes: Option<Vec<String>>,
    /// The scopes that a session created with it may have. Default: every scope but admin and *, for an agent.
    max_scopes: Option<Scopes>,
    /// The most that one session created with it may spend, in USD.
    #[schemars(range(min = 0))]
    max_spend: Option<Money>,
    /// The most that all sessions created with it may spend together in a UTC day, in USD.
    #[schemars(range(min = 0))]
    max_daily_spend: Option<Money>,
    /// The longest life of a session created with it, in seconds.
    #[schemars(range(min = 1, max = 2_592_000))]
    max_ttl: Option<i64>,
    /// Seconds until the key expires; no later than its maker. Default: as its maker, or never.
    #[schemars(range(min = 1, max = 315_360_000))]
    expires_in: Option<i64>,
    /// The server's `HALDIR_BOOTSTRAP_TOKEN`, instead of an operator's key: a new tenant is made with the key.
    bootstrap_token: Option<BootstrapToken>,
    /// What the new tenant is called, with the bootstrap token. No two tenants have the same name.
    tenant_name: Option<Text<1, 128>>,
}

const KEEP: &str = "Keep this key in a safe place: it is not stored here and will not be shown again.";

/// The new key.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyCreated {
    /// The key itself, shown only now: it is not stored.
    #[schemars(with = "String")]
    pub key: Zeroizing<String>,
    /// Its first characters, by which it is listed and revoked.
    pub prefix: String,
    /// What people call it.
    pub name: String,
    /// Its hourly limit.
    pub tier: Tier,
    /// Its role.
    pub role: Role,
    /// What it may reach.
    pub scopes: Vec<String>,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// Whether the tenant was created with this key; it sees no data of other tenants.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[serde(default)]
    pub tenant_created: bool,
    /// What to do now.
    pub message: String,
}

impl WriteOperation for CreateApiKey {
    type Output = ApiKeyCreated;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ApiKeyCreated> {
        if !cx.caller.is_anonymous() {
            if self.tenant_name.is_some() {
                let message = "tenant_name names a new tenant, which the bootstrap token makes: an operator's key makes keys \
                               of its own tenant";
                return Err(Error::new(Code::Conflict, message).field("tenant_name"));
            }
            let key = self.for_maker(cx)?;
            return issue(cx, key, false);
        }
        let first = self.may_begin(cx)?;
        let tenant = if first { TenantId::local() } else { new_tenant(cx)? };
        if let Some(name) = &self.tenant_name {
            tenants::name(cx, &tenant, name.as_str(), "tenant_name")?;
        }
        let caller = Caller { tenant, permissions: vec!["*".into()], ceilings: Ceilings::NONE, ..cx.caller.clone() };
        let mut cx = WriteContext { tx: &mut *cx.tx, caller: &caller, now: cx.now, services: cx.services };
        if self.role == Some(Role::Agent) {
            return Err(Error::invalid("role", "the first key of a tenant is an operator's: leave role out"));
        }
        let key = Self { role: Some(Role::Operator), ..self }.for_maker(&cx)?;
        issue(&mut cx, key, !first)
    }
}

impl CreateApiKey {
    /// Whether this is the first key of the store, or of a new tenant; refused if neither may be made.
    fn may_begin(&self, cx: &WriteContext<'_>) -> Result<bool> {
        let first = !cx.tx.any_api_key()?;
        let settings = &cx.services.settings;
        let proven = self.bootstrap_token.as_ref().is_some_and(|token| token.is_the_servers(settings));
        // A configured token is always required, also for the first key: an attacker must not get that key first.
        if proven || (first && settings.bootstrap_token.is_none() && settings.open_bootstrap) {
            return Ok(first);
        }
        let message = if first {
            "the first key needs the bootstrap token here: start the server with HALDIR_BOOTSTRAP_TOKEN and send it as \
             bootstrap_token, or run `haldir keys create` beside the store"
        } else {
            "this store has its first key already: send an operator's API key as `Authorization: Bearer hld_…`, make another \
             one with `haldir keys create --role operator` beside the store, or send the bootstrap token as bootstrap_token"
        };
        Err(Error::new(Code::Unauthorized, message))
    }

    /// The key's record, within the limits of the key that creates it; its digest is still empty.
    fn for_maker(self, cx: &WriteContext<'_>) -> Result<ApiKey> {
        let maker = cx.caller;
        let role = self.role.unwrap_or(Role::Agent);
        let scopes = self.scopes.unwrap_or_else(|| maker.permissions.clone());
        if scopes.is_empty() || scopes.len() > 32 {
            return Err(Error::invalid(
                "scopes",
                "scopes must have from 1 to 32 entries; leave it out for the default",
            ));
        }
        for scope in &scopes {
            parse_key_scope(scope).map_err(|problem| Error::invalid("scopes", problem))?;
            if !maker.permissions.iter().any(|held| key_scope_covers(held, scope)) {
                return Err(Error::new(
                    Code::CeilingExceeded,
                    format!("a key cannot be given `{scope}` by one that has only: {}", maker.permissions.join(", ")),
                )
                .field("scopes"));
            }
        }
        if self.max_spend.is_some_and(Money::is_negative) {
            return Err(Error::invalid("max_spend", "max_spend must be at least 0"));
        }
        if self.max_daily_spend.is_some_and(Money::is_negative) {
            return Err(Error::invalid("max_daily_spend", "max_daily_spend must be at least 0"));
        }
        let in_range = |value: Option<i64>, max: i64, field: &'static str| match value {
            Some(value) if !(1..=max).contains(&value) => {
                Err(Error::invalid(field, format!("{field} must be from 1 to {max} seconds")))
            }
            _ => Ok(()),
        };
        in_range(self.max_ttl, super::create_session::MAX_TTL, "max_ttl")?;
        in_range(self.expires_in, 315_360_000, "expires_in")?;
        let own = Ceilings {
            admin: role == Role::Operator || self.max_scopes.is_some(),
            scopes: self.max_scopes,
            spend: self.max_spend,
            daily: self.max_daily_spend,
            ttl: self.max_ttl,
        };
        Ok(ApiKey {
            prefix: String::new(),
            digest: [0; 32],
            tenant: maker.tenant.clone(),
            name: self.name.map_or_else(|| "default".to_owned(), Text::into_string),
            tier: self.tier,
            role,
            scopes,
            ceilings: own.tightened_by(&maker.ceilings),
            created_at: cx.now,
            expires_at: tighter(self.expires_in.map(|seconds| cx.now.plus_seconds(seconds)), maker.expires_at),
            last_used_at: None,
            revoked_at: None,
        })
    }
}

fn new_tenant(cx: &mut WriteContext<'_>) -> Result<TenantId> {
    let tenant = crypto::token::<12>("ten_").map_err(Error::internal)?;
    let tenant = TenantId::parse(tenant).map_err(Error::internal)?;
    let keys = cx.services.keyring.create_tenant(cx.tx, &tenant, cx.now)?;
    chain::begin(cx.tx, &keys, &tenant, cx.now)?;
    Ok(tenant)
}

fn issue(cx: &mut WriteContext<'_>, key: ApiKey, tenant_created: bool) -> Result<ApiKeyCreated> {
    let secret = Zeroizing::new(crypto::token::<32>(KEY_PREFIX).map_err(Error::internal)?);
    let key = record(cx, key, &secret)?;
    Ok(ApiKeyCreated {
        key: secret,
        prefix: key.prefix,
        name: key.name,
        tier: key.tier,
        role: key.role,
        scopes: key.scopes,
        message: if tenant_created {
            format!("{KEEP} It belongs to the new tenant {}, which has nothing of what other tenants have.", key.tenant)
        } else {
            KEEP.to_owned()
        },
        tenant_id: key.tenant,
        tenant_created,
    })
}

/// Stores the digest of `secret` as `key`, and says so in the log.
pub fn record(cx: &mut WriteContext<'_>, key: ApiKey, secret: &str) -> Result<ApiKey> {
    let prefix = secret.get(..PUBLIC_CHARS).unwrap_or_default().to_owned();
    let key = ApiKey { prefix, digest: authenticate::digest(secret), ..key };
    cx.tx.insert_api_key(&key)?;
    let details = json!({
        "key_prefix": key.prefix, "name": key.name, "tier": key.tier, "role": key.role, "scopes": key.scopes,
    });
    watch::append(cx, Draft::governance("key.create", None, &details)?)?;
    Ok(key)
}
