//! A webhook's secret: how it is made, kept, and signed with.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    call::TenantKeys,
    crypto,
    error::{Error, Result},
    model::{TenantId, UnixMicros},
    store::Webhook,
};

/// What every secret begins with. Standard Webhooks signs with the bytes behind it.
const PREFIX: &str = "whsec_";
const BYTES: usize = 32;

/// A secret as text, wiped from memory when dropped.
pub(super) type Secret = Zeroizing<String>;

/// A new secret: `whsec_`, and 32 random bytes as base64.
pub(super) fn generate() -> Result<Secret> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    crypto::fill(&mut bytes[..]).map_err(Error::internal)?;
    let mut secret = Zeroizing::new(String::with_capacity(PREFIX.len() + BYTES.div_ceil(3) * 4));
    secret.push_str(PREFIX);
    STANDARD.encode_string(&bytes[..], &mut secret);
    Ok(secret)
}

/// Seals a secret, bound to the webhook, its address and the secret's version: an attacker with write access to the database
/// must not have signed events sent to another address.
pub(super) fn seal(keys: &TenantKeys, tenant: &TenantId, webhook: &Webhook, secret: &Secret) -> Result<Vec<u8>> {
    let associated = associated(tenant, webhook, webhook.secret_version);
    keys.webhooks.seal(&associated, secret.as_bytes()).map_err(Error::internal)
}

/// The secrets that are valid now, the newest first.
pub(super) fn valid(keys: &TenantKeys, tenant: &TenantId, webhook: &Webhook, now: UnixMicros) -> Result<Vec<Secret>> {
    let open = |sealed: &[u8], version: i64| -> Result<Secret> {
        let bytes = keys.webhooks.open(&associated(tenant, webhook, version), sealed).map_err(Error::internal)?;
        Ok(Zeroizing::new(std::str::from_utf8(&bytes).map_err(Error::internal)?.to_owned()))
    };
    let mut secrets = vec![open(&webhook.secret, webhook.secret_version)?];
    if let Some(previous) = webhook.previous.as_ref().filter(|previous| now < previous.until) {
        secrets.push(open(&previous.sealed, webhook.secret_version - 1)?);
    }
    Ok(secrets)
}

fn associated(tenant: &TenantId, webhook: &Webhook, version: i64) -> Vec<u8> {
    serde_json::json!([tenant, webhook.id, webhook.url, version]).to_string().into_bytes()
}

/// The value of `X-Haldir-Signature`: HMAC-SHA256 of `{seconds}.` and the body, keyed with the newest secret's text.
pub(super) fn signature(secret: &str, seconds: i64, body: &str) -> String {
    let mac = crypto::hmac_sha256(secret.as_bytes(), &[seconds.to_string().as_bytes(), b".", body.as_bytes()]);
    mac.iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// The value of `webhook-signature` (Standard Webhooks): one signature for every valid secret, keyed with its bytes.
pub(super) fn standard_signatures(secrets: &[Secret], id: &str, seconds: i64, body: &str) -> Result<String> {
    let sign = |secret: &Secret| {
        let encoded = secret.strip_prefix(PREFIX).unwrap_or_default();
        let key = Zeroizing::new(STANDARD.decode(encoded).map_err(Error::internal)?);
        let seconds = seconds.to_string();
        let mac = crypto::hmac_sha256(&key, &[id.as_bytes(), b".", seconds.as_bytes(), b".", body.as_bytes()]);
        Ok(format!("v1,{}", STANDARD.encode(mac)))
    };
    Ok(secrets.iter().map(sign).collect::<Result<Vec<_>>>()?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_published_examples() {
        // From the specification's libraries: secret, id, time, body, signature.
        let secret = Zeroizing::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let signed =
            standard_signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_256_random_bits_that_both_schemes_can_read() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(STANDARD.decode(one.strip_prefix(PREFIX).unwrap()).unwrap().len(), BYTES);
    }
}
