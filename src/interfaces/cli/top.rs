//! `haldir top`: the agents that act, by what they do, and a key to stop one.

mod window;

use std::{cmp::Reverse, collections::BTreeMap, process::ExitCode};

use clap::Args;
use serde_json::json;
use window::{Figures, Window};

use super::{
    CommandError, GlobalOptions,
    live::{self, Action, Job, KeyCode, KeyEvent, Size, View},
    output::{
        amounts::{dollars, percent, share_of, share_style},
        paragraph_lines,
        styled::{Line, Style},
    },
    target::Target,
    trail::{NewEntries, Trail},
};
use crate::{
    config::duration,
    error::{Error, Result},
    gate::stop_agent::AgentStopped,
    interfaces::{
        history::Entry,
        responses::{OpenSession, Overview},
    },
    model::{Clock, Money, UnixMicros, time::SystemClock, visible::visible},
};

/// Seconds in the widest unit of an age that is shown in minutes.
const HOUR: i64 = 3_600;
const MINUTE: i64 = 60;

#[derive(Args)]
pub struct TopOptions {
    /// How far calls, refusals and costs are counted back, from 1m to 1d.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration::within(60..=86_400))]
    window: u64,
    /// How often to ask haldir what is new, from 1s to 1h. Each time counts as two calls where calls are limited.
    #[arg(long, value_name = "DURATION", default_value = live::EVERY, value_parser = live::every())]
    every: u64,
}

pub fn run(options: &TopOptions, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let seconds = i64::try_from(options.window).map_err(Error::internal)?;
    let since = SystemClock.now().plus_seconds(-seconds);
    let view = Top {
        seconds,
        trail: Trail::behind(0, json!({"since": since.as_seconds()})),
        window: Window::default(),
        sessions: BTreeMap::new(),
        is_read: false,
        missed: false,
        rows: Vec::new(),
        order: Order::Calls,
        selected: None,
        asks: None,
        told: None,
    };
    live::run(view, options.every, global)
}

/// A response of haldir.
enum Update {
    Activity { trail: Trail, entries: Vec<Entry>, missed: bool, sessions: Vec<OpenSession> },
    Stopped(String, usize),
}

/// The sessions of an agent together.
#[derive(Clone, Default)]
struct Sessions {
    count: u64,
    spent: Money,
    /// What all limits allow together; `None` if a session has none.
    limit: Option<Money>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Calls,
    Spending,
    Refusals,
    Agent,
}

/// An agent, as a row shows it.
struct Row {
    agent: String,
    sessions: Sessions,
    figures: Figures,
    is_stopped: bool,
}

/// The screen.
struct Top {
    seconds: i64,
    trail: Trail,
    window: Window,
    sessions: BTreeMap<String, Sessions>,
    is_read: bool,
    missed: bool,
    rows: Vec<Row>,
    order: Order,
    /// The agent that keys are about: its name, since rows move.
    selected: Option<String>,
    /// The agent that is stopped if its user says yes.
    asks: Option<String>,
    /// What the last key did.
    told: Option<String>,
}

impl Top {
    fn sort(&mut self) {
        let mut agents = self.window.by_agent();
        let mut rows: Vec<_> = self
            .sessions
            .iter()
            .map(|(agent, sessions)| Row {
                figures: agents.remove(agent).unwrap_or_default(),
                agent: agent.clone(),
                sessions: sessions.clone(),
                is_stopped: false,
            })
            .collect();
        // Those whose sessions have ended meanwhile.
        rows.extend(agents.into_iter().map(|(agent, figures)| {
            let is_stopped = self.window.was_stopped(&agent);
            Row { agent, sessions: Sessions::default(), figures, is_stopped }
        }));
        rows.sort_by(|left, right| left.agent.cmp(&right.agent));
        match self.order {
            Order::Calls => rows.sort_by_key(|row| Reverse(row.figures.calls)),
            Order::Spending => rows.sort_by_key(|row| Reverse(row.sessions.spent.saturating_add(row.figures.cost))),
            Order::Refusals => rows.sort_by_key(|row| Reverse(row.figures.refusals + row.figures.held)),
            Order::Agent => {}
        }
        self.rows = rows;
        if self.selected.as_ref().is_none_or(|agent| !self.rows.iter().any(|row| row.agent == *agent)) {
            self.selected = self.rows.first().map(|row| row.agent.clone());
        }
    }

    fn move_by(&mut self, step: isize) {
        let place = self.rows.iter().position(|row| self.selected.as_ref() == Some(&row.agent)).unwrap_or_default();
        let place = place.saturating_add_signed(step).min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(place).map(|row| row.agent.clone());
    }

    /// What stopping the agent does.
    fn question(&self, agent: &str) -> String {
        let count = self.sessions.get(agent).map_or(0, |sessions| sessions.count);
        let sessions = if count == 1 { "1 session that may act" } else { &format!("{count} sessions that may act") };
        format!(
            "Stop {}? All its sessions ({sessions} now) end for good, with those below them. Its keys stay: it can \
             begin a new session with one.",
            visible(agent)
        )
    }

    fn head(&self) -> Vec<Line> {
        let order = match self.order {
            Order::Calls => "calls",
            Order::Spending => "spending",
            Order::Refusals => "refusals",
            Order::Agent => "name",
        };
        let window = duration::shown(self.seconds.unsigned_abs());
        let missed = if self.missed { ", of the newest entries only" } else { "" };
        let text = format!("  {} · the last {window}{missed} · by {order}", self.rows.len());
        vec![Line::of(Style::Strong, "Agents").and(Style::Plain, &text), Line::default(), header()]
    }
}

/// Widths of the columns.
const AGENT: usize = 16;
const WIDTHS: [usize; 8] = [5, 6, 8, 5, 9, 16, 7, 5];
const HEADER: [&str; 8] = ["SESS", "CALLS", "REFUSED", "HELD", "COST", "SPENT", "USED", "LAST"];

fn header() -> Line {
    let line = Line::plain("  ").cell(Style::Faint, "AGENT", AGENT);
    HEADER.iter().zip(WIDTHS).fold(line, |line, (name, width)| line.number(Style::Faint, name, width))
}

impl Row {
    fn line(&self, now: UnixMicros, is_selected: bool, columns: usize) -> Line {
        let Self { agent, sessions, figures, is_stopped } = self;
        let amount = |amount: Money| if amount == Money::ZERO { "-".to_owned() } else { dollars(amount) };
        let (used, share) = match sessions.limit {
            Some(limit) => (percent(share_of(sessions.spent, limit)), share_of(sessions.spent, limit)),
            None => ("-".to_owned(), 0.0),
        };
        let budget = share_style(share).unwrap_or_default();
        let spent = match sessions.limit {
            // Its sessions were ended, and it has begun none since.
            _ if sessions.count == 0 && *is_stopped => (Style::Bad, "stopped".to_owned()),
            Some(limit) => (Style::Plain, format!("{} of {limit}", dollars(sessions.spent))),
            None => (Style::Plain, amount(sessions.spent)),
        };
        let refused = if figures.refusals > 0 { Style::Warn } else { Style::Plain };
        let cells = [
            (Style::Plain, sessions.count.to_string()),
            (Style::Plain, figures.calls.to_string()),
            (refused, figures.refusals.to_string()),
            (refused, figures.held.to_string()),
            (Style::Plain, amount(figures.cost)),
            spent,
            (budget, used),
            (Style::Faint, age(figures.last, now)),
        ];
        let mark = if is_selected { "> " } else { "  " };
        let line = Line::plain(mark).cell(Style::Plain, &visible(agent), AGENT);
        let line = cells.iter().zip(WIDTHS).fold(line, |line, ((style, text), width)| line.number(*style, text, width));
        if is_selected { line.marked(Style::Selected, columns) } else { line }
    }
}

/// How long ago something was.
fn age(at: UnixMicros, now: UnixMicros) -> String {
    let seconds = now.seconds_since(at).max(0);
    match seconds {
        _ if at.0 == 0 => "-".to_owned(),
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        _ => format!("{}h", seconds / HOUR),
    }
}

impl View for Top {
    type Update = Update;

    fn poll(&self) -> Job<Update> {
        let mut trail = self.trail.clone();
        Box::new(move |target: &Target| {
            let NewEntries { entries, missed } = trail.new_entries(target)?;
            let overview: Overview = target.read("getOverview", json!({}))?;
            Ok(Update::Activity { trail, entries, missed, sessions: overview.sessions.open })
        })
    }

    fn apply(&mut self, update: Update) {
        match update {
            Update::Activity { trail, entries, missed, sessions } => {
                self.window.add(entries);
                (self.trail, self.is_read) = (trail, true);
                self.missed |= missed;
                self.sessions.clear();
                for session in sessions {
                    let of_agent = self.sessions.entry(session.agent_id).or_default();
                    let is_first = of_agent.count == 0;
                    of_agent.count += 1;
                    of_agent.spent = of_agent.spent.saturating_add(session.spent);
                    of_agent.limit = match (of_agent.limit, session.spend_limit) {
                        (None, limit) if is_first => limit,
                        (Some(before), Some(limit)) => Some(before.saturating_add(limit)),
                        _ => None,
                    };
                }
            }
            Update::Stopped(agent, count) => {
                let sessions = if count == 1 { "session" } else { "sessions" };
                self.told = Some(format!("{}: {count} {sessions} ended", visible(&agent)));
            }
        }
    }

    fn lines(&mut self, size: Size) -> Vec<Line> {
        if !self.is_read {
            return vec![Line::of(Style::Faint, "asking haldir …")];
        }
        let now = SystemClock.now();
        self.window.begin_at(now.plus_seconds(-self.seconds));
        self.sort();
        let below: Vec<_> = match (&self.asks, &self.told) {
            (Some(agent), _) => {
                let lines = paragraph_lines(&self.question(agent), size.columns);
                lines.iter().map(|line| Line::of(Style::Warn, line)).collect()
            }
            (None, Some(told)) => vec![Line::of(Style::Good, told)],
            (None, None) => Vec::new(),
        };
        let mut lines = self.head();
        if self.rows.is_empty() {
            lines.push(Line::of(Style::Faint, "No agent has a session, or did anything. They appear here."));
        }
        let room = size.rows.saturating_sub(lines.len() + below.len() + 1);
        let place = self.rows.iter().position(|row| self.selected.as_ref() == Some(&row.agent)).unwrap_or_default();
        let first = (place + 1).saturating_sub(room);
        for row in self.rows.iter().skip(first).take(room) {
            lines.push(row.line(now, self.selected.as_ref() == Some(&row.agent), size.columns));
        }
        if !below.is_empty() {
            lines.resize_with(size.rows.saturating_sub(below.len()), Line::default);
            lines.extend(below);
        }
        lines
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        if self.asks.is_some() {
            return vec![("y", "stop it"), ("n", "do not")];
        }
        vec![
            ("↑↓", "select"),
            ("x", "stop the agent"),
            ("by: c", "calls"),
            ("s", "spending"),
            ("r", "refusals"),
            ("a", "name"),
        ]
    }

    fn press(&mut self, key: KeyEvent) -> Action<Update> {
        if let Some(agent) = self.asks.take() {
            if key.code != KeyCode::Char('y') {
                return Action::None;
            }
            return Action::Call(Box::new(move |target: &Target| {
                let input = json!({"agent_id": agent, "revoke_keys": false});
                let stopped: AgentStopped = target.read("stopAgent", input)?;
                Ok(Update::Stopped(agent, stopped.sessions_ended_count))
            }));
        }
        self.told = None;
        match key.code {
            KeyCode::Char('c') => self.order = Order::Calls,
            KeyCode::Char('s') => self.order = Order::Spending,
            KeyCode::Char('r') => self.order = Order::Refusals,
            KeyCode::Char('a') => self.order = Order::Agent,
            KeyCode::Char('x') => self.asks.clone_from(&self.selected),
            KeyCode::Down | KeyCode::Char('j') => self.move_by(1),
            KeyCode::Up | KeyCode::Char('k') => self.move_by(-1),
            _ => {}
        }
        Action::None
    }

    /// While it asks, `q` is a no.
    fn is_typing(&self) -> bool {
        self.asks.is_some()
    }
}
