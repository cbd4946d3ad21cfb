//! `haldir approvals watch`: requests as they arrive, decided with one key.
//!
//! An operator cannot approve by accident what was not shown: the selection stays on a request that is gone, and the key to
//! approve works only once the whole request has been on the screen.

mod change;
mod drawn;

use std::process::ExitCode;

use change::Change;
pub use change::{is_same, read};
use clap::Args;
use serde_json::json;

use super::{
    super::{
        CommandError, GlobalOptions,
        live::{self, Action, Job, KeyCode, KeyEvent, Size, View},
        output::{
            paragraph_lines,
            styled::{Line, Style},
        },
        target::Target,
    },
    decide::Decision,
    request::is_call,
};
use crate::{
    approvals::{
        detail::{ApprovalDetail, ApprovalWithLast, LastApproved},
        list_approvals::ApprovalList,
    },
    error::Result,
    model::{Clock, time::SystemClock},
};

/// Requests that are read at a time.
const MAX_REQUESTS: usize = 200;
/// Characters of a note, as haldir takes it.
const MAX_NOTE_CHARS: usize = 1_024;
/// The operation that approves.
const APPROVE: &str = "approveRequest";
/// Rows of the list, beside the request that is selected.
const MAX_LISTED: usize = 6;

#[derive(Args)]
pub struct WatchOptions {
    /// Only this agent's.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Who decides, as the agent sees it. Default: operator.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// How often to ask haldir what is new, from 1s to 1h. Each time counts as a call where calls are limited.
    #[arg(long, value_name = "DURATION", default_value = live::EVERY, value_parser = live::every())]
    every: u64,
}

pub fn run(options: &WatchOptions, global: &GlobalOptions) -> std::result::Result<ExitCode, CommandError> {
    let view = Requests { agent: options.agent.clone(), by: options.by.clone(), ..Requests::default() };
    live::run(view, options.every, global)
}

/// A response of haldir.
enum Update {
    /// The requests that wait, oldest first; whether there are more; and, for one of them, the last approved request like it.
    Waiting(Vec<ApprovalDetail>, bool, Option<(String, Option<LastApproved>)>),
    /// A decision was taken.
    Decided(String, &'static str),
}

/// What is on the screen.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    /// The list, with the selected request below it.
    #[default]
    List,
    /// The whole request.
    Whole,
    /// The note of a denial.
    Note,
}

/// The last approved request that is like the selected one.
#[derive(Default)]
enum Last {
    /// Haldir was not asked yet.
    #[default]
    Unknown,
    Known(Option<LastApproved>),
}

/// The screen.
#[derive(Default)]
struct Requests {
    agent: Option<String>,
    by: Option<String>,
    is_read: bool,
    waiting: Vec<ApprovalDetail>,
    more: bool,
    /// The request that keys are about; it stays until another one is chosen.
    selected: Option<ApprovalDetail>,
    /// Its state in words, once it does not wait any more.
    became: Option<String>,
    last: Last,
    /// The arguments that its call is to have instead.
    change: Change,
    /// Whether all of it has been on the screen.
    is_seen: bool,
    mode: Mode,
    /// Lines of the whole request that are above the screen.
    from: usize,
    /// `from` at the last drawing, and the lines of a screen: several keys between two drawings skip no line.
    drawn: usize,
    page: usize,
    note: String,
    /// Why the last key did nothing.
    hint: Option<String>,
}

impl Requests {
    fn select(&mut self, place: usize) {
        if place < self.waiting.len() {
            // A copy: it stays on the screen when the list does not have it any more.
            self.selected = self.waiting.get(place).cloned();
            (self.became, self.is_seen, self.from, self.hint) = (None, false, 0, None);
            (self.last, self.change) = (Last::Unknown, Change::default());
        }
    }

    /// The place of the selected request in the list, if it waits.
    fn place(&self) -> Option<usize> {
        let id = &self.selected.as_ref()?.request_id;
        self.waiting.iter().position(|request| request.request_id == *id)
    }

    fn move_by(&mut self, step: isize) {
        let place = match self.place() {
            Some(place) => place.saturating_add_signed(step).min(self.waiting.len().saturating_sub(1)),
            // The selected request is gone: select the one that has waited longest.
            None => 0,
        };
        if self.place() != Some(place) {
            self.select(place);
        }
    }

    /// The id of the request that may be decided now; otherwise sets the hint that says why not.
    fn decidable(&mut self, is_yes: bool) -> Option<String> {
        let Some(selected) = &self.selected else {
            self.hint = Some("no request waits".to_owned());
            return None;
        };
        if let Some(became) = &self.became {
            self.hint = Some(format!("this request {became}: n selects another one"));
            return None;
        }
        if is_yes && !self.is_seen {
            self.hint = Some("not all of it was on the screen: enter shows it, space its end; then approve".to_owned());
            return None;
        }
        Some(selected.request_id.to_string())
    }

    fn decide(
        &mut self,
        operation: &'static str,
        done: &'static str,
        id: String,
        note: Option<String>,
    ) -> Action<Update> {
        let arguments = self.change.arguments().filter(|_| operation == APPROVE).map(ToOwned::to_owned);
        let by = self.by.clone();
        self.became = Some("is being decided".to_owned());
        Action::Call(Box::new(move |target: &Target| {
            let (by, note) = (by.as_deref(), note.as_deref());
            Decision { request_id: &id, decided_by: by, note, arguments: arguments.as_deref() }
                .take(operation, target)?;
            Ok(Update::Decided(id, done))
        }))
    }

    /// Opens the arguments in the operator's editor.
    fn change(&mut self) -> Action<Update> {
        if self.decidable(false).is_none() {
            return Action::None;
        }
        let text = self.selected.as_ref().and_then(|request| self.change.text(request));
        if text.is_none() {
            self.hint =
                Some("only the arguments of a call can be changed: approve this as it is, or deny it".to_owned());
        }
        text.map_or(Action::None, Action::Edit)
    }
}

impl View for Requests {
    type Update = Update;

    fn poll(&self) -> Job<Update> {
        let input = json!({"agent_id": self.agent, "limit": MAX_REQUESTS});
        let compared = self
            .selected
            .as_ref()
            .filter(|_| matches!(self.last, Last::Unknown))
            .map(|request| request.request_id.to_string());
        Box::new(move |target: &Target| {
            let mut listed: ApprovalList = target.read("listPendingApprovals", &input)?;
            listed.requests.reverse();
            let last = compared.map(|id| {
                // A request that cannot be read is one without another to compare it with.
                let detail = target.read::<ApprovalWithLast>("getApproval", json!({"request_id": id})).ok();
                (id, detail.and_then(|detail| detail.last_approved))
            });
            Ok(Update::Waiting(listed.requests, listed.next_cursor.is_some(), last))
        })
    }

    fn wants_update(&self) -> bool {
        self.selected.is_some() && matches!(self.last, Last::Unknown) && self.became.is_none()
    }

    fn edited(&mut self, text: Result<String>) {
        if let Some(request) = &self.selected {
            self.hint = Some(text.map_or_else(|error| error.message, |text| self.change.take(request, text)));
            // Changed arguments must be on the screen before they are approved.
            (self.is_seen, self.from) = (false, 0);
        }
    }

    fn apply(&mut self, update: Update) {
        match update {
            Update::Waiting(waiting, more, compared) => {
                (self.waiting, self.more, self.is_read) = (waiting, more, true);
                if let Some((id, last)) = compared
                    && self.selected.as_ref().is_some_and(|request| request.request_id.as_str() == id)
                {
                    self.last = Last::Known(last);
                }
                if self.selected.is_none() {
                    self.select(0);
                } else if self.place().is_none() && self.became.is_none() {
                    self.became =
                        Some("does not wait any more: it was decided elsewhere, or its time is over".to_owned());
                }
            }
            Update::Decided(id, done) => {
                self.waiting.retain(|request| request.request_id.as_str() != id);
                if self.selected.as_ref().is_some_and(|request| request.request_id.as_str() == id) {
                    self.became = Some(format!("was {done}"));
                }
            }
        }
    }

    fn key_failed(&mut self) {
        // A decision that failed leaves the request unchanged; the next poll says whether it still waits.
        if self.became.as_deref() == Some("is being decided") {
            self.became = None;
        }
    }

    fn lines(&mut self, size: Size) -> Vec<Line> {
        if !self.is_read {
            return vec![Line::of(Style::Faint, "asking haldir …")];
        }
        let now = SystemClock.now();
        let mut lines = if self.mode == Mode::Whole { Vec::new() } else { self.list(now, size) };
        let mut below = vec![Line::default()];
        below.extend(self.consequences(now, size.columns));
        let hint = self.hint.iter().flat_map(|hint| paragraph_lines(hint, size.columns));
        below.extend(hint.map(|line| Line::of(Style::Warn, &line)));
        if self.mode == Mode::Note {
            let shown: String = self.note.chars().rev().take(size.columns.saturating_sub(12)).collect();
            let shown: String = shown.chars().rev().collect();
            below.push(Line::of(Style::Bad, "Deny, note: ").and(Style::Plain, &shown).and(Style::Selected, " "));
        }
        let room = size.rows.saturating_sub(lines.len() + below.len());
        lines.extend(self.body(room, size.columns));
        lines.extend(below);
        lines
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        let is_call = self.selected.as_ref().is_some_and(is_call) && self.became.is_none();
        let mut keys = match self.mode {
            Mode::Note => return vec![("enter", "deny with this note, or with none"), ("esc", "back")],
            Mode::List | Mode::Whole => vec![("a", "approve"), ("d", "deny")],
        };
        keys.extend(is_call.then_some(("e", "change arguments")));
        keys.extend(self.change.arguments().map(|_| ("u", "take the change back")));
        keys.extend(match self.mode {
            Mode::List => [("n/↓", "next"), ("p/↑", "previous"), ("enter", "whole request")].as_slice(),
            Mode::Whole | Mode::Note => &[("↓↑ space", "scroll"), ("esc", "back")],
        });
        keys
    }

    fn press(&mut self, key: KeyEvent) -> Action<Update> {
        self.hint = None;
        match (self.mode, key.code) {
            (Mode::Note, KeyCode::Enter) => {
                self.mode = Mode::List;
                let note = Some(std::mem::take(&mut self.note)).filter(|note| !note.is_empty());
                if let Some(id) = self.decidable(false) {
                    return self.decide("denyRequest", "denied", id, note);
                }
            }
            (Mode::Note, KeyCode::Backspace) => drop(self.note.pop()),
            (Mode::Note, KeyCode::Char(letter)) if self.note.chars().count() < MAX_NOTE_CHARS => self.note.push(letter),
            (Mode::Note | Mode::Whole, KeyCode::Esc) | (Mode::Whole, KeyCode::Enter) => self.mode = Mode::List,
            (Mode::Note, _) => {}
            (_, KeyCode::Char('a')) => {
                if let Some(id) = self.decidable(true) {
                    return self.decide(APPROVE, "approved", id, None);
                }
            }
            (_, KeyCode::Char('e')) => return self.change(),
            (_, KeyCode::Char('u')) if self.change.arguments().is_some() => {
                (self.change, self.is_seen, self.from) = (Change::default(), false, 0);
            }
            (_, KeyCode::Char('d')) if self.decidable(false).is_some() => {
                (self.mode, self.note) = (Mode::Note, String::new());
            }
            (Mode::Whole, KeyCode::Down) => self.from = (self.from + 1).min(self.drawn + self.page),
            (Mode::Whole, KeyCode::Up) => self.from = self.from.saturating_sub(1),
            (Mode::Whole, KeyCode::PageDown | KeyCode::Char(' ')) => self.from = self.drawn + self.page,
            (Mode::Whole, KeyCode::PageUp) => self.from = self.from.saturating_sub(self.page),
            (_, KeyCode::Char('n') | KeyCode::Down) => self.move_by(1),
            (_, KeyCode::Char('p') | KeyCode::Up) => self.move_by(-1),
            (Mode::List, KeyCode::Enter) if self.selected.is_some() => (self.mode, self.from) = (Mode::Whole, 0),
            _ => {}
        }
        Action::None
    }

    fn is_typing(&self) -> bool {
        self.mode == Mode::Note
    }
}
