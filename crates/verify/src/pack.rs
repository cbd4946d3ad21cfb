//! An evidence pack: its digest, its signature, and how both are checked without a server.

use haldir_core::{
    crypto::{Sha256, SigningKey, TrustedKey},
    error::{Error, Result},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    hex::{hex, unhex},
    json,
};

const ALGORITHM: &str = "SHA-256";
const INPUT: &str = "RFC 8785 JSON of the pack without its members generated_at and signatures";
const SIGNATURE_ALGORITHM: &str = "Ed25519";
const SIGNED_TEXT: &str = "haldir evidence pack v1\\n{tenant_id}\\n{digest}\\n{signed_at}\\n{period_closed}\\n";
/// The largest integer that every JSON reader has exactly (RFC 8259, section 6): numbers of RFC 8785 are doubles.
const MAX_INTEGER: u64 = (1 << 53) - 1;
/// The largest file that is read as a pack.
pub const MAX_PACK_BYTES: u64 = 16 * 1024 * 1024;

/// The digest and the signature.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signatures {
    /// `SHA-256`.
    pub algorithm: String,
    /// What the digest is of.
    pub input: String,
    /// In hexadecimal. Of a closed period it is the same whenever the pack is made.
    pub digest: String,
    /// When the pack was made.
    pub signed_at: String,
    /// Whether the period was over, so that nothing can be added to it.
    pub period_closed: bool,
    /// `Ed25519`.
    pub signature_algorithm: String,
    /// The text that is signed, with its fields in braces.
    pub signed_text: String,
    /// In hexadecimal.
    pub signature: String,
    /// The key that it is checked with, in hexadecimal. Believe it only if you know it from elsewhere.
    pub public_key: String,
    /// The key's name, as /.well-known/jwks.json has it.
    pub key_id: String,
}

/// Signs a pack that is complete but for its signature. `text` is its JSON, without the member `signatures`.
pub fn sign(text: &str, tenant: &str, signed_at: &str, period_closed: bool, key: &SigningKey) -> Result<Signatures> {
    let digest = digest(text)?;
    let message = message(tenant, &digest, signed_at, period_closed);
    Ok(Signatures {
        algorithm: ALGORITHM.to_owned(),
        input: INPUT.to_owned(),
        digest,
        signed_at: signed_at.to_owned(),
        period_closed,
        signature_algorithm: SIGNATURE_ALGORITHM.to_owned(),
        signed_text: SIGNED_TEXT.to_owned(),
        signature: hex(&key.sign(&message)),
        public_key: hex(key.public().as_bytes()),
        key_id: key.public().id(),
    })
}

fn message(tenant: &str, digest: &str, signed_at: &str, period_closed: bool) -> Vec<u8> {
    format!("haldir evidence pack v1\n{tenant}\n{digest}\n{signed_at}\n{period_closed}\n").into_bytes()
}

/// The digest of a pack's JSON. What two readers could take for different packs is refused: a member that stands twice, and a number
/// that a double may not hold exactly. haldir's packs have amounts as text.
fn digest(text: &str) -> Result<String> {
    let whole = json::canonical(text, "pack")?;
    let mut value: Value = serde_json::from_str(&whole).map_err(Error::internal)?;
    if !has_plain_numbers(&value) {
        return Err(Error::invalid("pack", format!("a number in it is not an integer of at most {MAX_INTEGER}")));
    }
    let members = value.as_object_mut().ok_or_else(|| Error::invalid("pack", "a pack is a JSON object"))?;
    members.remove("generated_at");
    members.remove("signatures");
    let mut hasher = Sha256::default();
    hasher.update(json::canonical(&value.to_string(), "pack")?.as_bytes());
    Ok(hex(&hasher.finish()))
}

fn has_plain_numbers(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_some_and(|number| number.unsigned_abs() <= MAX_INTEGER),
        Value::Array(items) => items.iter().all(has_plain_numbers),
        Value::Object(members) => members.values().all(has_plain_numbers),
        _ => true,
    }
}

/// Whether a key is trusted for packs of `tenant`: a key with the name of a log, `haldir/<tenant>/<digits>`, for that log's tenant alone.
fn is_for(key: &TrustedKey, tenant: &str) -> bool {
    let TrustedKey::Named(named) = key else { return true };
    let log = named.name().strip_prefix("haldir/").and_then(|log| log.rsplit_once('/'));
    log.is_some_and(|(named, _)| named == tenant)
}

/// A pack that is as it was signed.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Verified {
    pub tenant_id: String,
    pub period_start: String,
    pub period_end: String,
    pub signatures: Signatures,
}

/// Checks a pack's JSON with one of the keys that are trusted; the error says what does not hold.
pub fn verify(json: impl AsRef<[u8]>, trusted: &[TrustedKey]) -> std::result::Result<Verified, String> {
    let json = std::str::from_utf8(json.as_ref()).map_err(|_| "it is not UTF-8 text")?;
    let value: Value = serde_json::from_str(json).map_err(|error| {
        format!("it is not JSON ({error}): the signature covers the JSON form, not the Markdown or HTML made from it")
    })?;
    let computed = digest(json).map_err(|error| format!("it cannot be read as a pack: {}", error.message))?;
    let text = |name: &str| value[name].as_str().map(str::to_owned).ok_or_else(|| format!("it has no {name}"));
    let signatures: Signatures = serde_json::from_value(value["signatures"].clone())
        .map_err(|error| format!("its signatures cannot be read: {error}"))?;
    let said = [&signatures.algorithm, &signatures.input, &signatures.signature_algorithm, &signatures.signed_text];
    if said != [ALGORITHM, INPUT, SIGNATURE_ALGORITHM, SIGNED_TEXT] {
        return Err("its signatures are of a form that this haldir does not know".to_owned());
    }
    if signatures.digest != computed {
        return Err(format!("it was altered: its digest is {computed}, and it says {}", signatures.digest));
    }
    if signatures.signed_at != text("generated_at")? {
        return Err("its date was altered: generated_at and signed_at differ".to_owned());
    }
    let tenant_id = text("tenant_id")?;
    let signer = |key: &&TrustedKey| hex(key.key().as_bytes()) == signatures.public_key;
    let is_named = trusted.iter().any(|key| signer(&key));
    let unknown = || {
        let among = if is_named { "trusted for another log" } else { "not among those trusted" };
        format!("it is signed with a key that is {among}: {} ({})", signatures.public_key, signatures.key_id)
    };
    let key = trusted.iter().filter(signer).find(|key| is_for(key, &tenant_id)).ok_or_else(unknown)?.key();
    if key.id() != signatures.key_id {
        return Err("the name of its key was altered".to_owned());
    }
    let message = message(&tenant_id, &computed, &signatures.signed_at, signatures.period_closed);
    let signature = unhex(&signatures.signature).ok_or("its signature is not 64 bytes in lower-case hexadecimal")?;
    if !key.verifies(&message, &signature) {
        return Err("its signature does not hold: the date, or what was signed, was altered".to_owned());
    }
    Ok(Verified { tenant_id, period_start: text("period_start")?, period_end: text("period_end")?, signatures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_two_readers_may_see_differently_is_refused() {
        for number in ["0", "-1", "9007199254740991", "-9007199254740991"] {
            digest(&format!("{{\"a\":[{{\"b\":{number}}}]}}")).unwrap();
        }
        for number in [
            "9007199254740992", "9007199254740993", "18446744073709551617", "0.1", "0.10000000000000001", "1.0", "1e2",
            "-0",
        ] {
            let refused = digest(&format!("{{\"a\":[{{\"b\":{number}}}]}}"));
            assert!(refused.is_err_and(|error| error.message.contains("integer")), "{number}");
        }
    }
}
