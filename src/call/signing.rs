//! The keys that sign tree heads and evidence: made on first use, sealed under the master key, rotated with overlap.
//!
//! One key signs at a time. When it is rotated, the one before goes on to sign checkpoints beside it until it retires,
//! so that a verifier that trusts only the old key has time to add the new one. A retired key's private half is erased; its
//! public half stays published, for what it once signed.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::{
    crypto::{self, Key, PublicKey, SigningKey},
    error::{Code, Error, Result},
    model::UnixMicros,
    store::{ReadTx, Tx, signing::StoredSigningKey},
};

/// Keys that are published, the newest of them: one a month for eight years.
pub const MAX_PUBLISHED: usize = 100;

/// The master key's part in signing.
pub(super) struct Signers {
    seal: Key,
    authenticate: Key,
    /// Keys as they were last read. They are taken only if the store still has exactly these.
    known: RwLock<Option<(Vec<StoredSigningKey>, Arc<SigningKeys>)>>,
}

/// The store's keys, the newest first.
#[derive(Debug)]
pub struct SigningKeys {
    current: SigningKey,
    published: Vec<PublishedKey>,
    retiring: Vec<(SigningKey, UnixMicros)>,
}

/// A key that others can check with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// The key.
    pub key: PublicKey,
    /// When it was made.
    pub created_at: UnixMicros,
    /// When it signs no more; `None` is the one in use.
    pub retires_at: Option<UnixMicros>,
}

impl SigningKeys {
    /// The key that signs.
    pub fn current(&self) -> &SigningKey {
        &self.current
    }

    /// The keys that sign checkpoints at `now`: the one in use, and those that have yet to retire.
    pub fn signing_at(&self, now: UnixMicros) -> impl Iterator<Item = &SigningKey> {
        let retiring = self.retiring.iter().filter(move |(_, retires_at)| now < *retires_at);
        std::iter::once(&self.current).chain(retiring.map(|(key, _)| key))
    }

    /// Every key that was ever in use, the newest first, at most [`MAX_PUBLISHED`].
    pub fn published(&self) -> &[PublishedKey] {
        &self.published
    }
}

/// Whether a retired key still has its private half.
pub fn has_retired(tx: &ReadTx, now: UnixMicros) -> Result<bool> {
    Ok(tx.signing_keys(MAX_PUBLISHED)?.iter().any(|key| is_over(key, now)))
}

impl Signers {
    pub(super) fn new(master: &Key) -> Self {
        Self {
            seal: master.derive("haldir 2026-11-21 seal signing keys"),
            authenticate: master.derive("haldir 2026-11-21 authenticate signing keys"),
            known: RwLock::default(),
        }
    }

    pub(super) fn keys(&self, tx: &ReadTx) -> Result<Arc<SigningKeys>> {
        let stored = tx.signing_keys(MAX_PUBLISHED)?;
        if let Some((known, keys)) = &*self.known.read()
            && *known == stored
        {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(self.open(&stored)?);
        *self.known.write() = Some((stored, Arc::clone(&keys)));
        Ok(keys)
    }

    pub(super) fn create(&self, tx: &mut Tx, number: i64, now: UnixMicros) -> Result<PublicKey> {
        let key = SigningKey::generate().map_err(Error::internal)?;
        let seed = self.seal.seal(key.public().as_bytes(), &key.seed()[..]).map_err(Error::internal)?;
        let public_key = *key.public().as_bytes();
        let mut stored =
            StoredSigningKey { number, public_key, created_at: now, retires_at: None, seed: Some(seed), mac: [0; 32] };
        stored.mac = self.mac(&stored);
        tx.put_signing_key(&stored)?;
        Ok(key.public())
    }

    /// Puts a new key into use; the one before retires at `retires_at`. Private halves of retired keys are erased.
    pub(super) fn rotate(&self, tx: &mut Tx, now: UnixMicros, retires_at: UnixMicros) -> Result<PublicKey> {
        let stored = tx.signing_keys(MAX_PUBLISHED)?;
        self.open(&stored)?;
        let number = stored.first().map_or(0, |newest| newest.number) + 1;
        for mut key in stored {
            let before = key.clone();
            key.retires_at = key.retires_at.or(Some(retires_at));
            if is_over(&key, now) {
                key.seed = None;
            }
            key.mac = self.mac(&key);
            if key != before {
                tx.put_signing_key(&key)?;
            }
        }
        self.create(tx, number, now)
    }

    /// Seals the private keys under the master key of `next`, and authenticates all keys under it.
    pub(super) fn reseal(&self, tx: &mut Tx, next: &Self) -> Result<()> {
        let stored = tx.signing_keys(usize::MAX)?;
        self.open(&stored)?;
        for mut key in stored {
            if let Some(sealed) = &key.seed {
                let seed = self.seal.open(&key.public_key, sealed).map_err(|_| altered())?;
                key.seed = Some(next.seal.seal(&key.public_key, &seed).map_err(Error::internal)?);
            }
            key.mac = next.mac(&key);
            tx.put_signing_key(&key)?;
        }
        Ok(())
    }

    /// Erases the private halves of retired keys, and returns their public halves.
    pub(super) fn erase_retired(&self, tx: &mut Tx, now: UnixMicros) -> Result<Vec<PublicKey>> {
        let stored = tx.signing_keys(MAX_PUBLISHED)?;
        self.open(&stored)?;
        let mut erased = Vec::new();
        for mut key in stored.into_iter().filter(|key| is_over(key, now)) {
            key.seed = None;
            tx.put_signing_key(&key)?;
            erased.push(PublicKey::from_bytes(key.public_key));
        }
        Ok(erased)
    }

    /// Opens stored keys. Each is authenticated, so that an attacker with the database alone cannot add one.
    fn open(&self, stored: &[StoredSigningKey]) -> Result<SigningKeys> {
        let (mut current, mut published, mut retiring) = (None, Vec::new(), Vec::new());
        for key in stored {
            if !crypto::same(&key.mac, &self.mac(key)) {
                return Err(altered());
            }
            let (public, retires_at) = (PublicKey::from_bytes(key.public_key), key.retires_at);
            published.push(PublishedKey { key: public, created_at: key.created_at, retires_at });
            let Some(sealed) = &key.seed else { continue };
            let seed = self.seal.open(public.as_bytes(), sealed).map_err(|_| altered())?;
            let opened = SigningKey::from_seed(seed.as_slice().try_into().map_err(|_| altered())?);
            if opened.public() != public {
                return Err(altered());
            }
            match retires_at {
                None if current.is_none() => current = Some(opened),
                None => return Err(altered()),
                Some(at) => retiring.push((opened, at)),
            }
        }
        Ok(SigningKeys { current: current.ok_or_else(altered)?, published, retiring })
    }

    fn mac(&self, key: &StoredSigningKey) -> [u8; 32] {
        let retires_at = key.retires_at.map_or(i64::MAX, |at| at.0);
        crypto::mac(
            &self.authenticate,
            &[&key.number.to_be_bytes(), &key.public_key, &key.created_at.0.to_be_bytes(), &retires_at.to_be_bytes()],
        )
    }
}

/// Whether the key has a private half that signs no more.
fn is_over(key: &StoredSigningKey, now: UnixMicros) -> bool {
    key.seed.is_some() && key.retires_at.is_some_and(|at| at <= now)
}

fn altered() -> Error {
    Error::new(
        Code::Unavailable,
        "the signing keys in the store were altered outside haldir: nothing is signed until they are put back",
    )
}
