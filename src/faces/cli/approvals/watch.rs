//! `haldir approvals watch`: requests as they arrive, decided with one key.
//!
//! An operator cannot approve by accident what was not shown: the selection stays on a request that is gone, and a yes counts only
//! once all of the request has been on the screen.

mod request;

use std::process::ExitCode;

use clap::Args;
use request::Request;
use serde::Deserialize;
use serde_json::json;

use super::super::{
    GlobalOptions, Screen, Stop,
    live::{self, Job, KeyCode, KeyEvent, Next, Size, View},
    output::{
        paragraph_lines,
        styled::{Line, Style},
    },
    target::Target,
};
use crate::{
    error::{Error, Result},
    model::{Clock, UnixMicros, time::SystemClock},
};

/// Requests that are read at a time.
const MAX_REQUESTS: usize = 200;
/// Characters of a note, as haldir takes it.
const MAX_NOTE_CHARS: usize = 1_024;
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

pub fn run(options: &WatchOptions, global: &GlobalOptions, screen: Screen) -> std::result::Result<ExitCode, Stop> {
    let view = Requests { agent: options.agent.clone(), by: options.by.clone(), ..Requests::default() };
    live::run(view, options.every, global, screen)
}

/// What haldir answers.
enum News {
    /// The requests that wait, oldest first, and whether there are more.
    Waiting(Vec<Request>, bool),
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

/// The screen.
#[derive(Default)]
struct Requests {
    agent: Option<String>,
    by: Option<String>,
    is_read: bool,
    waiting: Vec<Request>,
    more: bool,
    /// The request that keys are about; it stays until another one is chosen.
    selected: Option<Request>,
    /// What became of it, once it does not wait any more.
    became: Option<String>,
    /// Whether all of it has been on the screen.
    is_seen: bool,
    mode: Mode,
    /// Lines of the whole request that are above the screen.
    from: usize,
    /// The same when it was drawn last, and how many lines there was room for: keys that come faster than that pass over
    /// none.
    drawn: usize,
    page: usize,
    note: String,
    /// What the last key could not do.
    hint: Option<String>,
}

impl Requests {
    fn select(&mut self, place: usize) {
        if place < self.waiting.len() {
            // A copy: it stays on the screen when the list does not have it any more.
            self.selected = self.waiting.get(place).cloned();
            (self.became, self.is_seen, self.from, self.hint) = (None, false, 0, None);
        }
    }

    /// The place of the selected request in the list, if it waits.
    fn place(&self) -> Option<usize> {
        let id = &self.selected.as_ref()?.id;
        self.waiting.iter().position(|request| request.id == *id)
    }

    fn move_by(&mut self, step: isize) {
        let place = match self.place() {
            Some(place) => place.saturating_add_signed(step).min(self.waiting.len().saturating_sub(1)),
            // Where it was is not known any more: the one that has waited longest.
            None => 0,
        };
        if self.place() != Some(place) {
            self.select(place);
        }
    }

    /// The request that may be decided now; else says why none may.
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
        Some(selected.id.clone())
    }

    fn decide(&mut self, operation: &'static str, done: &'static str, id: String, note: Option<String>) -> Next<News> {
        let by = self.by.clone();
        self.became = Some("is being decided".to_owned());
        Next::Do(Box::new(move |target: &Target| {
            target.call_value(operation, &json!({"request_id": id, "decided_by": by, "note": note}))?;
            Ok(News::Decided(id, done))
        }))
    }

    /// What follows from the keys, in lines of this width.
    fn consequences(&self, now: UnixMicros, columns: usize) -> Vec<Line> {
        let Some(request) = &self.selected else { return Vec::new() };
        if let Some(became) = &self.became {
            return vec![Line::of(Style::Warn, &format!("This request {became}."))];
        }
        let (yes, no) = request.consequences(now);
        let mut lines = Vec::new();
        for (key, style, text) in [("a approve: ", Style::Good, yes), ("d deny:    ", Style::Bad, no)] {
            for (place, part) in paragraph_lines(&text, columns.saturating_sub(key.len())).iter().enumerate() {
                let key = if place == 0 { key } else { "           " };
                lines.push(Line::of(style, key).and(Style::Plain, part));
            }
        }
        lines
    }

    fn list(&self, now: UnixMicros, size: Size) -> Vec<Line> {
        let count = self.waiting.len();
        let more = if self.more { "more than " } else { "" };
        let waits = if count == 1 { "request waits" } else { "requests wait" };
        let mut lines = vec![
            Line::of(Style::Strong, "Approvals").and(Style::Plain, &format!("  {more}{count} {waits}")),
            Line::default(),
        ];
        if count == 0 {
            lines.push(Line::of(Style::Faint, "Requests appear here as agents ask."));
        }
        let place = self.place();
        let first = place.unwrap_or_default().saturating_sub(MAX_LISTED - 1);
        for (at, request) in self.waiting.iter().enumerate().skip(first).take(MAX_LISTED) {
            let row = request.row(now, size.columns);
            lines.push(if place == Some(at) {
                let row = row.written(false);
                Line::of(Style::Selected, &format!("> {}", row.trim_start())).marked(Style::Selected, size.columns)
            } else {
                row
            });
        }
        let below = count.saturating_sub(first + MAX_LISTED);
        if below > 0 {
            lines.push(Line::of(Style::Faint, &format!("  and {below} more below")));
        }
        lines.push(Line::default());
        lines
    }

    /// So much of the selected request as there is room for.
    fn body(&mut self, rows: usize, columns: usize) -> Vec<Line> {
        let Some(request) = &self.selected else { return Vec::new() };
        let all = request.whole(columns);
        let is_whole = self.mode == Mode::Whole;
        // One is for the line that says how much is left.
        self.page = rows.saturating_sub(1).max(1);
        self.from = if is_whole { self.from.min(all.len().saturating_sub(rows)) } else { 0 };
        self.drawn = self.from;
        let end = self.from + rows;
        if end >= all.len() {
            // Line by line or at once: at the end, every line has been on the screen.
            self.is_seen = true;
            return all.into_iter().skip(self.from).collect();
        }
        let left = all.len() - end + 1;
        let mut shown: Vec<_> = all.into_iter().skip(self.from).take(rows.saturating_sub(1)).collect();
        let key = if is_whole { "space" } else { "enter" };
        shown.push(Line::of(Style::Warn, &format!("… {left} more lines: {key}")));
        shown
    }
}

impl View for Requests {
    type News = News;

    fn ask(&self) -> Job<News> {
        #[derive(Deserialize)]
        struct Listed {
            requests: Vec<Request>,
            next_cursor: Option<String>,
        }
        let input = json!({"agent_id": self.agent, "limit": MAX_REQUESTS}).to_string();
        Box::new(move |target: &Target| {
            let reply = target.call("listPendingApprovals", &input)?;
            let mut listed: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
            listed.requests.reverse();
            Ok(News::Waiting(listed.requests, listed.next_cursor.is_some()))
        })
    }

    fn hear(&mut self, news: News) -> Result<()> {
        match news {
            News::Waiting(waiting, more) => {
                (self.waiting, self.more, self.is_read) = (waiting, more, true);
                if self.selected.is_none() {
                    self.select(0);
                } else if self.place().is_none() && self.became.is_none() {
                    self.became =
                        Some("does not wait any more: it was decided elsewhere, or its time is over".to_owned());
                }
            }
            News::Decided(id, done) => {
                self.waiting.retain(|request| request.id != id);
                if self.selected.as_ref().is_some_and(|request| request.id == id) {
                    self.became = Some(format!("was {done}"));
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self) {
        // A decision that haldir did not take leaves the request as it is; the next list says whether it waits.
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
        below.extend(self.hint.as_ref().map(|hint| Line::of(Style::Warn, hint)));
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
        match self.mode {
            Mode::List => {
                vec![("a", "approve"), ("d", "deny"), ("n/↓", "next"), ("p/↑", "previous"), ("enter", "whole request")]
            }
            Mode::Whole => vec![("a", "approve"), ("d", "deny"), ("↓↑ space", "scroll"), ("esc", "back")],
            Mode::Note => vec![("enter", "deny with this note, or with none"), ("esc", "back")],
        }
    }

    fn press(&mut self, key: KeyEvent) -> Next<News> {
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
                    return self.decide("approveRequest", "approved", id, None);
                }
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
        Next::Stay
    }

    fn is_typing(&self) -> bool {
        self.mode == Mode::Note
    }
}
