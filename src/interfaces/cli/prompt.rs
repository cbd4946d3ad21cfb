//! Questions to the person at the terminal. Secrets are read without being shown.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use zeroize::Zeroizing;

use super::stdin::StandardInput;
use crate::error::{Error, Result};

/// The longest line that is read; terminals hand over 4,096 bytes at most.
const MAX_LINE: u64 = 64 * 1024;

/// A secret: asked for at a terminal, where it is not shown, or all of standard input, without the line break at its end.
pub fn secret(field: &str, question: &str) -> Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        return StandardInput::default().value(field, "-");
    }
    let shown = hidden::Echo::off(field)?;
    let answer = ask(field, question);
    drop(shown);
    answer
}

/// Whether a person can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// A line from the terminal, without its end. The question stands on standard error: the answer of the command stands alone
/// on standard output.
pub fn ask(field: &str, question: &str) -> Result<Zeroizing<String>> {
    let unreadable = |error: &io::Error| Error::invalid(field, format!("the terminal cannot be read: {error}"));
    let mut errors = io::stderr();
    write!(errors, "{question}: ").and_then(|()| errors.flush()).map_err(|error| unreadable(&error))?;
    // Reserved in full, since growing would leave copies of a secret behind.
    let capacity = usize::try_from(MAX_LINE).unwrap_or_default();
    let mut line = Zeroizing::new(String::with_capacity(capacity));
    io::stdin().lock().take(MAX_LINE).read_line(&mut line).map_err(|error| unreadable(&error))?;
    let length = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(length);
    if line.is_empty() {
        return Err(Error::invalid(field, format!("nothing was given for {field}")));
    }
    Ok(line)
}

#[cfg(unix)]
mod hidden {
    use std::io;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    use super::{Error, Result};
    use crate::interfaces::cli::interruption::OnInterrupt;

    /// A terminal that does not show what is typed, until this is dropped, or Ctrl-C ends the process.
    pub struct Echo {
        before: Termios,
        _interrupted: OnInterrupt,
    }

    impl Echo {
        pub fn off(field: &str) -> Result<Self> {
            let bad = |error: rustix::io::Errno| {
                Error::invalid(field, format!("the terminal shows what is typed ({error}): write it to standard input"))
            };
            let before = tcgetattr(io::stdin()).map_err(bad)?;
            let back = before.clone();
            // Before it is switched off, so that there is no moment at which Ctrl-C would leave it off.
            let interrupted = OnInterrupt::run(move || restore(&back));
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            // The end of the line is shown all the same.
            hidden.local_modes.insert(LocalModes::ECHONL);
            tcsetattr(io::stdin(), OptionalActions::Drain, &hidden).map_err(bad)?;
            Ok(Self { before, _interrupted: interrupted })
        }
    }

    impl Drop for Echo {
        fn drop(&mut self) {
            restore(&self.before);
        }
    }

    fn restore(before: &Termios) {
        // A terminal that is gone needs nothing any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }
}

#[cfg(not(unix))]
mod hidden {
    use super::{Error, Result};

    /// There is no way to hide what is typed here.
    pub struct Echo;

    impl Echo {
        pub fn off(field: &str) -> Result<Self> {
            Err(Error::invalid(field, "this terminal shows what is typed: write it to standard input"))
        }
    }
}
