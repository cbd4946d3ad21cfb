//! The master key: from `HALDIR_ENCRYPTION_KEY`, or a file beside the database that only its owner can read.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{bad_setting, secret_variable};
use crate::{
    crypto::{self, Key},
    error::{Code, Error, Result},
    files::{beside, folder, make_folder, new_file, sync_folder},
};

const VARIABLE: &str = "HALDIR_ENCRYPTION_KEY";
/// A key file has 44 characters, and perhaps white space.
const MAX_KEY_FILE_BYTES: usize = 4_096;

/// Where a store's key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// `HALDIR_ENCRYPTION_KEY`.
    Variable,
    /// The file beside the database.
    File(PathBuf),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => f.write_str(VARIABLE),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The file that holds the key of the store at `database`, unless the environment does.
pub fn file(database: &Path) -> PathBuf {
    beside(database, ".key")
}

/// The key in the environment.
pub fn from_variable() -> Result<Option<Key>> {
    let parse = |text: Zeroizing<String>| Key::parse(&text).map_err(|error| bad_setting(VARIABLE, &error.to_string()));
    secret_variable(VARIABLE).map(parse).transpose()
}

/// The key of the store at `database`, if there is one; none is made.
pub fn find(database: &Path) -> Result<Option<(KeySource, Key)>> {
    if let Some(key) = from_variable()? {
        return Ok(Some((KeySource::Variable, key)));
    }
    let path = file(database);
    match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => {
            let key = outcome.map_err(|error| unreadable(&path, &error))??;
            Ok(Some((KeySource::File(path), key)))
        }
    }
}

/// The key of the store at `database`; made on first use.
pub fn load(database: &Path) -> Result<Key> {
    if let Some((_, key)) = find(database)? {
        return Ok(key);
    }
    let path = file(database);
    if fs::metadata(database).is_ok_and(|file| file.len() > 0) {
        return Err(unusable(&path, &"is missing, and the store cannot be opened without it"));
    }
    create(&path).and_then(|()| read(&path)).map_err(|error| unreadable(&path, &error))?
}

fn unusable(path: &Path, problem: &dyn std::fmt::Display) -> Error {
    Error::new(Code::Unavailable, format!("the key file {} {problem}", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    unusable(path, &format!("cannot be used: {error}"))
}

fn read(path: &Path) -> io::Result<Result<Key>> {
    // A named pipe would never be opened, and a device never end.
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Ok(Err(unusable(path, &"is no regular file")));
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE_BYTES));
    File::open(path)?.take(MAX_KEY_FILE_BYTES as u64).read_to_string(&mut text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let mode = found.permissions().mode();
        // A file that another user owns is one that was mounted, such as a secret of Kubernetes: its group is how this
        // process may read it at all. root is another user there.
        let own = rustix::process::geteuid().as_raw();
        let is_mounted = found.uid() != own || own == 0;
        if mode & 0o007 != 0 || (mode & 0o070 != 0 && !is_mounted) {
            return Ok(Err(unusable(path, &"can be read by others: run chmod 600 on it")));
        }
    }
    Ok(Key::parse(&text).map_err(|error| unusable(path, &format!("holds no key: {error}"))))
}

/// Where the key stands that is to be the next one while the store is rekeyed.
pub fn next_file(database: &Path) -> PathBuf {
    beside(database, ".key.next")
}

/// Writes the key that is to be the next one, whole and durable.
pub fn write_next(database: &Path, key: &Key) -> Result<()> {
    let path = next_file(database);
    write_new(&path, key).and_then(|()| sync_folder(folder(&path))).map_err(|error| unreadable(&path, &error))
}

/// The key that is to be the next one, if there is one.
pub fn find_next(database: &Path) -> Result<Option<Key>> {
    let path = next_file(database);
    match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map_err(|error| unreadable(&path, &error))?.map(Some),
    }
}

/// Puts the next key in the place of the one before, if it is the store's own by now; else it is taken away.
pub fn settle_next(database: &Path, is_own: bool) -> Result<()> {
    let (next, path) = (next_file(database), file(database));
    let done = if is_own { fs::rename(&next, &path) } else { fs::remove_file(&next) };
    done.and_then(|()| sync_folder(folder(&path))).map_err(|error| unreadable(&next, &error))
}

/// Writes the key of the store at `database`, which has no key file.
pub fn write(database: &Path, key: &Key) -> Result<()> {
    let path = file(database);
    write_new(&path, key).and_then(|()| sync_folder(folder(&path))).map_err(|error| unreadable(&path, &error))
}

/// The key in this file.
pub fn read_file(path: &Path) -> Result<Key> {
    read(path).map_err(|error| unreadable(path, &error))?
}

/// Writes a key to a file that is not there yet, and that only its owner can read.
pub fn write_new(path: &Path, key: &Key) -> io::Result<()> {
    let mut file = new_file(path)?;
    file.write_all(key.to_base64().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Writes a new key. Two processes may start at once: the file appears whole, and the first one stays.
fn create(path: &Path) -> io::Result<()> {
    // The key comes before the database, so that the folder's mode is decided here.
    make_folder(folder(path), true)?;
    let key = Key::generate().map_err(io::Error::other)?;
    let name = crypto::token::<9>(".new-").map_err(io::Error::other)?;
    let temporary = beside(path, &name);
    write_new(&temporary, &key)?;
    let linked = match fs::hard_link(&temporary, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system without hard links, such as FAT or some network shares.
        Err(_) => match write_new(path, &key) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        },
    };
    fs::remove_file(&temporary)?;
    // A key whose directory entry is lost with the power would lock the store that was made with it.
    sync_folder(folder(path))?;
    linked
}
