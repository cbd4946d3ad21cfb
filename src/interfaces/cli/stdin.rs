//! Values from standard input: what must not stand among the arguments, which every user of a machine can see.

use std::io;

use zeroize::Zeroizing;

use super::files::read_bounded;
use crate::error::{Error, Result};

/// The most that is read; the largest input of any operation is far smaller.
const MAX_BYTES: usize = 1024 * 1024;

/// Standard input, which can be read once.
#[derive(Default)]
pub struct StandardInput {
    reader: Option<String>,
}

impl StandardInput {
    /// The value of `flag`: itself, or what standard input holds if it is `-`.
    pub fn value(&mut self, flag: &str, value: &str) -> Result<Zeroizing<String>> {
        if value == "-" { self.read(flag) } else { Ok(Zeroizing::new(value.to_owned())) }
    }

    /// All of it, without the line break at its end.
    fn read(&mut self, flag: &str) -> Result<Zeroizing<String>> {
        if let Some(other) = self.reader.replace(flag.to_owned()) {
            let message =
                format!("--{other} and --{flag} cannot both be read from standard input: give one of them - only");
            return Err(Error::invalid(flag, message));
        }
        // Reserved in full, since growing would leave copies of a secret behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES + 1));
        read_bounded(io::stdin().lock(), MAX_BYTES as u64, &mut text)
            .map_err(|error| Error::invalid(flag, format!("--{flag}: standard input cannot be read: {error}")))?;
        remove_line_break(&mut text);
        Ok(text)
    }
}

/// Removes the line break at the end of a text.
pub fn remove_line_break(text: &mut String) {
    let length = text.strip_suffix('\n').map_or(text.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len());
    text.truncate(length);
}
