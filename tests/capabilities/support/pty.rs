//! A program at a terminal.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    num::NonZeroU16,
    os::fd::OwnedFd,
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};
use vt100::Parser;

use super::{lock, until};

/// A program whose standard input, output and error are a terminal, unless they were set otherwise.
pub struct Pty {
    child: Child,
    keyboard: File,
    /// The terminal's settings before the program began.
    before: Termios,
    /// Rows and columns.
    size: (u16, u16),
    seen: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

/// Which of a program's streams are the terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    All,
    /// Standard output stays what the command says.
    AllButOutput,
}

impl Pty {
    /// Starts the command at a terminal of so many columns.
    pub fn start(command: Command, columns: u16) -> Self {
        Self::with(command, columns, Streams::All)
    }

    pub fn with(mut command: Command, columns: u16, streams: Streams) -> Self {
        let (master, slave) = open(columns);
        let before = tcgetattr(&slave).unwrap();
        command.env("TERM", "xterm").stdin(slave.try_clone().unwrap()).stderr(slave.try_clone().unwrap());
        if streams == Streams::All {
            command.stdout(slave.try_clone().unwrap());
        }
        let child = command.spawn().unwrap();
        let keyboard = File::from(master.try_clone().unwrap());
        // The command holds the terminal's other ends: it ends when they are closed.
        drop((slave, command));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let reader = thread::spawn(move || {
            let (mut master, mut buffer) = (File::from(master), [0; 4096]);
            while let Ok(length @ 1..) = master.read(&mut buffer) {
                lock(&sink).extend_from_slice(&buffer[..length]);
            }
        });
        Self { child, keyboard, before, size: (ROWS, columns), seen, reader: Some(reader) }
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What a person does who presses these keys; Enter is `\r`.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal's window another size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.size = (rows, columns);
        tcsetwinsize(&self.keyboard, size(rows, columns)).unwrap();
    }

    /// What a person sees at the terminal, and how it is set.
    pub fn screen(&self) -> vt100::Screen {
        let [rows, columns] = [self.size.0, self.size.1].map(|number| NonZeroU16::new(number).unwrap());
        let mut terminal = Parser::new(rows, columns, 0);
        terminal.process(&lock(&self.seen));
        terminal.screen().clone()
    }

    /// Waits until this is on the screen.
    #[track_caller]
    pub fn wait_for_screen(&self, text: &str) {
        until(&format!("{text:?} is on the screen"), || self.screen().contents().contains(text));
    }

    /// Waits for the program's end, and checks that it leaves the terminal as it was; answers its exit code.
    #[track_caller]
    pub fn finish_clean(mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        until("the terminal was given back", || self.seen().ends_with("\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l"));
        let screen = self.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{:?}", screen.contents());
        let after = tcgetattr(&self.keyboard).unwrap();
        assert_eq!(format!("{after:?}"), format!("{:?}", self.before), "the terminal's settings");
        code
    }

    /// Whether the terminal shows what is typed.
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.keyboard).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// What the terminal was sent so far.
    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&lock(&self.seen)).into_owned()
    }

    /// Waits until this was sent.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        until(&format!("{text:?} is on the terminal"), || self.seen().contains(text));
    }

    /// What Ctrl-C does, until the program ends: where its parent ignores the signal, one that has just begun does so too.
    #[track_caller]
    pub fn interrupt(&mut self) {
        until("the program has ended", || {
            let ended = self.child.try_wait().unwrap().is_some();
            if !ended {
                kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
            }
            ended
        });
    }

    /// Waits for the program's end; answers its exit code and all that the terminal was sent.
    pub fn finish(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status.code(), self.seen())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rows of a terminal.
const ROWS: u16 = 24;

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn open(columns: u16) -> (OwnedFd, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    tcsetwinsize(&slave, size(ROWS, columns)).unwrap();
    (master, slave)
}
