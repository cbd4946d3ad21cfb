//! A checkpoint that is kept, and what a later one has to prove.

use serde::{Deserialize, Serialize};

use crate::crypto::{Checkpoint, Hash, Note, Verifier, verify_consistency};

/// A checkpoint that somebody keeps, with the keys that they trust for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Verifier keys of the log.
    pub keys: Vec<String>,
    /// The signed note.
    pub checkpoint: String,
}

/// What a kept checkpoint says, its signature checked.
pub struct Pinned {
    /// The log, its size and root.
    pub checkpoint: Checkpoint,
    keys: Vec<Verifier>,
}

impl Pin {
    /// Keeps `note`, which one of `keys` must have signed.
    pub fn new(note: &str, keys: Vec<String>) -> Result<Self, String> {
        let pin = Self { keys, checkpoint: note.to_owned() };
        pin.open().map(|_| pin)
    }

    /// Reads it, and checks that its own keys signed it.
    pub fn open(&self) -> Result<Pinned, String> {
        let keys = self.keys.iter().map(|key| Verifier::parse(key)).collect::<Result<Vec<_>, _>>()?;
        let checkpoint = signed(&self.checkpoint, &keys)?;
        Ok(Pinned { checkpoint, keys })
    }
}

/// What `note` says, if one of `keys` signed it under the log's own name.
fn signed(note: &str, keys: &[Verifier]) -> Result<Checkpoint, String> {
    let note = Note::parse(note)?;
    let checkpoint = Checkpoint::parse(&note.text)?;
    let is_signed = |key: &Verifier| key.name() == checkpoint.origin && key.verify(&note) == Some(0);
    if keys.iter().any(is_signed) {
        Ok(checkpoint)
    } else {
        Err(format!("the checkpoint of {} is not signed by a key that is trusted for it", checkpoint.origin))
    }
}

impl Pinned {
    /// What a later checkpoint says, if a trusted key signed it and it is not smaller. Whether the log begins with what
    /// is kept is [`Self::check`]ed with a proof.
    pub fn read(&self, note: &str) -> Result<Checkpoint, String> {
        let next = signed(note, &self.keys)?;
        if next.origin != self.checkpoint.origin {
            return Err(format!("the log is {} now, and was {}", next.origin, self.checkpoint.origin));
        }
        if next.size < self.checkpoint.size {
            let (now, then) = (next.size, self.checkpoint.size);
            return Err(format!("the log has {now} entries, and had {then}: its end was cut off"));
        }
        Ok(next)
    }

    /// Whether the log at `next` begins with what is kept.
    pub fn check(&self, next: &Checkpoint, path: &[Hash]) -> Result<(), String> {
        let Checkpoint { size, root, .. } = &self.checkpoint;
        // Every log begins with the empty one.
        if *size == 0 || verify_consistency(*size, root, next.size, &next.root, path) {
            return Ok(());
        }
        Err(format!(
            "the log of {} entries does not begin with the {size} that were there: it was rewritten",
            next.size
        ))
    }

    /// The keys that are trusted from now on: those, kept or listed, that signed `note`, which a trusted key has signed.
    /// So a new key is taken up while it overlaps with the one before, and a retired one is let go.
    pub fn trusted(&self, note: &str, listed: &[String]) -> Vec<String> {
        let Ok(note) = Note::parse(note) else { return Vec::new() };
        let listed = listed.iter().flat_map(|text| Verifier::parse(text));
        let mut trusted: Vec<Verifier> = Vec::new();
        for key in listed.chain(self.keys.iter().cloned()) {
            if key.name() == self.checkpoint.origin && key.verify(&note) == Some(0) && !trusted.contains(&key) {
                trusted.push(key);
            }
        }
        trusted.iter().map(Verifier::to_string).collect()
    }
}
