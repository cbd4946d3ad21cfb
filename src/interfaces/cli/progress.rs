//! How far a command has come: a bar on standard error with the rate and the time that is left, where a person may be
//! looking. It appears once the work has taken a while, and leaves nothing behind.

use std::{
    fmt,
    io::{self, IsTerminal},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{GlobalOptions, interruption::OnInterrupt};

/// Work that is done by then shows no bar.
const SHOW_AFTER: Duration = Duration::from_millis(500);
/// How often the bar is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// Entries of a log, or other things that have a number.
    Count,
    /// Bytes of a file.
    Bytes,
    /// Nothing: how much there is to do is not known.
    Unknown,
}

impl Unit {
    fn style(self) -> ProgressStyle {
        let template = match self {
            Self::Count => "{msg} [{wide_bar}] {percent}% {human_pos} of {human_len}, {rate}, {eta} left",
            Self::Bytes => {
                "{msg} [{wide_bar}] {percent}% {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"
            }
            Self::Unknown => "{spinner} {msg}, {elapsed}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Where the terminal takes nothing more, there is nothing to be shown.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        // ASCII, which every terminal has.
        style.with_key("rate", rate).progress_chars("=> ").tick_chars("|/-\\ ")
    }
}

/// Asks how far the work has come, and how much there is: for work that cannot say so itself.
type Measure = Box<dyn Fn() -> Option<(u64, u64)> + Send>;

/// A bar that shows how much is left as soon as that is known, and the time until then.
#[derive(Clone)]
struct Bar {
    line: ProgressBar,
    unit: Unit,
    is_known: Arc<AtomicBool>,
}

impl Bar {
    fn new(what: &'static str, unit: Unit) -> Self {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        line.set_style(Unit::Unknown.style());
        line.set_message(what);
        Self { line, unit, is_known: Arc::default() }
    }

    fn at(&self, done: u64, total: u64) {
        if total > 0 && !self.is_known.swap(true, Ordering::Relaxed) {
            self.line.set_style(self.unit.style());
        }
        if total > 0 {
            self.line.set_length(total);
            self.line.set_position(done.min(total));
        }
    }
}

/// The bar of one piece of work, until it is dropped. Where standard error is no terminal, it does nothing.
pub struct Progress(Option<ActiveBar>);

struct ActiveBar {
    bar: Bar,
    drawing: Option<(Sender<()>, JoinHandle<()>)>,
    _interrupted: OnInterrupt,
}

impl Progress {
    /// The bar of work that says by [`Self::at`] how far it has come.
    pub fn new(global: &GlobalOptions, what: &'static str, unit: Unit) -> Self {
        Self::start(global, what, unit, None)
    }

    /// The bar of work that is measured from outside, such as by the size of a file that grows.
    pub fn measured(
        global: &GlobalOptions,
        what: &'static str,
        unit: Unit,
        measure: impl Fn() -> Option<(u64, u64)> + Send + 'static,
    ) -> Self {
        Self::start(global, what, unit, Some(Box::new(measure)))
    }

    fn start(global: &GlobalOptions, what: &'static str, unit: Unit, measure: Option<Measure>) -> Self {
        if global.json || !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = Bar::new(what, unit);
        let (stop, stopped) = mpsc::channel();
        let drawn = bar.clone();
        let thread = thread::spawn(move || {
            let (began, mut is_shown) = (Instant::now(), false);
            while stopped.recv_timeout(DRAW_EVERY) == Err(RecvTimeoutError::Timeout) {
                if let Some((done, total)) = measure.as_ref().and_then(|measure| measure()) {
                    drawn.at(done, total);
                }
                if !is_shown && began.elapsed() >= SHOW_AFTER {
                    drawn.line.set_draw_target(ProgressDrawTarget::stderr());
                    is_shown = true;
                }
                if is_shown {
                    drawn.line.tick();
                }
            }
        });
        let interrupted = {
            let bar = bar.clone();
            OnInterrupt::run(move || bar.line.finish_and_clear())
        };
        Self(Some(ActiveBar { bar, drawing: Some((stop, thread)), _interrupted: interrupted }))
    }

    /// Says how much of how much is done.
    pub fn at(&self, done: u64, total: u64) {
        if let Some(shown) = &self.0 {
            shown.bar.at(done, total);
        }
    }
}

impl Drop for ActiveBar {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.drawing.take() {
            drop(stop);
            // So that nothing is drawn once the line is cleared; the thread cannot have failed in what it does.
            let _ = thread.join();
        }
        self.bar.line.finish_and_clear();
    }
}
