//! The master key: from `HALDIR_ENCRYPTION_KEY`, or a file beside the database that only its owner can read.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{bad_setting, secret_variable};
use crate::{
    crypto::{self, Key},
    error::{Code, Error, Result},
};

const VARIABLE: &str = "HALDIR_ENCRYPTION_KEY";

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

/// The key of the store at `database`, if there is one; none is made.
pub fn find(database: &Path) -> Result<Option<(KeySource, Key)>> {
    if let Some(text) = secret_variable(VARIABLE) {
        let key = Key::parse(&text).map_err(|error| bad_setting(VARIABLE, &error.to_string()))?;
        return Ok(Some((KeySource::Variable, key)));
    }
    let path = file(database);
    match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => {
            let key = outcome.map_err(|error| unusable(&path, &error))??;
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
    create(&path).and_then(|()| read(&path)).map_err(|error| unusable(&path, &error))?
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    PathBuf::from(name)
}

fn unusable(path: &Path, problem: &dyn std::fmt::Display) -> Error {
    Error::new(Code::Unavailable, format!("the key file {} {problem}", path.display()))
}

fn read(path: &Path) -> io::Result<Result<Key>> {
    let text = Zeroizing::new(fs::read_to_string(path)?);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path)?.permissions());
        if mode & 0o077 != 0 {
            return Ok(Err(unusable(path, &"can be read by others: run chmod 600 on it")));
        }
    }
    Ok(Key::parse(&text).map_err(|error| unusable(path, &format!("holds no key: {error}"))))
}

/// Writes a new key. Two processes may start at once: the file appears whole, and the first one stays.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // The key comes before the database, so that the folder's mode is decided here.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let key = Key::generate().map_err(io::Error::other)?;
    let name = crypto::token::<9>(".new-").map_err(io::Error::other)?;
    let temporary = beside(path, &name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(key.to_base64().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    let linked = match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    fs::remove_file(&temporary)?;
    // A key whose directory entry is lost with the power would lock the store that was made with it.
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    linked
}
