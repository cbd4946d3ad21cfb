//! The terminal of a live screen in raw mode. It is restored when the user leaves, when a signal ends the program, and when the
//! program panics.

use std::{
    io::{self, Stdout, Write},
    panic,
    sync::Arc,
    time::Duration,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyEvent},
    queue,
    style::{Print, ResetColor},
    terminal::{
        self, Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
        disable_raw_mode, enable_raw_mode,
    },
};
use parking_lot::Mutex;

use super::{super::interruption::OnInterrupt, Size};
use crate::error::{Code, Error, Result};

/// Keys that are read at a time, so that the screen is drawn while text is pasted.
const MAX_KEYS: usize = 64;

/// A terminal in raw mode. It is restored once: by its owner, by a signal, or by a panic.
struct RawTerminal<W: Write>(Mutex<Option<W>>);

impl<W: Write> RawTerminal<W> {
    /// Takes the terminal behind `output`.
    fn take(output: W) -> io::Result<Self> {
        let taken = Self(Mutex::new(None));
        taken.fill(output)?;
        Ok(taken)
    }

    fn fill(&self, mut output: W) -> io::Result<()> {
        // Without line wrap, a row that a terminal draws wider than we count it stays a row.
        queue!(output, EnterAlternateScreen, Hide, DisableLineWrap, Clear(ClearType::All))?;
        output.flush()?;
        *self.0.lock() = Some(output);
        Ok(())
    }

    /// Writes to it, unless it was given back.
    fn write(&self, write: impl FnOnce(&mut W) -> io::Result<()>) -> io::Result<()> {
        self.0.lock().as_mut().map_or(Ok(()), write)
    }

    /// Gives it back as it was.
    fn restore(&self) {
        release(self.0.lock().take());
    }

    /// The same in a panic. If this thread holds the lock, the terminal is restored as the stack unwinds.
    fn restore_in_panic(&self) {
        release(self.0.try_lock().and_then(|mut output| output.take()));
    }
}

fn release<W: Write>(output: Option<W>) {
    let Some(mut output) = output else { return };
    // A terminal that is gone needs nothing.
    let _ = queue!(output, ResetColor, EnableLineWrap, Show, LeaveAlternateScreen);
    let _ = output.flush();
    let _ = disable_raw_mode();
}

fn problem(error: &io::Error) -> Error {
    Error::new(Code::Unavailable, format!("the terminal cannot be set up for a live view: {error}"))
}

/// The whole terminal, until it is dropped.
pub struct FullScreen<W: Write = Stdout> {
    taken: Arc<RawTerminal<W>>,
    /// What stands in each row, so that only what changes is written.
    rows: Mutex<Vec<String>>,
    /// Gives the terminal back when a signal ends the process.
    interrupted: Option<OnInterrupt>,
}

impl FullScreen {
    /// Takes the terminal of the process over.
    pub fn enter() -> Result<Self> {
        enable_raw_mode().map_err(|error| problem(&error))?;
        let mut full = Self::take(io::stdout()).map_err(|error| {
            let _ = disable_raw_mode();
            problem(&error)
        })?;
        let taken = Arc::clone(&full.taken);
        // Not in `take`, which tests call: a signal would end the process of all tests.
        full.interrupted = Some(OnInterrupt::run(move || taken.restore()));
        Ok(full)
    }

    /// Lends the terminal, as it was before, to work such as an editor, and fills it again.
    pub fn lend<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        self.taken.restore();
        let done = work();
        let filled = enable_raw_mode().and_then(|()| self.taken.fill(io::stdout()));
        filled.map_err(|error| {
            let _ = disable_raw_mode();
            problem(&error)
        })?;
        Ok(done)
    }
}

impl<W: Write + Send + 'static> FullScreen<W> {
    /// Fills the terminal behind `output`.
    fn take(output: W) -> io::Result<Self> {
        let taken = Arc::new(RawTerminal::take(output)?);
        let at_panic = Arc::clone(&taken);
        // First of all, so that the message of the panic is read on the user's own screen.
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            at_panic.restore_in_panic();
            before(panic);
        }));
        Ok(Self { taken, rows: Mutex::default(), interrupted: None })
    }

    /// Shows these rows, which are within the size.
    pub fn draw(&self, rows: &[String], size: Size, is_new: bool) -> io::Result<()> {
        let mut shown = self.rows.lock();
        self.taken.write(|output| {
            if is_new {
                shown.clear();
                queue!(output, Clear(ClearType::All))?;
            }
            for (place, row) in rows.iter().enumerate().take(size.rows) {
                if shown.get(place) != Some(row) {
                    let at = u16::try_from(place).unwrap_or(u16::MAX);
                    queue!(output, MoveTo(0, at), ResetColor, Clear(ClearType::CurrentLine), Print(row))?;
                }
            }
            output.flush()
        })?;
        shown.clear();
        shown.extend_from_slice(rows);
        Ok(())
    }
}

/// The size of the terminal now.
pub fn size() -> io::Result<Size> {
    let (columns, rows) = terminal::size()?;
    Ok(Size { columns: usize::from(columns), rows: usize::from(rows) })
}

/// The keys that were pressed; waits for one so long.
pub fn keys(within: Duration) -> Result<Vec<KeyEvent>> {
    let mut keys = Vec::new();
    if !input::wait(within)? {
        return Ok(keys);
    }
    while keys.len() < MAX_KEYS && event::poll(Duration::ZERO).map_err(|error| input::gone(&error))? {
        if let Event::Key(key) = event::read().map_err(|error| input::gone(&error))? {
            keys.push(key);
        }
    }
    Ok(keys)
}

impl<W: Write> Drop for FullScreen<W> {
    fn drop(&mut self) {
        // The hook of panics holds it too, for as long as the program runs.
        self.taken.restore();
        // Only now: until the terminal is given back, a signal has to do it.
        drop(self.interrupted.take());
    }
}

/// Waiting for input, and noticing that there will be none any more.
mod input {
    use std::{io, time::Duration};

    use crate::error::{Code, Error, Result};

    pub fn gone(error: &io::Error) -> Error {
        Error::new(Code::Unavailable, format!("the terminal is gone: {error}"))
    }

    /// Whether there may be keys. A terminal that hangs up is an error here: crossterm reads it again and again.
    #[cfg(target_os = "linux")]
    pub fn wait(within: Duration) -> Result<bool> {
        use rustix::{
            event::{PollFd, PollFlags, Timespec, poll},
            io::Errno,
        };
        let stdin = io::stdin();
        let mut input = [PollFd::new(&stdin, PollFlags::IN)];
        let within = Timespec::try_from(within).map_err(Error::internal)?;
        match poll(&mut input, Some(&within)) {
            // A signal, such as that of a new size.
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(gone(&error.into())),
            Ok(_) => {}
        }
        let events = input[0].revents();
        if events.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Err(gone(&io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(events.contains(PollFlags::IN))
    }

    #[cfg(not(target_os = "linux"))]
    pub fn wait(within: Duration) -> Result<bool> {
        crossterm::event::poll(within).map_err(|error| gone(&error))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// What a terminal was sent.
    #[derive(Clone, Default)]
    struct Sent(Arc<Mutex<Vec<u8>>>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sent {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    // DEC private modes: 1049 the alternate screen, 25 the cursor, 7 line wrap.
    const TAKEN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
    const GIVEN_BACK: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

    #[test]
    fn a_terminal_is_given_back_once_when_it_is_dropped_and_when_the_program_panics() {
        let sent = Sent::default();
        let full = FullScreen::take(sent.clone()).unwrap();
        assert!(sent.text().starts_with(TAKEN) && !sent.text().contains(GIVEN_BACK), "{:?}", sent.text());
        drop(full);
        assert!(sent.text().ends_with(GIVEN_BACK), "{:?}", sent.text());

        let sent = Sent::default();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let full = FullScreen::take(sent.clone()).unwrap();
            // Without the hook: the stack unwinds, and a draw may hold the terminal meanwhile.
            let output = full.taken.0.lock();
            full.taken.restore_in_panic();
            assert!(!sent.text().contains(GIVEN_BACK));
            drop(output);
            std::panic::resume_unwind(Box::new("a bug"));
        }));
        assert!(failed.is_err());
        assert_eq!(sent.text().matches(GIVEN_BACK).count(), 1, "{:?}", sent.text());
    }

    /// Set for the program that panics: this one, started again at a terminal of its own.
    #[cfg(target_os = "linux")]
    const PANICS: &str = "HALDIR_TEST_PANICS";

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_that_panics_leaves_its_terminal_as_it_was() {
        use std::{env, fs, io::Read, process::Command};

        use rustix::{
            pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
            termios::tcgetattr,
        };

        if env::var_os(PANICS).is_some() {
            let full = FullScreen::enter().unwrap();
            full.draw(&["drawn".to_owned()], Size { columns: 10, rows: 1 }, true).unwrap();
            panic!("a bug");
        }
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let program = fs::OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let before = format!("{:?}", tcgetattr(&program).unwrap());
        let this = "interfaces::cli::live::terminal::tests::a_program_that_panics_leaves_its_terminal_as_it_was";
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", this, "--nocapture"]).env(PANICS, "1").env("RUST_BACKTRACE", "0");
        let output = [program.try_clone().unwrap(), program.try_clone().unwrap(), program.try_clone().unwrap()];
        let [input, out, errors] = output;
        assert!(!command.stdin(input).stdout(out).stderr(errors).status().unwrap().success());
        assert_eq!(format!("{:?}", tcgetattr(&program).unwrap()), before, "the settings of the terminal");
        // The program's end of it is closed, so that what was sent ends.
        drop((program, command));
        let (mut sent, mut buffer) = (Vec::new(), [0; 4_096]);
        let mut terminal = fs::File::from(terminal);
        while let Ok(length @ 1..) = terminal.read(&mut buffer) {
            sent.extend_from_slice(&buffer[..length]);
        }
        let sent = String::from_utf8_lossy(&sent);
        let (_, taken) = sent.split_once(TAKEN).unwrap_or_else(|| panic!("{sent:?}"));
        let (drawn, after) = taken.split_once(GIVEN_BACK).unwrap_or_else(|| panic!("{sent:?}"));
        // What went wrong stands on the user's own screen, after it was given back once.
        assert!(drawn.contains("drawn") && !drawn.contains("a bug"), "{sent:?}");
        assert!(after.contains("a bug") && !after.contains(GIVEN_BACK), "{sent:?}");
    }

    #[test]
    fn nothing_is_drawn_once_the_terminal_was_given_back() {
        let sent = Sent::default();
        let full = FullScreen::take(sent.clone()).unwrap();
        let size = Size { columns: 10, rows: 1 };
        full.draw(&["drawn".to_owned()], size, true).unwrap();
        full.taken.restore_in_panic();
        full.draw(&["late".to_owned()], size, true).unwrap();
        drop(full);
        let text = sent.text();
        assert!(text.contains("drawn") && !text.contains("late") && text.matches(GIVEN_BACK).count() == 1, "{text:?}");
    }
}
