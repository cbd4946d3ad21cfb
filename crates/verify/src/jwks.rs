//! Public keys from a JSON Web Key Set (RFC 7517), as `/.well-known/jwks.json` serves them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use haldir_core::crypto::PublicKey;
use serde::Deserialize;

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// A key; those of Ed25519 are `OKP` keys with the curve in `crv` (RFC 8037).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
}

/// The Ed25519 keys of the set; other keys are left out. `None` if the text is not a key set or has no such key.
pub fn keys(text: &str) -> Option<Vec<PublicKey>> {
    let jwks: Jwks = serde_json::from_str(text).ok()?;
    let keys: Vec<_> = jwks
        .keys
        .iter()
        .filter(|key| key.kty == "OKP" && key.crv == "Ed25519")
        .filter_map(|key| URL_SAFE_NO_PAD.decode(&key.x).ok()?.try_into().ok())
        .map(PublicKey::from_bytes)
        .collect();
    (!keys.is_empty()).then_some(keys)
}
