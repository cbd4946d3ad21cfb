//! What a child writes to standard error, and what it writes to standard output that is no message: kept apart, in a file
//! of bounded size.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};

use crate::{
    files::{beside, folder, make_folder, private},
    model::UpstreamName,
    redact::Known,
};

/// Lines of noise that wait to be written; more at a time are left out.
const MAX_NOISE: usize = 64;
/// The longest one that is written, in bytes. Of a longer one only its length is: in a part of it a part of a secret could
/// stand, which is not told from other text.
const MAX_NOISE_BYTES: usize = 4_096;
/// What stands before it.
const NOISE: &str = "[standard output, no message of MCP] ";

/// The file's size at which it makes way for a new one, in bytes; one older file is kept.
const MAX_BYTES: u64 = 1024 * 1024;
/// A line that is longer is written in pieces.
const MAX_LINE_BYTES: usize = 65_536;

/// Bytes at its end that are kept to explain why a child ended.
const MAX_LAST_WORDS: usize = 1_024;

/// The end of what a child has written to standard error.
#[derive(Clone, Default)]
pub struct LastWords(Arc<Mutex<VecDeque<u8>>>);

impl LastWords {
    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock();
        kept.extend(&bytes[bytes.len().saturating_sub(MAX_LAST_WORDS)..]);
        let surplus = kept.len().saturating_sub(MAX_LAST_WORDS);
        kept.drain(..surplus);
    }

    /// On one line; without the line of which only the end is kept.
    pub fn text(&self) -> String {
        let kept: Vec<u8> = self.0.lock().iter().copied().collect();
        let begins = kept.len() == MAX_LAST_WORDS;
        let text = String::from_utf8_lossy(&kept);
        let whole = text.split_once('\n').filter(|(_, rest)| begins && !rest.trim().is_empty());
        let text = whole.map_or(text.as_ref(), |(_, rest)| rest);
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Takes what a child writes to standard output that is no message of MCP.
pub struct Noise {
    /// To the task that writes the log.
    lines: mpsc::Sender<String>,
    log: PathBuf,
    known: Arc<Known>,
    words: LastWords,
    is_told: bool,
}

impl Noise {
    /// Of a child whose log is there; and where its lines come out.
    pub fn new(log: &Path, known: Arc<Known>, words: LastWords) -> (Self, mpsc::Receiver<String>) {
        let (lines, receiver) = mpsc::channel(MAX_NOISE);
        (Self { lines, log: log.to_owned(), known, words, is_told: false }, receiver)
    }

    /// Takes a line, and says so once in haldir's own log.
    pub fn take(&mut self, line: &str) {
        let shown = match line.trim() {
            line if line.len() <= MAX_NOISE_BYTES => self.known.text(line),
            line => format!("a line of {} bytes", line.len()),
        };
        if !std::mem::replace(&mut self.is_told, true) {
            let log = self.log.display();
            tracing::warn!(%log, "a child writes lines to its standard output that are no messages of MCP; its log has them");
        }
        let line = format!("{NOISE}{shown}\n");
        self.words.push(line.as_bytes());
        // Its standard error has ended: nothing writes the log any more.
        if let Err(mpsc::error::TrySendError::Closed(line)) = self.lines.try_send(line)
            && let Err(error) = StderrLog::open(&self.log).and_then(|mut log| log.write(line.as_bytes()))
        {
            tracing::debug!(%error, "the log of a child can no longer be written");
        }
    }
}

/// A log file, and the one before it.
pub struct StderrLog {
    path: PathBuf,
    file: File,
    written: u64,
}

impl StderrLog {
    /// Goes on with the log at this path, which only its owner may read.
    pub fn open(path: &Path) -> io::Result<Self> {
        make_folder(folder(path), true)?;
        // One that was made more open before is closed.
        #[cfg(unix)]
        fs::set_permissions(folder(path), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
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

    /// Takes everything from `errors` until it ends, line by line and without these secrets, and what comes of `noise`
    /// meanwhile. A log that cannot be written does not stop the child.
    pub async fn take(
        mut self,
        mut errors: impl AsyncRead + Unpin,
        mut noise: mpsc::Receiver<String>,
        known: Arc<Known>,
        words: LastWords,
    ) {
        let (mut buffer, mut waiting) = ([0; 8192], Vec::new());
        let mut is_written = true;
        loop {
            let length = tokio::select! {
                Some(line) = noise.recv() => {
                    self.put(line.as_bytes(), &mut is_written);
                    continue;
                }
                read = errors.read(&mut buffer) => read.unwrap_or_default(),
            };
            waiting.extend_from_slice(&buffer[..length]);
            // A value may go on in the next piece: a line waits for its end, the last excepted.
            let whole = match waiting.iter().rposition(|byte| *byte == b'\n') {
                _ if length == 0 || waiting.len() > MAX_LINE_BYTES => waiting.len(),
                found => found.map_or(0, |end| end + 1),
            };
            let rest = waiting.split_off(whole);
            let lines = std::mem::replace(&mut waiting, rest);
            let clean = known.text(&String::from_utf8_lossy(&lines));
            words.push(clean.as_bytes());
            self.put(clean.as_bytes(), &mut is_written);
            if length == 0 {
                noise.close();
                while let Ok(line) = noise.try_recv() {
                    self.put(line.as_bytes(), &mut is_written);
                }
                return;
            }
        }
    }

    fn put(&mut self, bytes: &[u8], is_written: &mut bool) {
        if *is_written && let Err(error) = self.write(bytes) {
            tracing::warn!(%error, path = %self.path.display(), "the log of a child can no longer be written");
            *is_written = false;
        }
    }
}

/// Where the log of an upstream is, beside this store.
pub fn path(store: &Path, upstream: &UpstreamName) -> PathBuf {
    store.with_file_name("logs").join(format!("{upstream}.log"))
}

/// Where the log before the current one is.
pub fn older(path: &Path) -> PathBuf {
    beside(path, ".1")
}

fn append_to(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().create(true).append(true)).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_last_whole_lines() {
        let words = LastWords::default();
        words.push(b"one\n");
        words.push(b"two\x1b[0m\n");
        assert_eq!(words.text(), "one two [0m");
        words.push(&[b'x'; 4_096]);
        words.push(b"\nlast line\n");
        assert_eq!(words.text(), "last line");
    }
}
