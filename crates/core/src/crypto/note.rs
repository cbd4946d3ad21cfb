//! Signed notes and checkpoints: C2SP signed-note, tlog-checkpoint and tlog-cosignature
//! (<https://c2sp.org/signed-note>, <https://c2sp.org/tlog-checkpoint>, <https://c2sp.org/tlog-cosignature>).
//!
//! A note is text, an empty line, and signature lines. A checkpoint is a note that names a log, its size and its root.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use sha2::{Digest, Sha256};

use super::{Hash, PublicKey, Signature, SigningKey};

/// The type of an Ed25519 signature over the text itself.
const ED25519: u8 = 0x01;
/// The type of a witness' cosignature: over a time and the text.
const COSIGNATURE: u8 = 0x04;
/// What begins a signature line: an em dash and a space.
const SIGNATURE: &str = "\u{2014} ";
/// Longer notes are not read.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;
/// Signature lines that are looked at.
const MAX_SIGNATURES: usize = 100;

/// A name and a public key, as others are given them: `<name>+<hash>+<key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    kind: u8,
    key: PublicKey,
}

impl Verifier {
    /// Of a log.
    pub fn of_log(name: &str, key: PublicKey) -> Self {
        Self { name: name.to_owned(), kind: ED25519, key }
    }

    /// Of a witness.
    pub fn of_witness(name: &str, key: PublicKey) -> Self {
        Self { name: name.to_owned(), kind: COSIGNATURE, key }
    }

    /// Reads `<name>+<hash>+<key>`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no verifier key of the form name+hash+key");
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let bytes = STANDARD.decode(key).map_err(|_| wrong())?;
        let (kind, key) = bytes.split_first().ok_or_else(wrong)?;
        let key = PublicKey::from_bytes(key.try_into().map_err(|_| wrong())?);
        let verifier = Self { name: name.to_owned(), kind: *kind, key };
        let is_known = matches!(*kind, ED25519 | COSIGNATURE) && is_name(name) && verifier.hash_text() == hash;
        if is_known { Ok(verifier) } else { Err(wrong()) }
    }

    /// Whose it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// The first four bytes of SHA-256 over name, line feed, type and key.
    fn hash(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', self.kind])
            .chain_update(self.key.as_bytes())
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    fn hash_text(&self) -> String {
        self.hash().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// Whether one of the note's signatures is this one's. Answers when a witness says that it saw it, in Unix
    /// seconds; 0 for a log's own signature.
    pub fn verify(&self, note: &Note) -> Option<u64> {
        note.signatures.iter().take(MAX_SIGNATURES).find_map(|line| {
            let (hash, signed) = line.bytes.split_first_chunk::<4>()?;
            if line.name != self.name || *hash != self.hash() {
                return None;
            }
            if self.kind == ED25519 {
                let signature: &Signature = signed.try_into().ok()?;
                return self.key.verifies(note.text.as_bytes(), signature).then_some(0);
            }
            let (time, signature) = signed.split_first_chunk::<8>()?;
            let time = u64::from_be_bytes(*time);
            let signature: &Signature = signature.try_into().ok()?;
            self.key.verifies(&cosigned(time, &note.text), signature).then_some(time)
        })
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = STANDARD.encode([&[self.kind], &self.key.as_bytes()[..]].concat());
        write!(f, "{}+{}+{key}", self.name, self.hash_text())
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('+') && !name.contains(char::is_whitespace)
}

fn cosigned(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// A log's key that a person knows from elsewhere, in any of the forms in which haldir and others publish it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedKey {
    /// `<name>+<hash>+<key>`: good for the log of that name alone.
    Named(Verifier),
    /// The 32 bytes of an Ed25519 key (RFC 8032) without a name.
    Plain(PublicKey),
}

impl TrustedKey {
    /// Reads a verifier key, or 32 bytes as 64 hexadecimal digits or in base64 (RFC 4648, either alphabet, padded or not: a JWK
    /// of RFC 8037 has them so).
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(verifier) = Verifier::parse(text) {
            return Ok(Self::Named(verifier));
        }
        let unpadded = text.trim_end_matches('=');
        let bytes: Option<Vec<u8>> = if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            (0..32).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()).collect()
        } else {
            STANDARD_NO_PAD.decode(unpadded).or_else(|_| URL_SAFE_NO_PAD.decode(unpadded)).ok()
        };
        let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self::Plain(PublicKey::from_bytes(bytes))).ok_or_else(|| {
            format!("{text:?} is no public key: give name+hash+key, 64 hexadecimal digits, or the 32 bytes in base64")
        })
    }

    /// The key itself.
    pub fn key(&self) -> PublicKey {
        match self {
            Self::Named(verifier) => verifier.key(),
            Self::Plain(key) => *key,
        }
    }

    /// As the verifier of the log `name`; a named key keeps its own name.
    pub fn of_log(&self, name: &str) -> Verifier {
        match self {
            Self::Named(verifier) => verifier.clone(),
            Self::Plain(key) => Verifier::of_log(name, *key),
        }
    }
}

/// A note, its signatures not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text that is signed, with its last line feed.
    pub text: String,
    signatures: Vec<SignatureLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SignatureLine {
    name: String,
    bytes: Vec<u8>,
}

impl Note {
    /// A note without signatures. The text ends with a line feed.
    pub fn new(text: String) -> Self {
        Self { text, signatures: Vec::new() }
    }

    /// Reads a note.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = |what: &str| format!("this is no signed note: {what}");
        if text.len() > MAX_NOTE_BYTES {
            return Err(malformed("it is too long"));
        }
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(malformed("it has control characters"));
        }
        let end = text.rfind("\n\n").ok_or_else(|| malformed("there is no empty line before the signatures"))?;
        let (body, lines) = (&text[..=end], &text[end + 2..]);
        let mut note = Self::new(body.to_owned());
        note.add_lines(lines).map_err(|what| malformed(&what))?;
        if note.signatures.is_empty() { Err(malformed("it has no signature")) } else { Ok(note) }
    }

    /// Adds signature lines, such as those that a witness answers with.
    pub fn add_lines(&mut self, lines: &str) -> Result<(), String> {
        if !lines.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        for line in lines.lines() {
            let (name, encoded) = line
                .strip_prefix(SIGNATURE)
                .and_then(|line| line.split_once(' '))
                .filter(|(name, _)| is_name(name))
                .ok_or("a line behind the empty one is no signature")?;
            let bytes = STANDARD.decode(encoded).map_err(|_| "a signature is not base64")?;
            if bytes.len() < 5 {
                return Err("a signature is too short".to_owned());
            }
            self.signatures.push(SignatureLine { name: name.to_owned(), bytes });
        }
        if self.signatures.len() > MAX_SIGNATURES { Err("it has too many signatures".to_owned()) } else { Ok(()) }
    }

    /// Signs the text as the log `name`.
    pub fn sign(&mut self, name: &str, key: &SigningKey) {
        let hash = Verifier::of_log(name, key.public()).hash();
        let bytes = [&hash[..], &key.sign(self.text.as_bytes())].concat();
        self.signatures.push(SignatureLine { name: name.to_owned(), bytes });
    }

    /// Signs the text as the witness `name`, which sees it at `time`, in Unix seconds.
    pub fn cosign(&mut self, name: &str, key: &SigningKey, time: u64) {
        let hash = Verifier::of_witness(name, key.public()).hash();
        let signature = key.sign(&cosigned(time, &self.text));
        let bytes = [&hash[..], &time.to_be_bytes(), &signature].concat();
        self.signatures.push(SignatureLine { name: name.to_owned(), bytes });
    }

    /// The signature lines.
    pub fn signature_lines(&self) -> String {
        let line = |line: &SignatureLine| format!("{SIGNATURE}{} {}\n", line.name, STANDARD.encode(&line.bytes));
        self.signatures.iter().map(line).collect()
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}", self.text, self.signature_lines())
    }
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Names the log.
    pub origin: String,
    /// Its number of leaves.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Checkpoint {
    /// As the text of a note.
    pub fn to_note(&self) -> Note {
        Note::new(format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root)))
    }

    /// Reads the text of a note, whose signatures are the caller's to check.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || "this is no checkpoint: expected the log's name, its size and its root hash".to_owned();
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(malformed());
        };
        let canonical = size == "0" || (!size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit()));
        if origin.is_empty() || !canonical || lines.next().is_none() {
            return Err(malformed());
        }
        let size = size.parse().map_err(|_| malformed())?;
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or_else(malformed)?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "haldir/local/0123".to_owned(), size: 5, root: [7; 32] }
    }

    #[test]
    fn a_note_is_read_back_and_verifies_under_its_own_name_and_key_alone() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let mut note = checkpoint().to_note();
        note.sign("haldir/local/0123", &key);
        note.cosign("witness", &other, 1_800_000_000);
        let read = Note::parse(&note.to_string()).unwrap();
        assert_eq!(read, note);
        assert_eq!(Checkpoint::parse(&read.text).unwrap(), checkpoint());
        let verifier = Verifier::of_log("haldir/local/0123", key.public());
        assert_eq!(Verifier::parse(&verifier.to_string()).unwrap(), verifier);
        assert_eq!(verifier.verify(&read), Some(0));
        assert_eq!(Verifier::of_witness("witness", other.public()).verify(&read), Some(1_800_000_000));
        for wrong in [
            Verifier::of_log("haldir/local/0124", key.public()),
            Verifier::of_log("haldir/local/0123", other.public()),
            Verifier::of_log("witness", other.public()),
            Verifier::of_witness("haldir/local/0123", key.public()),
        ] {
            assert_eq!(wrong.verify(&read), None, "{wrong}");
        }
    }

    #[test]
    fn every_single_bit_of_a_checkpoint_counts() {
        let key = SigningKey::generate().unwrap();
        let verifier = Verifier::of_log("log", key.public());
        let mut note = checkpoint().to_note();
        note.sign("log", &key);
        let text = note.to_string();
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(altered) = String::from_utf8(bytes) else { continue };
            let accepted = Note::parse(&altered).is_ok_and(|note| verifier.verify(&note).is_some());
            assert!(!accepted, "bit {bit}");
        }
    }

    #[test]
    fn what_is_no_note_or_checkpoint_is_refused() {
        for text in [
            "",
            "a\n",
            "a\n\n",
            "a\n\nb\n",
            "a\n\n\u{2014} x\n",
            "a\n\n\u{2014} x AAAA\n",
            "a\u{7}\n\n\u{2014} x AAAAAAA=\n",
        ] {
            assert!(Note::parse(text).is_err(), "{text:?}");
        }
        let root = STANDARD.encode([0; 32]);
        for text in ["", "log\n1\n", "log\n01\nAAAA\n", &format!("log\n01\n{root}\n"), &format!("\n1\n{root}\n")] {
            assert!(Checkpoint::parse(text).is_err(), "{text:?}");
        }
        assert!(Checkpoint::parse(&format!("log\n1\n{root}\n")).is_ok());
    }
}
