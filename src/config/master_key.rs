//! The master key: from `HALDIR_ENCRYPTION_KEY`, or a file beside the database that only its owner can read.

use std::{
    ffi::OsString,
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

/// The key of the store at `database`; made on first use.
pub fn load(database: &Path) -> Result<Key> {
    if let Some(text) = secret_variable(VARIABLE) {
        return Key::parse(&text).map_err(|error| bad_setting(VARIABLE, &error.to_string()));
    }
    let path = beside(database, ".key");
    match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if database.exists() && fs::metadata(database).is_ok_and(|file| file.len() > 0) {
                return Err(unusable(&path, &"is missing, and the store cannot be opened without it"));
            }
            create(&path).and_then(|()| read(&path)).map_err(|error| unusable(&path, &error))?
        }
        outcome => outcome.map_err(|error| unusable(&path, &error))?,
    }
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
        fs::create_dir_all(folder)?;
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
