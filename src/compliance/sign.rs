//! The digest of a pack, its signature, and how both are checked without a server.

use serde_json::Value;

use super::pack::{Pack, Signatures};
use crate::{
    approvals::asked,
    call::SigningKeys,
    crypto::{PublicKey, Sha256},
    error::{Error, Result},
    watch::canonical::hex,
};

const ALGORITHM: &str = "SHA-256";
const INPUT: &str = "RFC 8785 JSON of the pack without its members generated_at and signatures";
const SIGNATURE_ALGORITHM: &str = "Ed25519";
const SIGNED_TEXT: &str = "haldir evidence pack v1\\n{tenant_id}\\n{digest}\\n{signed_at}\\n{period_closed}\\n";
/// The largest file that is read as a pack.
pub const MAX_PACK_BYTES: u64 = 16 * 1024 * 1024;

/// Signs a pack that is complete but for its signature.
pub fn sign(pack: &mut Pack, keys: &SigningKeys, period_closed: bool) -> Result<()> {
    pack.signatures = None;
    let text = serde_json::to_string(pack).map_err(Error::internal)?;
    let (digest, key) = (digest(&text)?, keys.current());
    let message = message(pack.tenant_id.as_str(), &digest, &pack.generated_at, period_closed);
    pack.signatures = Some(Signatures {
        algorithm: ALGORITHM.to_owned(),
        input: INPUT.to_owned(),
        digest,
        signed_at: pack.generated_at.clone(),
        period_closed,
        signature_algorithm: SIGNATURE_ALGORITHM.to_owned(),
        signed_text: SIGNED_TEXT.to_owned(),
        signature: hex(&key.sign(&message)),
        public_key: hex(key.public().as_bytes()),
        key_id: key.public().id(),
    });
    Ok(())
}

fn message(tenant: &str, digest: &str, signed_at: &str, period_closed: bool) -> Vec<u8> {
    format!("haldir evidence pack v1\n{tenant}\n{digest}\n{signed_at}\n{period_closed}\n").into_bytes()
}

/// The digest of a pack's JSON. A member that stands twice is refused: people and programs may read different ones.
fn digest(json: &str) -> Result<String> {
    let whole = asked::canonical_document(json)?;
    let mut value: Value = serde_json::from_str(&whole).map_err(Error::internal)?;
    let members = value.as_object_mut().ok_or_else(|| Error::invalid("pack", "a pack is a JSON object"))?;
    members.remove("generated_at");
    members.remove("signatures");
    let mut hasher = Sha256::default();
    hasher.update(asked::canonical_document(&value.to_string())?.as_bytes());
    Ok(hex(&hasher.finish()))
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
pub fn verify(json: &str, trusted: &[PublicKey]) -> std::result::Result<Verified, String> {
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
    let unknown = || {
        format!(
            "it is signed with a key that is not among those trusted: {} ({})",
            signatures.public_key, signatures.key_id
        )
    };
    let key = trusted.iter().find(|key| hex(key.as_bytes()) == signatures.public_key).ok_or_else(unknown)?;
    if key.id() != signatures.key_id {
        return Err("the name of its key was altered".to_owned());
    }
    let tenant_id = text("tenant_id")?;
    let message = message(&tenant_id, &computed, &signatures.signed_at, signatures.period_closed);
    let signature = from_hex(&signatures.signature).ok_or("its signature is not 64 bytes in lower-case hexadecimal")?;
    if !key.verifies(&message, &signature) {
        return Err("its signature does not hold: the date, or what was signed, was altered".to_owned());
    }
    Ok(Verified { tenant_id, period_start: text("period_start")?, period_end: text("period_end")?, signatures })
}

/// Bytes from lower-case hexadecimal, and nothing else.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}
