//! A call's arguments: JSON that can be read in one way only.

use crate::{
    approvals::asked::canonical_document,
    crypto,
    error::{Error, Result},
    watch::canonical::hex,
};

/// Arguments that are kept with the audit entry, in bytes; larger ones are kept as their digest.
const MAX_KEPT_BYTES: usize = 8_192;

/// Arguments as they were written, and in one form that every reader reads alike.
#[derive(Clone, Debug)]
pub struct Arguments {
    written: String,
    canonical: String,
}

impl Arguments {
    /// Reads them. An object only; a member that stands in it twice is refused: a rule and a tool might read different
    /// ones of them.
    pub fn parse(json: &str) -> Result<Self> {
        let written = json.trim_ascii();
        if !written.starts_with('{') {
            return Err(Error::invalid("arguments", "arguments must be a JSON object"));
        }
        let canonical = canonical_document(written)
            .map_err(|error| Error::invalid("arguments", error.message.replacen("details", "arguments", 1)))?;
        Ok(Self { written: written.to_owned(), canonical })
    }

    /// As they were written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Without white space, members in order, numbers as they were written.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// BLAKE3 of the canonical form, in hexadecimal.
    pub fn digest(&self) -> String {
        hex(&crypto::digest(&[self.canonical.as_bytes()]))
    }

    /// What the log keeps of them.
    pub fn kept(&self) -> Option<Box<serde_json::value::RawValue>> {
        let is_small = self.canonical.len() <= MAX_KEPT_BYTES;
        is_small.then(|| serde_json::value::RawValue::from_string(self.canonical.clone()).ok()).flatten()
    }
}
