//! `storeSecret`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    replacing,
    sealing::{self, Plaintext},
};
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Code, Error, Result},
    model::{Disclosure, Role, Scope, SecretName, SessionId, StoredSecret, UpstreamName},
    watch::{self, Draft},
};

/// Upstreams that one secret may be sent to.
const MAX_UPSTREAMS: usize = 64;
/// The shortest secret that may be sent to upstreams. Secrets are cut out of upstreams' responses, so an agent that has an
/// upstream echo every short text learns a short secret from what is missing.
pub const MIN_INJECTED_CHARS: usize = 8;

/// Limits on secrets that may be sent to upstreams, and on the bytes of their values: per agent key, for all agents of a tenant,
/// and for its operators. Each response of an upstream is searched for all of them, which costs memory and time.
const AGENT_BOUNDS: (usize, usize) = (64, 131_072);
const AGENTS_BOUNDS: (usize, usize) = (256, 524_288);
const OPERATORS_BOUNDS: (usize, usize) = (1_024, 4_194_304);

/// Refuses a secret with upstreams beyond the limits.
fn require_room(cx: &WriteContext<'_>, secret: &StoredSecret, value: &Plaintext) -> Result<()> {
    if secret.upstreams.is_empty() {
        return Ok(());
    }
    let storer = secret.stored_by.as_str();
    let all: &[_] = if storer.is_empty() {
        &[(Some(""), OPERATORS_BOUNDS, "operators")]
    } else {
        &[(Some(storer), AGENT_BOUNDS, "one agent's key"), (None, AGENTS_BOUNDS, "all agents together")]
    };
    for (stored_by, (most, most_bytes), whose) in all {
        let (count, bytes) = cx.tx.sendable(&cx.caller.tenant, *stored_by, &secret.name)?;
        if count >= *most || bytes + value.expose().len() > *most_bytes {
            let message = format!(
                "there is no room for another secret with upstreams: those of {whose} are at most {most} with {most_bytes} \
                 bytes. Delete one that is not needed, or store this one without upstreams"
            );
            return Err(Error::new(Code::Conflict, message).field("upstreams"));
        }
    }
    Ok(())
}

/// Put a credential into the vault, encrypted at rest, so that it need not be in a prompt, a file or the environment.
/// Storing an existing name makes a new version and deletes the old value. With disclosure `inject` the value is never
/// returned: only the proxy puts it into calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSecret {
    /// Its name.
    name: SecretName,
    /// The value to encrypt. At least 8 characters if it may be sent to upstreams, or its disclosure is `inject`.
    value: Plaintext,
    /// The scope that a session must hold to read it. Default: read.
    #[schemars(extend("default" = "read"))]
    scope_required: Option<Scope>,
    /// `return`: getSecret gives it to a session that holds the scope. `inject`: it is never given out.
    #[serde(default)]
    disclosure: Disclosure,
    /// The upstream servers that the proxy may send it to, where `{{secret:NAME}}` stands in a call or a header. Default:
    /// none.
    #[schemars(length(max = 64))]
    upstreams: Option<Vec<UpstreamName>>,
    /// The session that stores it. An agent needs one to replace a secret: it must hold the scope that the stored one
    /// requires. New names and operators need none.
    session_id: Option<SessionId>,
}

/// What was stored.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SecretStored {
    /// Always true.
    pub stored: bool,
    /// Its name.
    pub name: SecretName,
    /// 1 for a new name, one more each time.
    pub version: i64,
}

impl WriteOperation for StoreSecret {
    type Output = SecretStored;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<SecretStored> {
        let tenant = &cx.caller.tenant;
        let stored = cx.tx.secret(tenant, &self.name)?;
        if let Some(stored) = &stored {
            replacing::permit(cx, stored, self.session_id.as_ref())?;
        }
        let version = stored.map_or(1, |secret| secret.version + 1);
        let scope_required = match self.scope_required {
            Some(scope) => scope,
            None => Scope::parse("read").map_err(Error::internal)?,
        };
        let mut upstreams = self.upstreams.unwrap_or_default();
        if upstreams.len() > MAX_UPSTREAMS {
            let message = format!("upstreams must have at most {MAX_UPSTREAMS} names, this has {}", upstreams.len());
            return Err(Error::invalid("upstreams", message));
        }
        upstreams.sort();
        upstreams.dedup();
        let is_injected = self.disclosure == Disclosure::Inject || !upstreams.is_empty();
        let chars = self.value.expose().trim().chars().count();
        if is_injected && chars < MIN_INJECTED_CHARS {
            let message = format!(
                "value must have at least {MIN_INJECTED_CHARS} characters, besides white space at its ends, to be sent to \
                 upstreams: a shorter one, such as a PIN, can be guessed by what is missing from an answer. This has \
                 {chars}. Use a longer credential, or disclosure return without upstreams"
            );
            return Err(Error::invalid("value", message));
        }
        let mut secret = StoredSecret {
            name: self.name.clone(),
            version,
            sealed: Vec::new(),
            scope_required,
            disclosure: self.disclosure,
            upstreams,
            created_at: cx.now,
            stored_by: if cx.caller.role == Role::Operator { String::new() } else { cx.caller.principal.clone() },
        };
        require_room(cx, &secret, &self.value)?;
        secret.sealed = sealing::seal(&*cx.keys()?, tenant, &secret, &self.value)?;
        cx.tx.put_secret(tenant, &secret)?;
        let details = json!({
            "name": secret.name, "version": version, "scope_required": secret.scope_required,
            "disclosure": secret.disclosure, "upstreams": secret.upstreams,
        });
        watch::append(cx, Draft::governance("secret.store", None, &details)?)?;
        Ok(SecretStored { stored: true, name: self.name, version })
    }
}
