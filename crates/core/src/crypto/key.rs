//! 32-byte keys, and what is sealed under them.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): its 192-bit nonce is drawn at random for every message,
//! so no counter has to survive a crash.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::random;

const NONCE_BYTES: usize = 24;

/// A symmetric key. It is wiped from memory when dropped, and has no `Debug` that shows it.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

/// Why something could not be read with a key.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no 32 bytes in base64.
    #[error("expected 32 bytes as base64 or base64url, such as the output of `openssl rand -base64 32`")]
    NotAKey,
    /// Another key, other associated data, or altered ciphertext: they cannot be told apart.
    #[error("the sealed data does not open with this key: it is another key, or the data was altered")]
    DoesNotOpen,
}

impl Key {
    /// A new random key.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut key = Self([0; 32]);
        random::fill(&mut key.0)?;
        Ok(key)
    }

    /// Reads a key from base64 or base64url text, padded or not.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text: Zeroizing<String> = Zeroizing::new(
            text.trim()
                .trim_end_matches('=')
                .chars()
                .map(|c| match c {
                    '+' => '-',
                    '/' => '_',
                    c => c,
                })
                .collect(),
        );
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| KeyError::NotAKey)?);
        Self::from_bytes(&bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::NotAKey)
    }

    /// As base64url, for the key file.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// A key for one purpose. `context` is a constant of the program, unique to that purpose
    /// (BLAKE3 `derive_key` mode), so that no key ever serves two.
    #[must_use]
    pub fn derive(&self, context: &'static str) -> Self {
        Self(blake3::derive_key(context, &self.0))
    }

    /// Seals `plaintext`; `associated` is not stored, but must be the same when it is opened.
    /// The result is the nonce, then the ciphertext with its tag.
    pub fn seal(&self, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        random::fill(&mut nonce)?;
        let payload = Payload { msg: plaintext, aad: associated };
        let ciphertext = XChaCha20Poly1305::new(&self.0.into())
            .encrypt(&XNonce::from(nonce), payload)
            // The cipher fails only beyond 256 GiB; every plaintext here is bounded far below.
            .unwrap_or_default();
        Ok([&nonce[..], &ciphertext].concat())
    }

    /// Opens what [`Self::seal`] made.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES).ok_or(KeyError::DoesNotOpen)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| KeyError::DoesNotOpen)?;
        XChaCha20Poly1305::new(&self.0.into())
            .decrypt(&XNonce::from(nonce), Payload { msg: ciphertext, aad: associated })
            .map(Zeroizing::new)
            .map_err(|_| KeyError::DoesNotOpen)
    }

    /// Seals another key under this one.
    pub fn wrap(&self, associated: &[u8], key: &Self) -> Result<Vec<u8>, getrandom::Error> {
        self.seal(associated, &key.0)
    }

    /// Opens a wrapped key.
    pub fn unwrap_key(&self, associated: &[u8], wrapped: &[u8]) -> Result<Self, KeyError> {
        Self::from_bytes(&self.open(associated, wrapped)?)
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_data_opens_only_with_the_same_key_and_associated_data() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let sealed = key.seal(b"tenant/name/1", b"plaintext").unwrap();
        assert_eq!(*key.open(b"tenant/name/1", &sealed).unwrap(), b"plaintext");
        assert!(key.open(b"tenant/name/2", &sealed).is_err());
        assert!(other.open(b"tenant/name/1", &sealed).is_err());
        assert!(key.open(b"tenant/name/1", &sealed[..10]).is_err());
        for byte in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[byte] ^= 1;
            assert!(key.open(b"tenant/name/1", &altered).is_err(), "byte {byte} may be altered");
        }
    }

    #[test]
    fn both_base64_alphabets_are_read() {
        let standard = "+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=";
        let url_safe = "-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8";
        assert_eq!(Key::parse(standard).unwrap().0, Key::parse(url_safe).unwrap().0);
        assert!(Key::parse("c2hvcnQ=").is_err() && Key::parse("").is_err());
    }
}
