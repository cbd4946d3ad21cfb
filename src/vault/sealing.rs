//! Sealing of secrets: XChaCha20-Poly1305 under the tenant's key. The associated data hold tenant, name and version, so that a
//! sealed value moved to another row does not open, and scope and disclosure, so that an attacker with write access to the
//! database cannot loosen them.

use std::fmt;

use schemars::json_schema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use crate::{
    call::TenantKeys,
    error::{Error, Result},
    model::{StoredSecret, TenantId},
};

/// The largest secret, in bytes of UTF-8.
pub const MAX_SECRET_BYTES: usize = 65_536;

/// A secret's plaintext: wiped from memory when dropped, never shown by `Debug`.
#[derive(Clone)]
pub struct Plaintext(Zeroizing<String>);

impl Plaintext {
    /// The plaintext. Callers must not copy it into memory that is not wiped.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(…)")
    }
}

impl Serialize for Plaintext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Plaintext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        match text.len() {
            0 => Err(D::Error::custom("must not be empty")),
            1..=MAX_SECRET_BYTES => Ok(Self(text)),
            length => Err(D::Error::custom(format!("must have at most {MAX_SECRET_BYTES} bytes, this has {length}"))),
        }
    }
}

haldir_core::inline_schema!(
    Plaintext,
    "Plaintext",
    |_| json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_SECRET_BYTES})
);

/// Seals `plaintext` as the value of `secret`, whose other fields are complete.
pub fn seal(keys: &TenantKeys, tenant: &TenantId, secret: &StoredSecret, plaintext: &Plaintext) -> Result<Vec<u8>> {
    keys.secrets.seal(&associated(tenant, secret), plaintext.0.as_bytes()).map_err(Error::internal)
}

/// Opens what [`seal`] made.
pub fn open(keys: &TenantKeys, tenant: &TenantId, secret: &StoredSecret) -> Result<Plaintext> {
    let bytes = keys.secrets.open(&associated(tenant, secret), &secret.sealed).map_err(Error::internal)?;
    let text = std::str::from_utf8(&bytes).map_err(Error::internal)?;
    Ok(Plaintext(Zeroizing::new(text.to_owned())))
}

/// A JSON array: no choice of tenant and name can look like another.
fn associated(tenant: &TenantId, secret: &StoredSecret) -> Vec<u8> {
    let StoredSecret { name, version, scope_required, disclosure, upstreams, stored_by, .. } = secret;
    let mut bound = serde_json::json!([tenant, name, version, scope_required, disclosure]);
    // Secrets without upstreams have the same associated data as in versions without that field.
    if let (Some(bound), false) = (bound.as_array_mut(), upstreams.is_empty()) {
        bound.push(serde_json::json!(upstreams));
    }
    // An attacker with write access to the database must not turn an operator's secret into an agent's.
    if let (Some(bound), false) = (bound.as_array_mut(), stored_by.is_empty()) {
        bound.push(serde_json::json!(stored_by));
    }
    bound.to_string().into_bytes()
}
