//! `haldir log`: what happened, for people. A call of an upstream's tool is one line, with its arguments and what came of it;
//! the audit log has an entry for its beginning and one for its end.

mod following;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::{
    GlobalOptions, Screen, Stop, live,
    output::{columns, fits_whole, line, note, printable, row, table, when},
    target::Target,
    trail::Trail,
};
use crate::{
    config::duration::parse_seconds,
    error::{Error, Result},
    interfaces::history::{Entry, Event, History},
    model::{Clock, Day, TimePoint, month::MICROS_PER_DAY, time::SystemClock},
};

pub const HELP: &str = "\
The newest is at the bottom. Times are UTC. haldir log show ENTRY shows all of an \
entry, with the steps of its decision and its hashes; --ids shows the ids.

Examples:
  haldir log
  haldir log --agent research-bot --since 1h
  haldir log --refused --since 7d
  haldir log --follow
  haldir log --ids -n 5
  haldir log --tool github.create_issue -n 100 --json | jq '.entries[].reason'";

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
    #[command(after_help = "Examples:\n  haldir log show aud_AAAAAAABqK8mXDBhzVn2oPq1\n  haldir log show \
                            aud_AAAAAAABqK8mXDBhzVn2oPq1 --json | \\\n    jq .details")]
    Show(show::ShowOptions),
}

#[derive(Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a flag.
pub struct LogOptions {
    /// Only what this agent did.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only what happened in this session.
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// Only this tool, such as github.search; haldir's own decisions bear the tool haldir.
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// Only what happened since then: a date, a date-time, or how long ago, such as 1h or 7d.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<String>,
    /// Only what happened before then, in the same forms.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<String>,
    /// Only what was refused, or waits for a decision.
    #[arg(long)]
    refused: bool,
    /// Only what was flagged as anomalous.
    #[arg(long)]
    flagged: bool,
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

#[derive(Deserialize)]
struct Page {
    entries: Vec<Entry>,
    next_cursor: Option<Value>,
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
        value => short(&value.to_string()),
    };
    let flagged = if entry.flag_reason.is_empty() { String::new() } else { format!("flagged: {}", entry.flag_reason) };
    let why: Vec<_> = [event.why(), flagged].into_iter().filter(|text| !text.is_empty()).collect();
    let id = ids.then(|| entry.id.clone());
    let rest =
        [when(entry.timestamp), entry.agent_id.clone(), event.what(), outcome.clone(), arguments, why.join("; ")];
    id.into_iter().chain(rest).collect()
}

fn short(text: &str) -> String {
    let shown: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    if shown.len() < text.len() { format!("{shown}…") } else { shown }
}

/// A time as the audit log takes it: what is a duration lies so long before now; `today` and `yesterday` begin at midnight UTC.
pub fn time(text: &str) -> Value {
    let today = Day::of(SystemClock.now()).0;
    let begin = |day: i64| json!(day.saturating_mul(MICROS_PER_DAY / 1_000_000));
    match text {
        "today" => return begin(today),
        "yesterday" => return begin(today - 1),
        _ => {}
    }
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic() && c != 'Z');
    match parse_seconds(text) {
        Ok(seconds) if has_unit => json!(SystemClock.now().plus_seconds(-seconds).as_seconds()),
        Ok(seconds) => json!(seconds),
        Err(_) => json!(text),
    }
}

/// Lets through what [`time`] can read.
pub fn parse_time(text: &str) -> std::result::Result<String, String> {
    let is_day = matches!(text, "today" | "yesterday");
    let is_time = is_day || parse_seconds(text).is_ok() || serde_json::from_value::<TimePoint>(json!(text)).is_ok();
    if is_time { Ok(text.to_owned()) } else { Err(EXPECTED_TIME.to_owned()) }
}

/// What was read: events, the newest first, whether there are more, and the number of the newest entry.
struct Read {
    found: Vec<Event>,
    more: bool,
    newest: i64,
}

/// Which entries are looked at.
fn filter(options: &LogOptions) -> Value {
    json!({
        "agent_id": options.agent, "session_id": options.session, "tool": options.tool,
        "since": options.since.as_deref().map(time), "until": options.until.as_deref().map(time),
        "flagged": options.flagged.then_some(true),
    })
}

fn read(options: &LogOptions, filter: &Value, target: &Target) -> Result<Read> {
    let mut history = History::new(options.flagged);
    let (mut found, mut seen, mut cursor, mut newest) = (Vec::new(), 0, Value::Null, 0);
    let wanted = usize::from(options.lines);
    loop {
        let mut input = filter.clone();
        (input["limit"], input["cursor"]) = (PAGE.into(), cursor);
        let reply = target.call("getAuditTrail", &input.to_string())?;
        let page: Page = serde_json::from_str(&reply.body).map_err(Error::internal)?;
        seen += page.entries.len();
        newest = page.entries.iter().map(|entry| entry.seq).fold(newest, i64::max);
        let happened = page.entries.into_iter().filter_map(|entry| history.read(entry));
        found.extend(happened.filter(|event| !options.refused || event.is_refused()));
        if found.len() >= wanted || seen >= MAX_SEEN {
            let more = found.len() > wanted || page.next_cursor.is_some();
            found.truncate(wanted);
            return Ok(Read { found, more, newest });
        }
        match page.next_cursor {
            Some(next) => cursor = next,
            None => return Ok(Read { found, more: false, newest }),
        }
    }
}

pub fn run_command(arguments: &LogArguments, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    match &arguments.command {
        Some(LogCommand::Show(options)) => show::run(options, global, screen),
        None => run(&arguments.options, global, screen),
    }
}

pub fn run(options: &LogOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let (target, filter) = (Target::open(global)?, filter(options));
    let Read { mut found, more, newest } = read(options, &filter, &target)?;
    found.reverse();
    if options.follow {
        return following::run(options, Trail::behind(newest, filter), &found, target, screen);
    }
    if screen.json {
        let entries: Vec<_> = found.iter().map(json_of).collect();
        line(&json!({"entries": entries, "more": more}).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        line("nothing of the kind is in the log")?;
        return Ok(ExitCode::SUCCESS);
    }
    if more {
        note("there is more: -n for more lines, --since for a time");
    }
    let rows: Vec<_> = found.iter().map(|event| row_of(event, options.ids)).collect();
    let header = &HEADER[usize::from(!options.ids)..];
    match columns() {
        Some(width) if !fits_whole(header, &rows, width) => listed(header, &rows, options.ids)?,
        _ => table(header, &rows)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Events where a table is too wide: one line each, or some more for long arguments, which go on below over the whole width.
fn listed(header: &[&str], rows: &[Vec<String>], ids: bool) -> Result<(), Stop> {
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
