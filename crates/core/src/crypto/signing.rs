//! Ed25519 (RFC 8032): what others can check without a secret of ours.

use ed25519_dalek::{Signer, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::random;

/// A signature: R, then S (RFC 8032 section 5.1.6).
pub type Signature = [u8; 64];

/// A private key. It is wiped from memory when dropped, and its `Debug` shows nothing of it.
pub struct SigningKey(ed25519_dalek::SigningKey);

/// What a signature is checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl SigningKey {
    /// A new random key.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        random::fill(&mut seed[..])?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of this seed, the private key of RFC 8032.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, to be sealed.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`. The same message always has the same signature.
    pub fn sign(&self, message: &[u8]) -> Signature {
        self.0.sign(message).to_bytes()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl PublicKey {
    /// From its 32 bytes. Whether they are a point of the curve shows when a signature is checked.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its name: the first 16 hexadecimal digits of its SHA-256 digest.
    pub fn id(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(self.0).into();
        digest[..8].iter().fold(String::with_capacity(16), |id, byte| id + &format!("{byte:02x}"))
    }

    /// Whether `signature` is this key's over `message`: strictly, so that no attacker can turn a signature into another
    /// valid one, and no key of small order is taken.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|index| u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).unwrap())
    }

    /// RFC 8032 section 7.1, tests 1 and 2.
    #[test]
    fn the_vectors_of_rfc_8032_are_met() {
        let vectors: [(&str, &str, &[u8], &str); 2] = [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                b"",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                b"\x72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ];
        for (seed, public, message, signature) in vectors {
            let key = SigningKey::from_seed(&bytes(seed));
            assert_eq!(key.public().as_bytes(), &bytes(public));
            assert_eq!(key.sign(message), bytes(signature));
            assert!(key.public().verifies(message, &bytes(signature)));
        }
    }

    #[test]
    fn every_single_bit_of_message_signature_and_key_counts() {
        let key = SigningKey::generate().unwrap();
        let (message, public) = (*b"sth:1:00:2", key.public());
        let signature = key.sign(&message);
        assert!(public.verifies(&message, &signature));
        let flipped = |bytes: &[u8], bit: usize| {
            let mut altered = bytes.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            altered
        };
        for bit in 0..message.len() * 8 {
            assert!(!public.verifies(&flipped(&message, bit), &signature), "bit {bit} of the message");
        }
        for bit in 0..512 {
            let altered = flipped(&signature, bit).try_into().unwrap();
            assert!(!public.verifies(&message, &altered), "bit {bit} of the signature");
        }
        for bit in 0..256 {
            let altered = PublicKey::from_bytes(flipped(public.as_bytes(), bit).try_into().unwrap());
            assert!(!altered.verifies(&message, &signature), "bit {bit} of the key");
        }
    }

    #[test]
    fn nothing_of_a_private_key_is_shown() {
        assert_eq!(format!("{:?}", SigningKey::generate().unwrap()), "SigningKey(…)");
    }
}
