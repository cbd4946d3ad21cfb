//! Reading and writing a client's file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    crypto,
    error::{Code, Error, Result},
    interfaces::cli::{
        GlobalOptions,
        files::{self, beside, folder, make_folder, new_file},
    },
};

/// The largest file that is read, in bytes: some clients keep their whole history in it.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Reads a file.
pub fn read(path: &Path) -> Result<String> {
    crate::files::read_text(path, MAX_BYTES).map_err(|error| unreadable(path, &error))
}

/// Reads a file that need not be there. The path is that of the file itself: a link stays a link, and what it leads to is edited.
pub fn read_if_there(path: &Path) -> Result<(PathBuf, Option<String>)> {
    match fs::canonicalize(path) {
        Ok(path) => read(&path).map(|text| (path, Some(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            Ok((path.to_owned(), None))
        }
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Writes a file at once or not at all, with the permissions of `like`.
pub fn write(like: &Path, path: &Path, text: &str) -> Result<()> {
    let replaced = files::replace(path, text.as_bytes(), |part| {
        // Such files hold keys: no other user may read the new file before it has the permissions of the old one.
        let file = new_file(part)?;
        file.set_permissions(fs::metadata(like)?.permissions())?;
        Ok(file)
    });
    replaced.map_err(|error| unwritable(path, &error))
}

/// Writes a file that is not there yet, for its owner alone, with the folders that it is in.
pub fn create(path: &Path, text: &str) -> Result<()> {
    let created = make_folder(folder(path), true).and_then(|()| files::replace(path, text.as_bytes(), new_file));
    created.map_err(|error| unwritable(path, &error))
}

/// Removes a file.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| unwritable(path, &error))
}

/// Where a file is kept that `written` replaced, for the command of this name: as long as nothing else has changed the new
/// file, the digest in the name finds it.
pub fn backup_of(path: &Path, command: &str, written: &str) -> PathBuf {
    let digest = crypto::digest(&[written.as_bytes()]);
    let digest = u64::from_be_bytes(std::array::from_fn(|index| digest[index]));
    beside(path, &format!(".haldir-{command}-{digest:016x}"))
}

/// Options of `haldir-mcp` for the store that this command was told to use, since clients hand few variables on.
pub fn store_options(global: &GlobalOptions) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for (name, path) in [("--db", &global.store.db), ("--config", &global.store.config)] {
        let Some(path) = path else { continue };
        let path = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
        let text = path.to_str().ok_or_else(|| {
            Error::invalid("db", format!("{} is not UTF-8, as a client's file must be", path.display()))
        })?;
        words.extend([name.to_owned(), text.to_owned()]);
    }
    Ok(words)
}

/// The error for a file that is not what its format wants.
pub fn malformed(path: &Path, problem: &str) -> Error {
    Error::new(Code::MalformedJson, format!("{}: {problem}", path.display()))
}

/// The error for a file that cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Error {
    let code = if error.kind() == io::ErrorKind::FileTooLarge { Code::InvalidArgument } else { Code::NotFound };
    Error::new(code, format!("{} cannot be read: {error}", path.display()))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::new(Code::Unavailable, format!("{} cannot be written: {error}", path.display()))
}
