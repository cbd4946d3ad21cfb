//! `haldir log`: what happened, for people. A call of an upstream's tool is one line, with its arguments and its outcome;
//! the audit log has an entry for its beginning and one for its end.

mod following;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::{
    CommandError, GlobalOptions, live,
    output::{columns, fits_whole, line, note, printable, row, shortened, table_or, when},
    target::Target,
    trail::Trail,
};
use crate::{
    config::duration::parse_seconds,
    error::{Error, Result},
    interfaces::history::{Event, History, LogPage},
    model::{Clock, Day, TimePoint, time::SystemClock},
};

/// Entries in one answer of the audit log.
const PAGE: usize = 500;
/// Entries that are looked at for those that are wanted.
const MAX_SEEN: usize = 20_000;
/// Characters of arguments that a line shows.
const MAX_SHOWN_CHARS: usize = 200;

/// What a time may look like.
const EXPECTED_TIME: &str = "expected a date such as 2026-11-21 (midnight UTC), a date-time such as 2026-11-21T09:30:00Z, today, \
                             yesterday, or how long ago, such as 1h or 7d";

/// Columns that the fields of a line may have in front of its arguments, where a table is too wide.
const MOST: [usize; 5] = [40, 20, 16, 32, 14];
const HEADER: [&str; 7] = ["ENTRY", "TIME", "AGENT", "WHAT", "OUTCOME", "ARGUMENTS", "WHY"];

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LogArguments {
    #[command(flatten)]
    options: LogOptions,
    #[command(subcommand)]
    command: Option<LogCommand>,
}

#[derive(Subcommand)]
enum LogCommand {
    /// Show all of an entry: who, when, what, the arguments, the steps of its decision, and its hashes.
    Show(show::ShowOptions),
}

/// Which entries of the log are wanted, as the operations take it.
#[derive(Args, Serialize)]
pub struct EntryFilter {
    /// Only entries of this agent.
    #[arg(long = "agent", value_name = "AGENT")]
    agent_id: Option<String>,
    /// Only entries of this session.
    #[arg(long = "session", value_name = "SESSION")]
    session_id: Option<String>,
    /// Only entries of this tool, such as github.search; haldir's own decisions bear the tool haldir.
    #[arg(long, value_name = "TOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Only entries since then: a date, a date-time, or how long ago, such as 1h or 7d.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Value>,
    /// Only entries before then, in the same forms.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Value>,
    /// Only entries that were flagged as anomalous.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flagged: bool,
}

impl EntryFilter {
    /// As JSON: the fields of an operation's input.
    pub fn input(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(Error::internal)
    }
}

#[derive(Args)]
pub struct LogOptions {
    #[command(flatten)]
    filter: EntryFilter,
    /// Only what was refused, or waits for a decision.
    #[arg(long)]
    refused: bool,
    /// Show the ids of entries, for `haldir log show`.
    #[arg(long)]
    ids: bool,
    /// How many lines at most.
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u16).range(1..=10_000))]
    lines: u16,
    /// Stay, and show what happens as it does, until Ctrl-C. With --json one event on each line.
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
    /// How often to ask haldir what is new, from 1s to 1h. Each time counts as a call where calls are limited.
    #[arg(long, requires = "follow", value_name = "DURATION", default_value = live::EVERY, value_parser = live::every())]
    every: u64,
}

fn json_of(event: &Event) -> Value {
    let Event { entry, outcome, reason, .. } = event;
    json!({
        "entry_id": entry.id, "at": entry.timestamp.to_rfc3339(), "agent_id": entry.agent_id,
        "session_id": entry.session_id, "tool": entry.tool, "action": entry.action, "arguments": event.arguments(),
        "outcome": outcome, "reason": reason, "flag_reason": entry.flag_reason, "actor": entry.actor,
        "cost_usd": entry.cost_usd, "request_id": event.request(),
    })
}

/// The cells of an event; without ids the first is left out.
fn row_of(event: &Event, ids: bool) -> Vec<String> {
    let Event { entry, outcome, .. } = event;
    let arguments = match event.arguments() {
        Value::Null => String::new(),
        value => shortened(&value.to_string(), MAX_SHOWN_CHARS),
    };
    let flagged = if entry.flag_reason.is_empty() { String::new() } else { format!("flagged: {}", entry.flag_reason) };
    let why: Vec<_> = [event.why(), flagged].into_iter().filter(|text| !text.is_empty()).collect();
    let id = ids.then(|| entry.id.clone());
    let rest =
        [when(entry.timestamp), entry.agent_id.clone(), event.what(), outcome.clone(), arguments, why.join("; ")];
    id.into_iter().chain(rest).collect()
}

/// Reads a time as the operations take it: a duration lies so long before now; `today` and `yesterday` begin at midnight
/// UTC.
pub fn parse_time(text: &str) -> Result<Value, String> {
    let begin = |day: i64| json!(Day(day).start().as_seconds());
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic() && c != 'Z');
    let now = SystemClock.now();
    match (text, parse_seconds(text)) {
        ("today", _) => Ok(begin(Day::of(now).0)),
        ("yesterday", _) => Ok(begin(Day::of(now).0 - 1)),
        (_, Ok(seconds)) if has_unit => Ok(json!(now.plus_seconds(-seconds).as_seconds())),
        (_, Ok(seconds)) => Ok(json!(seconds)),
        _ if serde_json::from_value::<TimePoint>(json!(text)).is_ok() => Ok(json!(text)),
        _ => Err(EXPECTED_TIME.to_owned()),
    }
}

/// What was read: events, the newest first, whether there are more, and the number of the newest entry.
struct ReadEvents {
    found: Vec<Event>,
    more: bool,
    newest: i64,
}

fn read(options: &LogOptions, filter: &Value, target: &Target) -> Result<ReadEvents> {
    let mut history = History::new(options.filter.flagged);
    let (mut found, mut seen, mut cursor, mut newest) = (Vec::new(), 0, None::<String>, 0);
    let wanted = usize::from(options.lines);
    loop {
        let mut input = filter.clone();
        (input["limit"], input["cursor"]) = (PAGE.into(), cursor.into());
        let page: LogPage = target.read("getAuditTrail", input)?;
        seen += page.entries.len();
        newest = page.entries.iter().map(|entry| entry.seq).fold(newest, i64::max);
        let happened = page.entries.into_iter().filter_map(|entry| history.read(entry));
        found.extend(happened.filter(|event| !options.refused || event.is_refused()));
        if found.len() >= wanted || seen >= MAX_SEEN {
            let more = found.len() > wanted || page.next_cursor.is_some();
            found.truncate(wanted);
            return Ok(ReadEvents { found, more, newest });
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(ReadEvents { found, more: false, newest });
        }
    }
}

pub fn run_command(arguments: &LogArguments, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    match &arguments.command {
        Some(LogCommand::Show(options)) => show::run(options, global).map(|()| ExitCode::SUCCESS),
        None => run(&arguments.options, global),
    }
}

pub fn run(options: &LogOptions, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let (target, filter) = (Target::open(global)?, options.filter.input()?);
    let ReadEvents { mut found, more, newest } = read(options, &filter, &target)?;
    found.reverse();
    if options.follow {
        return following::run(options, Trail::behind(newest, filter), &found, target, global);
    }
    show_events(options, &found, more, global)?;
    Ok(ExitCode::SUCCESS)
}

fn show_events(options: &LogOptions, found: &[Event], more: bool, global: &GlobalOptions) -> Result<(), CommandError> {
    if global.json {
        let entries: Vec<_> = found.iter().map(json_of).collect();
        return line(&json!({"entries": entries, "more": more}).to_string());
    }
    if more && !found.is_empty() {
        note("there is more: -n for more lines, --since for a time");
    }
    let rows: Vec<_> = found.iter().map(|event| row_of(event, options.ids)).collect();
    let header = &HEADER[usize::from(!options.ids)..];
    match columns() {
        Some(width) if !rows.is_empty() && !fits_whole(header, &rows, width) => listed(header, &rows, options.ids),
        _ => table_or("nothing of the kind is in the log", header, rows),
    }
}

/// Events where a table is too wide: one line each, or some more for long arguments, which go on below over the whole width.
fn listed(header: &[&str], rows: &[Vec<String>], ids: bool) -> Result<(), CommandError> {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let most = &MOST[usize::from(!ids)..];
    let widest = |column: usize| {
        let cells = rows.iter().chain([&header]).filter_map(|row| row.get(column));
        cells.map(|cell| printable(cell).width()).max().unwrap_or_default()
    };
    let mut widths: Vec<_> = most.iter().enumerate().map(|(column, most)| widest(column).min(*most)).collect();
    widths.extend([0, 0]);
    row(&header, &widths)?;
    rows.iter().try_for_each(|cells| row(cells, &widths))
}
