//! Live screens: they fill the terminal, follow what happens and the size of the window, and show their keys at the bottom.
//!
//! [`terminal`] puts the terminal into raw mode and restores it, however the program ends. [`work`] calls haldir on a worker
//! thread, so that keys work while a server does not answer. A [`View`] is one screen: what it polls, what it shows, and what
//! its keys do.

mod terminal;
mod work;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::{Duration, Instant},
};

pub use crossterm::event::{KeyCode, KeyEvent};
use crossterm::event::{KeyEventKind, KeyModifiers};
use terminal::{FullScreen, keys, size};
pub use work::Job;
use work::{Trigger, Worker};

use super::{
    CommandError, GlobalOptions, editor,
    interruption::INTERRUPTED,
    output::styled::{Line, Style},
    target::Target,
};
use crate::{
    config::duration::within,
    error::{Code, Error, Result},
};

/// How long to wait for keys before the clock and the size of the window are checked.
const TICK: Duration = Duration::from_millis(100);
/// The longest time between two drawings: ages on the screen count in seconds.
const REDRAW: Duration = Duration::from_secs(1);
/// Factor by which the next poll is later after one that failed.
const PATIENCE: u32 = 3;

/// How often a live view polls by default.
pub const EVERY: &str = "2s";

/// Reads the interval of polls, in seconds.
pub fn every() -> impl Fn(&str) -> std::result::Result<u64, String> + Clone {
    within(1..=3_600)
}

/// The space that a view has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: usize,
    /// Rows, without those of the keys.
    pub rows: usize,
}

/// What a key does.
pub enum Action<N> {
    /// It changes the screen only.
    None,
    /// It calls haldir; the view gets the response.
    Call(Job<N>),
    /// It opens this text in the user's editor; the view gets the changed text.
    Edit(String),
}

/// A live screen.
pub trait View {
    /// A response of haldir, as the view needs it.
    type Update: Send + 'static;

    /// The call that reads what is new.
    fn poll(&self) -> Job<Self::Update>;

    /// Shows what haldir answered.
    fn apply(&mut self, update: Self::Update);

    /// A call that a key started has failed; the screen shows why.
    fn key_failed(&mut self) {}

    /// The text as the user's editor left it, or why there is none.
    fn edited(&mut self, _text: Result<String>) {}

    /// Whether to poll at once, without waiting for the timer.
    fn wants_update(&self) -> bool {
        false
    }

    /// The lines of the screen; those beyond its size are cut off.
    fn lines(&mut self, size: Size) -> Vec<Line>;

    /// The keys that do something now, and what they do.
    fn keys(&self) -> Vec<(&'static str, &'static str)>;

    /// A key was pressed.
    fn press(&mut self, key: KeyEvent) -> Action<Self::Update>;

    /// Whether keys are text, so that `q` is a letter.
    fn is_typing(&self) -> bool {
        false
    }
}

/// Shows a view until its user leaves it.
pub fn run<V: View>(view: V, every: u64, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let screen = global.screen();
    let refused = |message: &str| Err(Error::new(Code::InvalidArgument, message).into());
    if screen.json {
        return refused("a live view fills a screen: leave --json out");
    }
    if !screen.is_terminal() || !io::stdin().is_terminal() {
        return refused("a live view needs a terminal, for its input and its output");
    }
    if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
        return refused("this terminal (TERM=dumb) has no screen that could be filled: set TERM to what it is");
    }
    let worker = Worker::start(Target::open(global)?)?;
    let mut shown =
        LiveView { view, problem: None, poll_every: Duration::from_secs(every), colours: screen.has_colours() };
    let full = FullScreen::enter()?;
    let left = shown.follow(&full, &worker);
    // Restored before the worker is waited for.
    drop(full);
    worker.finish()?;
    left
}

/// A view with its state on the screen.
struct LiveView<V> {
    view: V,
    /// Why the last call failed.
    problem: Option<Error>,
    poll_every: Duration,
    colours: bool,
}

impl<V: View> LiveView<V> {
    fn follow(&mut self, full: &FullScreen, worker: &Worker<V::Update>) -> std::result::Result<ExitCode, CommandError> {
        let (mut poll_at, mut is_polling, mut redraw_at) = (Instant::now(), false, Instant::now());
        let mut shown_at = None;
        loop {
            let is_due = Instant::now() >= poll_at || (self.problem.is_none() && self.view.wants_update());
            if !is_polling && is_due {
                is_polling = worker.enqueue(self.view.poll(), Trigger::Timer);
            }
            let mut has_changed = false;
            while let Some((update, kind)) = worker.next_response()? {
                self.problem = update.map(|update| self.view.apply(update)).err();
                has_changed = true;
                if self.problem.is_some() && kind == Trigger::Key {
                    self.view.key_failed();
                }
                is_polling &= kind == Trigger::Key;
                // Polls at once, so that the screen shows what the key changed.
                let patience = match (&self.problem, kind) {
                    (None, Trigger::Key) => 0,
                    (None, Trigger::Timer) => 1,
                    (Some(_), _) => PATIENCE,
                };
                poll_at = Instant::now() + self.poll_every * patience;
            }
            let current = size()?;
            if has_changed || shown_at != Some(current) || Instant::now() >= redraw_at {
                full.draw(&self.page(current), current, shown_at != Some(current))?;
                (shown_at, redraw_at) = (Some(current), Instant::now() + REDRAW);
            }
            for key in keys(TICK)? {
                redraw_at = Instant::now();
                if key.kind == KeyEventKind::Release {
                    continue;
                }
                let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
                match key.code {
                    KeyCode::Char('c') if is_control => return Ok(ExitCode::from(INTERRUPTED)),
                    KeyCode::Char('l') if is_control => shown_at = None,
                    KeyCode::Char(_) if is_control => {}
                    KeyCode::Char('q') if !self.view.is_typing() => return Ok(ExitCode::SUCCESS),
                    _ => match self.view.press(key) {
                        Action::None => {}
                        Action::Call(job) => {
                            if !worker.enqueue(job, Trigger::Key) {
                                self.problem = Some(Error::new(Code::Unavailable, "haldir has not answered yet: wait"));
                            }
                        }
                        Action::Edit(text) => {
                            let edited = full.lend(|| editor::edited(&text))?;
                            self.view.edited(edited);
                            shown_at = None;
                            // Keys that came with this one were meant for the editor.
                            break;
                        }
                    },
                }
            }
        }
    }

    /// The screen: the view, a problem if there is one, and the keys.
    fn page(&mut self, size: Size) -> Vec<String> {
        let keys = self.keys(size.columns);
        let problem = self.problem.as_ref().map(|error| Line::of(Style::Bad, &error.message));
        let below = keys.len() + usize::from(problem.is_some());
        let room = Size { rows: size.rows.saturating_sub(below), ..size };
        let mut lines = self.view.lines(room);
        lines.truncate(room.rows);
        lines.resize_with(room.rows, Line::default);
        lines.extend(problem);
        lines.extend(keys);
        lines.truncate(size.rows);
        lines.into_iter().map(|line| line.within(size.columns).written(self.colours)).collect()
    }

    /// The keys, on as many lines as they take.
    fn keys(&self, columns: usize) -> Vec<Line> {
        let keys = self.view.keys();
        let leave = if self.view.is_typing() { None } else { Some(("q", "quit")) };
        let (mut lines, mut line) = (Vec::new(), Line::default());
        for (key, what) in keys.into_iter().chain(leave) {
            let more = Line::of(Style::Strong, key).and(Style::Plain, " ").and(Style::Faint, what);
            if line.columns() > 0 && line.columns() + 2 + more.columns() > columns {
                lines.push(std::mem::take(&mut line));
            }
            let gap = if line.columns() > 0 { "  " } else { "" };
            line = line.and(Style::Plain, gap).and(Style::Strong, key).and(Style::Plain, " ").and(Style::Faint, what);
        }
        lines.push(line);
        lines
    }
}
