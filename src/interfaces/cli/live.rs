//! Live screens: they fill the terminal, follow what happens and the size of the window, and show their keys at the bottom.
//!
//! [`terminal`] takes the terminal over and gives it back, however the program ends. [`work`] calls haldir on a thread of its own,
//! so that keys are answered while a server is not. A [`View`] is one screen: what it asks for, what it shows, and what its
//! keys do.

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
use work::{Kind, Worker};

use super::{
    GlobalOptions, Screen, Stop, editor,
    interruption::INTERRUPTED,
    output::styled::{Line, Style},
    target::Target,
};
use crate::{
    config::duration::within,
    error::{Code, Error, Result},
};

/// How long keys are waited for before the clock and the window are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Ages on the screen are seconds, so it is drawn as often at least.
const REDRAW: Duration = Duration::from_secs(1);
/// How much longer it takes until haldir is asked again once it has not answered.
const PATIENCE: u32 = 3;

/// How often a live view asks, unless its user says otherwise.
pub const EVERY: &str = "2s";

/// Reads how often a live view is to ask, in seconds.
pub fn every() -> impl Fn(&str) -> std::result::Result<u64, String> + Clone {
    within(1..=3_600)
}

/// The room that a view has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: usize,
    /// Rows, without those of the keys.
    pub rows: usize,
}

/// What comes of a key.
pub enum Next<N> {
    /// Nothing but another screen.
    Stay,
    /// Haldir is to be called; what it answers is told to the view.
    Do(Job<N>),
    /// This text is to be changed in the user's editor; what comes of it is told to the view.
    Edit(String),
}

/// A live screen.
pub trait View {
    /// What haldir answers.
    type News: Send + 'static;

    /// Asks what is new.
    fn ask(&self) -> Job<Self::News>;

    /// Takes an answer in. A problem is shown, and the last answer stays.
    fn hear(&mut self, news: Self::News) -> Result<()>;

    /// What a key had ordered has failed; why, is shown.
    fn fail(&mut self) {}

    /// What the user's editor left of the text that a key has given it, or why there is nothing.
    fn edited(&mut self, _text: Result<String>) {}

    /// Whether it misses something that haldir is to be asked for at once.
    fn is_impatient(&self) -> bool {
        false
    }

    /// What fills the screen; lines beyond its size are cut off.
    fn lines(&mut self, size: Size) -> Vec<Line>;

    /// The keys that do something now, and what they do.
    fn keys(&self) -> Vec<(&'static str, &'static str)>;

    /// A key was pressed.
    fn press(&mut self, key: KeyEvent) -> Next<Self::News>;

    /// Whether keys are text, so that `q` is a letter.
    fn is_typing(&self) -> bool {
        false
    }
}

/// Shows a view until its user leaves it.
pub fn run<V: View>(
    view: V,
    every: u64,
    global: &GlobalOptions,
    screen: Screen,
) -> std::result::Result<ExitCode, Stop> {
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
        Shown { view, problem: None, asked_every: Duration::from_secs(every), colours: screen.has_colours() };
    let full = FullScreen::enter()?;
    let left = shown.follow(&full, &worker);
    // The terminal is its user's again before anything is waited for.
    drop(full);
    worker.finish()?;
    left
}

/// A view, and what is known of it.
struct Shown<V> {
    view: V,
    /// Why there is nothing new.
    problem: Option<Error>,
    asked_every: Duration,
    colours: bool,
}

impl<V: View> Shown<V> {
    fn follow(&mut self, full: &FullScreen, worker: &Worker<V::News>) -> std::result::Result<ExitCode, Stop> {
        let (mut ask_at, mut is_asked, mut redraw_at) = (Instant::now(), false, Instant::now());
        let mut shown_at = None;
        loop {
            let is_due = Instant::now() >= ask_at || (self.problem.is_none() && self.view.is_impatient());
            if !is_asked && is_due {
                is_asked = worker.order(self.view.ask(), Kind::Question);
            }
            let mut has_changed = false;
            while let Some((news, kind)) = worker.heard()? {
                self.problem = news.and_then(|news| self.view.hear(news)).err();
                has_changed = true;
                if self.problem.is_some() && kind == Kind::Order {
                    self.view.fail();
                }
                is_asked &= kind == Kind::Order;
                // What was ordered shows at once.
                let patience = match (&self.problem, kind) {
                    (None, Kind::Order) => 0,
                    (None, Kind::Question) => 1,
                    (Some(_), _) => PATIENCE,
                };
                ask_at = Instant::now() + self.asked_every * patience;
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
                        Next::Stay => {}
                        Next::Do(job) => {
                            if !worker.order(job, Kind::Order) {
                                self.problem = Some(Error::new(Code::Unavailable, "haldir has not answered yet: wait"));
                            }
                        }
                        Next::Edit(text) => {
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
