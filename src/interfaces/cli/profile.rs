//! Profiles: servers that `haldir login` has stored, each with its key, in one file that only its owner may read.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::files::{folder, make_folder, new_file, read_bounded, replace};
use crate::error::{Code, Error, Result};

/// The profile that is used where no other one is named.
pub const DEFAULT: &str = "default";
/// The environment variable that names a profile when `--profile` does not.
pub const VARIABLE: &str = "HALDIR_PROFILE";
/// The largest file that is read; it has room for more profiles than are kept.
const MAX_BYTES: usize = 256 * 1024;
/// Profiles in the file.
const MAX_PROFILES: usize = 256;
/// Characters of a profile's name.
const MAX_NAME: usize = 64;
/// Bytes of a key; haldir's own are far shorter.
const MAX_KEY: usize = 512;
const COMMENT: &str = "# Written by `haldir login`. It holds API keys: no other user may read it.\n";

/// A server, and the key that calls to it bear.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its address.
    pub url: String,
    /// The key.
    pub key: Zeroizing<String>,
}

/// All profiles of this user.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profiles {
    profiles: BTreeMap<String, Profile>,
}

/// Reads a profile's name: it is a key in the file, and stands in messages.
pub fn parse_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(is_plain) {
        return Err(format!("expected 1 to {MAX_NAME} letters, digits, - and _, such as staging"));
    }
    Ok(text.to_owned())
}

/// The profile that the environment names.
pub fn of_environment() -> Result<Option<String>> {
    let Some(name) = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty()) else { return Ok(None) };
    let bad = |problem: String| Error::invalid(VARIABLE, format!("{VARIABLE}: {problem}"));
    parse_name(&name).map(Some).map_err(bad)
}

/// The file, in the user's configuration directory.
pub fn file() -> Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| {
        Error::invalid("profile", "there is no home directory for the file of profiles: set HOME or XDG_CONFIG_HOME")
    })?;
    Ok(etcetera::BaseStrategy::config_dir(&strategy).join("haldir").join("profiles.toml"))
}

/// Whether a key can stand in the file and in a header.
pub fn check_key(key: &str) -> Result<()> {
    let is_plain =
        !key.is_empty() && key.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'\\'));
    if is_plain && key.len() <= MAX_KEY {
        return Ok(());
    }
    Err(Error::invalid("key", "this is no API key: expected one line such as hld_…, as `haldir keys create` prints it"))
}

impl Profiles {
    /// Reads the file; without one there is no profile.
    pub fn read(path: &Path) -> Result<Self> {
        let unreadable = |problem: &dyn std::fmt::Display| {
            Error::new(Code::Unavailable, format!("the profiles in {} cannot be read: {problem}", path.display()))
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unreadable(&error)),
        };
        require_private(path, &file)?;
        // Reserved in full, since growing would leave copies of keys behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES + 1));
        read_bounded(file, MAX_BYTES as u64, &mut text).map_err(|error| unreadable(&error))?;
        let read: Result<Self, _> = toml::from_str(&text);
        // The message of the parser would show the line, and with it the key.
        let profiles =
            read.map_err(|_| unreadable(&"it is not as `haldir login` writes it: delete it, and log in again"))?;
        let names = profiles.profiles.keys();
        match names.into_iter().find(|name| parse_name(name).is_err()) {
            Some(_) => Err(unreadable(&"a profile's name is none: delete the file, and log in again")),
            None => Ok(profiles),
        }
    }

    /// The profile of this name.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.profiles.iter().map(|(name, profile)| (name.as_str(), profile))
    }

    /// Adds a profile, or replaces the one of this name.
    pub fn put(&mut self, name: &str, profile: Profile) -> Result<()> {
        self.profiles.insert(name.to_owned(), profile);
        if self.profiles.len() > MAX_PROFILES {
            let message =
                format!("there are {MAX_PROFILES} profiles already: `haldir logout --profile NAME` removes one");
            return Err(Error::invalid("profile", message));
        }
        Ok(())
    }

    /// Removes the profile of this name.
    pub fn remove(&mut self, name: &str) -> Option<Profile> {
        self.profiles.remove(name)
    }

    /// Writes the file anew, all of it or nothing; without a profile there is no file.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.try_write(path).map_err(|error| {
            let message = format!("the profiles in {} cannot be written: {error}", path.display());
            Error::new(Code::Unavailable, message)
        })
    }

    fn try_write(&self, path: &Path) -> io::Result<()> {
        if self.profiles.is_empty() {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        make_folder(folder(path), true)?;
        replace(path, self.text().as_bytes(), new_file)
    }

    /// The file's text. Names, addresses and keys hold nothing that TOML would have escaped: [`parse_name`] and
    /// [`check_key`] see to it, and an address is one that was parsed.
    fn text(&self) -> Zeroizing<String> {
        let lengths =
            self.profiles.iter().map(|(name, profile)| name.len() + profile.url.len() + profile.key.len() + 64);
        // Reserved in full, as above.
        let mut text = Zeroizing::new(String::with_capacity(COMMENT.len() + lengths.sum::<usize>()));
        text.push_str(COMMENT);
        for (name, Profile { url, key }) in &self.profiles {
            for part in ["\n[profiles.", name, "]\nurl = \"", url, "\"\nkey = \"", key, "\"\n"] {
                text.push_str(part);
            }
        }
        text
    }
}

#[cfg(unix)]
fn require_private(path: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_or(0, |data| data.permissions().mode() & 0o777);
    let of_others = 0o077;
    if mode & of_others == 0 {
        return Ok(());
    }
    let message = format!(
        "{} holds API keys, and its mode {mode:o} lets other users of the machine in: run chmod 600 {}, and rotate the keys \
         if others may have read them",
        path.display(),
        path.display()
    );
    Err(Error::invalid("profile", message))
}

#[cfg(not(unix))]
fn require_private(_: &Path, _: &File) -> Result<()> {
    Ok(())
}
