//! What a child writes to standard error: kept apart, in a file of bounded size.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::model::UpstreamName;

/// The file's size at which it makes way for a new one, in bytes; one older file is kept.
const MAX_BYTES: u64 = 1024 * 1024;

/// A log file, and the one before it.
pub struct StderrLog {
    path: PathBuf,
    file: File,
    written: u64,
}

impl StderrLog {
    /// Goes on with the log at this path, which only its owner may read.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = append_to(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, written })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written >= MAX_BYTES {
            fs::rename(&self.path, older(&self.path))?;
            self.file = append_to(&self.path)?;
            self.written = 0;
        }
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Takes everything from `errors` until it ends. A log that cannot be written does not stop the child.
    pub async fn take(mut self, mut errors: impl AsyncRead + Unpin) {
        let mut buffer = [0; 8192];
        let mut works = true;
        while let Ok(length @ 1..) = errors.read(&mut buffer).await {
            if works && let Err(error) = self.write(&buffer[..length]) {
                tracing::warn!(%error, path = %self.path.display(), "the log of a child can no longer be written");
                works = false;
            }
        }
    }
}

/// Where the log of an upstream is, beside this store.
pub fn path(store: &Path, upstream: &UpstreamName) -> PathBuf {
    store.with_file_name("logs").join(format!("{upstream}.log"))
}

/// Where the log before the current one is.
pub fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
