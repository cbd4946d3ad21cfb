//! The action that an agent asks approval for, and the digest that binds an approval to exactly that action.

use super::arguments::canonical;
use crate::{
    crypto,
    error::{Error, Result},
    model::{Money, SecretName, Session, TenantId, secret_placeholder},
    store::ReadTx,
};

/// The action of a call of an upstream's tool.
pub const CALL: &str = "call";

/// Version of the digest's form.
const VERSION: u8 = 1;
/// The same where secrets stand in the details.
const WITH_SECRETS: u8 = 2;

/// What an agent would do once it is approved.
#[derive(Clone, Debug)]
pub struct RequestedAction<'a> {
    /// The session that it would be done in.
    pub session: &'a Session,
    /// The tool that would be called.
    pub tool: &'a str,
    /// What would be done.
    pub action: &'a str,
    /// What it would cost, in USD; zero where it is no payment.
    pub amount: Money,
    /// Arguments or details, as JSON text.
    pub details: Option<&'a str>,
    /// The secrets that stand in the details by name, in the versions that they have.
    pub secrets: Vec<(SecretName, i64)>,
    /// Whether it destroys or overwrites something.
    pub destructive: bool,
}

impl RequestedAction<'_> {
    /// The BLAKE3 digest of session, tool, action, amount, details and the versions of the secrets named in them. Two that
    /// differ in any of these differ in it; white space and the order of members in the details make no difference.
    pub fn digest(&self) -> Result<[u8; 32]> {
        let details = self.details.map(canonical).transpose()?;
        let session = self.session.id.as_str();
        // As JSON: every part is quoted, so that none can be shifted into the next.
        let parts = (VERSION, session, self.tool, self.action, self.amount.to_string(), details);
        let bytes = match self.secrets.as_slice() {
            [] => serde_json::to_vec(&parts),
            secrets => serde_json::to_vec(&(WITH_SECRETS, parts, secrets)),
        };
        let bytes = bytes.map_err(Error::internal)?;
        Ok(crypto::digest(&[&bytes]))
    }
}

/// Why an action needs a decision, and whose.
#[derive(Clone, Debug)]
pub struct ApprovalNeed {
    /// The reason, for the person who decides.
    pub why: String,
    /// Whether a rule requires an operator; otherwise the person at the agent's client may decide.
    pub operator_only: bool,
}

/// The versions of the secrets that a text names; 0 for a secret that does not exist. An approval is bound to them: another
/// value under the same name makes it another call.
pub fn secret_versions(tx: &ReadTx, tenant: &TenantId, text: &str) -> Result<Vec<(SecretName, i64)>> {
    let version = |name: SecretName| {
        let version = tx.secret(tenant, &name)?.map_or(0, |secret| secret.version);
        Ok((name, version))
    };
    // Filling in the secrets refuses names that cannot be parsed.
    secret_placeholder::names(text).unwrap_or_default().into_iter().map(version).collect()
}
