//! What is asked, and the digest that binds an approval to exactly that.

use crate::{
    crypto,
    error::{Error, Result},
    model::{Money, SecretName, Session},
};

/// The largest details or arguments, in bytes of JSON.
pub const MAX_DETAILS_BYTES: usize = 65_536;
/// Version of the digest's form.
const VERSION: u8 = 1;
/// The same where secrets stand in the details.
const WITH_SECRETS: u8 = 2;

/// What an agent would do, if it is approved.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
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

impl Asked<'_> {
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

/// JSON without white space, with the members of objects in order. Numbers stay as they were written: a parser that
/// made floats of them would take two large numbers for the same one.
pub fn canonical(json: &str) -> Result<String> {
    if json.len() > MAX_DETAILS_BYTES {
        let message = format!("details must have at most {MAX_DETAILS_BYTES} bytes of JSON, this has {}", json.len());
        return Err(Error::invalid("details", message));
    }
    haldir_verify::json::canonical(json, "details")
}
