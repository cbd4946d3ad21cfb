//! A witness: the rules of C2SP tlog-witness, and the one file per log that it keeps.
//!
//! What a witness has cosigned is known from its folder alone. A folder that is set back to an older copy makes it cosign a second
//! history of what came since, and no request shows it: a log presents a new checkpoint, not the witness' earlier cosignatures.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    crypto::{self, Checkpoint, Hash, Note, SigningKey, Verifier, verify_consistency},
    error::{Code, Error, Result},
};

/// The most hashes of a proof: a tree has no more levels.
const MAX_PROOF: usize = 63;

/// Signs what it sees of some logs, and never two histories of one.
pub struct Witness {
    name: String,
    key: SigningKey,
    folder: PathBuf,
    logs: HashMap<String, Vec<Verifier>>,
    /// Held from reading what was seen of a log to writing what is seen next.
    seen: Mutex<()>,
    /// Another process on the same folder could sign what this one refuses.
    _lock: File,
}

/// What a witness answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    fn conflict(size: u64) -> Self {
        Self { status: 409, content_type: "text/x.tlog.size", body: format!("{size}\n") }
    }
}

/// A request to a witness.
pub fn request(old: u64, proof: &[Hash], note: &str) -> String {
    let mut body = format!("old {old}\n");
    for hash in proof {
        // Writing to a String cannot fail.
        let _ = writeln!(body, "{}", STANDARD.encode(hash));
    }
    body + "\n" + note
}

impl Witness {
    /// The witness whose key and memory are in `folder`; both are made on first use.
    pub fn open(folder: &Path, name: &str, logs: Vec<Verifier>) -> Result<Self> {
        let unusable = |error: io::Error| {
            Error::new(Code::Unavailable, format!("the witness' folder {} cannot be used: {error}", folder.display()))
        };
        private_folder(folder).map_err(unusable)?;
        let lock = File::create(folder.join("lock")).map_err(unusable)?;
        lock.try_lock()
            .map_err(|_| Error::new(Code::Unavailable, format!("another witness works in {}", folder.display())))?;
        let key = load_key(&folder.join("key")).map_err(unusable)?;
        let mut by_origin: HashMap<String, Vec<Verifier>> = HashMap::new();
        for log in logs {
            by_origin.entry(log.name().to_owned()).or_default().push(log);
        }
        Ok(Self {
            name: name.to_owned(),
            key,
            folder: folder.to_owned(),
            logs: by_origin,
            seen: Mutex::default(),
            _lock: lock,
        })
    }

    /// What others check its cosignatures with.
    pub fn verifier(&self) -> Verifier {
        Verifier::of_witness(&self.name, self.key.public())
    }

    /// Answers `add-checkpoint`: a cosignature at `now`, in Unix seconds, or why not.
    pub fn add_checkpoint(&self, body: &str, now: u64) -> Result<Answer> {
        let Some((old, proof, note)) = parse(body) else {
            return Ok(Answer::text(400, "expected: old <size>, the proof, an empty line, and the checkpoint\n"));
        };
        let (Ok(note), Some(checkpoint)) = (Note::parse(note), checkpoint_of(note)) else {
            return Ok(Answer::text(400, "there is no checkpoint behind the empty line\n"));
        };
        let Some(keys) = self.logs.get(&checkpoint.origin) else {
            return Ok(Answer::text(404, format!("this witness does not know the log {}\n", checkpoint.origin)));
        };
        if !keys.iter().any(|key| key.verify(&note) == Some(0)) {
            return Ok(Answer::text(403, "the checkpoint is not signed by a key that this witness trusts\n"));
        }
        if old > checkpoint.size {
            return Ok(Answer::text(400, "the old size is larger than the checkpoint's\n"));
        }
        let _seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last(&checkpoint.origin)?;
        let (last_size, last_root) = last.map_or((0, crypto::EMPTY_ROOT), |last| (last.size, last.root));
        if old != last_size || (old == checkpoint.size && last_root != checkpoint.root) {
            return Ok(Answer::conflict(last_size));
        }
        // The empty tree needs no proof: everything begins with it.
        let is_consistent = if old == 0 {
            proof.is_empty()
        } else {
            verify_consistency(old, &last_root, checkpoint.size, &checkpoint.root, &proof)
        };
        if !is_consistent {
            return Ok(Answer::text(
                422,
                "the log does not begin with what this witness saw of it: it was rewritten\n",
            ));
        }
        let mut cosigned = Note::new(note.text);
        cosigned.cosign(&self.name, &self.key, now);
        // Remembered before it is answered: after a crash, no other history may be signed.
        self.remember(&checkpoint.origin, &cosigned)?;
        Ok(Answer::text(200, cosigned.signature_lines()))
    }

    fn path(&self, origin: &str) -> PathBuf {
        let digest = crypto::digest(&[origin.as_bytes()]);
        let name = digest[..16].iter().fold(String::new(), |name, byte| name + &format!("{byte:02x}"));
        self.folder.join(format!("{name}.checkpoint"))
    }

    fn last(&self, origin: &str) -> Result<Option<Checkpoint>> {
        let path = self.path(origin);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::internal(error)),
        };
        let note = Note::parse(&text).map_err(Error::internal)?;
        let checkpoint = Checkpoint::parse(&note.text).map_err(Error::internal)?;
        if checkpoint.origin != origin || self.verifier().verify(&note).is_none() {
            return Err(Error::internal(format!("{} is not what this witness wrote", path.display())));
        }
        Ok(Some(checkpoint))
    }

    fn remember(&self, origin: &str, note: &Note) -> Result<()> {
        replace(&self.path(origin), note.to_string().as_bytes()).map_err(Error::internal)
    }
}

fn checkpoint_of(note: &str) -> Option<Checkpoint> {
    Checkpoint::parse(&Note::parse(note).ok()?.text).ok()
}

fn parse(body: &str) -> Option<(u64, Vec<Hash>, &str)> {
    let (head, note) = body.split_once("\n\n")?;
    let mut lines = head.lines();
    let old = lines.next()?.strip_prefix("old ")?;
    let size: u64 = old.parse().ok()?;
    if size.to_string() != old {
        return None;
    }
    let proof: Option<Vec<Hash>> = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect();
    let proof = proof?;
    (proof.len() <= MAX_PROOF).then_some((size, proof, note))
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn load_key(path: &Path) -> io::Result<SigningKey> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let seed = STANDARD.decode(text.trim()).ok().map(Zeroizing::new);
            let seed: Option<[u8; 32]> = seed.and_then(|seed| seed.as_slice().try_into().ok());
            let seed = seed.map(Zeroizing::new).ok_or_else(|| io::Error::other("its key file holds no key"))?;
            Ok(SigningKey::from_seed(&seed))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate().map_err(io::Error::other)?;
            let text = Zeroizing::new(STANDARD.encode(&key.seed()[..]));
            replace(path, text.as_bytes())?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

/// Puts `bytes` in the place of the file, whole or not at all, and durably.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Nodes, consistency, leaf_hash, root};

    const LOG: &str = "haldir/local/0123456789abcdef";

    /// A log of numbered leaves; `fork` makes another history from that leaf on.
    struct Leaves {
        fork: u64,
    }

    impl Nodes for Leaves {
        type Error = std::convert::Infallible;

        fn node(&mut self, height: u32, index: u64) -> std::result::Result<Hash, Self::Error> {
            if height == 0 {
                return Ok(leaf_hash(format!("{index}{}", if index < self.fork { "" } else { "'" }).as_bytes()));
            }
            let [left, right] = [2 * index, 2 * index + 1].map(|child| self.node(height - 1, child));
            Ok(crypto::node_hash(&left?, &right?))
        }
    }

    struct Setting {
        folder: tempfile::TempDir,
        log: SigningKey,
    }

    impl Setting {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), log: SigningKey::generate().unwrap() }
        }

        fn witness(&self) -> Witness {
            let log = Verifier::of_log(LOG, self.log.public());
            Witness::open(self.folder.path(), "w.example", vec![log]).unwrap()
        }

        /// A request that takes the log from `old` to `new` entries, with a proof of the history that forks at `fork`.
        fn request(&self, old: u64, new: u64, fork: u64) -> String {
            let mut leaves = Leaves { fork };
            let Ok(root) = root(&mut leaves, new);
            let Ok(proof) = consistency(&mut leaves, old, new);
            let mut note = Checkpoint { origin: LOG.to_owned(), size: new, root }.to_note();
            note.sign(LOG, &self.log);
            request(old, &proof, &note.to_string())
        }
    }

    #[test]
    fn a_log_that_grows_is_cosigned_and_one_that_forks_is_not() {
        let setting = Setting::new();
        let witness = setting.witness();
        let ask = |body: &str| witness.add_checkpoint(body, 1_800_000_000).unwrap();
        let answer = ask(&setting.request(0, 5, 99));
        assert_eq!(answer.status, 200);
        let mut note = Note::parse(setting.request(0, 5, 99).split_once("\n\n").unwrap().1).unwrap();
        note.add_lines(&answer.body).unwrap();
        assert_eq!(witness.verifier().verify(&note), Some(1_800_000_000));
        assert_eq!(ask(&setting.request(5, 9, 99)).status, 200);
        assert_eq!(ask(&setting.request(9, 9, 99)).status, 200, "the same again is nothing new");
        assert_eq!(ask(&setting.request(5, 12, 99)), Answer::conflict(9), "it has seen more");
        assert_eq!(ask(&setting.request(9, 12, 3)).status, 422, "a history that forks");
        assert_eq!(ask(&setting.request(9, 9, 3)), Answer::conflict(9), "another root for the same size");
        assert_eq!(ask(&setting.request(0, 12, 3)), Answer::conflict(9), "a fresh start");
        assert_eq!(ask(&setting.request(9, 12, 99)).status, 200, "a refusal changes nothing");
        drop(witness);
        assert_eq!(setting.witness().add_checkpoint(&setting.request(9, 13, 99), 0).unwrap(), Answer::conflict(12));
    }

    #[test]
    fn what_is_no_request_or_not_the_logs_is_refused() {
        let setting = Setting::new();
        let witness = setting.witness();
        let status = |body: &str| witness.add_checkpoint(body, 0).unwrap().status;
        let good = setting.request(0, 5, 99);
        for malformed in
            ["", "old 0\n", "old -1\n\nx\n1\n", &good.replace("old 0", "old 00"), &good.replace("old", "new")]
        {
            assert_eq!(status(malformed), 400, "{malformed:?}");
        }
        assert_eq!(status(&setting.request(0, 5, 99).replace("old 0", "old 6")), 400, "an old size beyond the new one");
        assert_eq!(status(&good.replace("\n5\n", "\n6\n")), 403, "not what was signed");
        assert_eq!(status(&good.replace(LOG, "haldir/other/0123456789abcdef")), 404);
        let other = Setting { folder: tempfile::tempdir().unwrap(), log: SigningKey::generate().unwrap() };
        assert_eq!(status(&other.request(0, 5, 99)), 403, "signed with another key");
        let proof = format!("{}\n", STANDARD.encode([0; 32]));
        assert_eq!(status(&good.replacen("old 0\n", &format!("old 0\n{proof}"), 1)), 422, "a proof where none is due");
        assert_eq!(
            status(&good.replacen("old 0\n", &format!("old 0\n{}", proof.repeat(64)), 1)),
            400,
            "too long a proof"
        );
        assert_eq!(status(&good), 200);
    }

    #[test]
    fn what_was_seen_and_the_key_are_for_the_owner_alone_and_nobody_else_alters_them_unnoticed() {
        let setting = Setting::new();
        let witness = setting.witness();
        assert!(
            Witness::open(setting.folder.path(), "w.example", Vec::new()).is_err(),
            "two at once could sign a fork"
        );
        assert_eq!(witness.add_checkpoint(&setting.request(0, 5, 99), 0).unwrap().status, 200);
        #[cfg(unix)]
        for file in [setting.folder.path().join("key"), witness.path(LOG)] {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
        let seen = fs::read_to_string(witness.path(LOG)).unwrap();
        fs::write(witness.path(LOG), seen.replace("\n5\n", "\n4\n")).unwrap();
        assert!(witness.add_checkpoint(&setting.request(5, 9, 99), 0).is_err());
    }
}
