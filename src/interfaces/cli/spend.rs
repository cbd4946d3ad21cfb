//! `haldir spend`: what agents logged as cost, by agent, tool, session, day or month.

use std::{collections::BTreeMap, io, process::ExitCode};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    GlobalOptions, Screen, Stop,
    log::{parse_time, time},
    output::{amounts::dollars, line, note, printable, table},
    target::Target,
};
use crate::{
    error::{Error, Result},
    model::{Clock, Day, Money, Month, TimePoint, UnixMicros, month::MICROS_PER_DAY, time::SystemClock},
    watch::export_audit::no_formula,
};

pub const HELP: &str = "\
A line is what agents logged as cost. Payments that were authorized stand only in \
the last line; budgets count those and the costs of tools, and not what agents log. \
Days and months are those of UTC.

Examples:
  haldir spend
  haldir spend --agent research-bot --since yesterday --until today
  haldir spend --by tool --since 7d
  haldir spend --by day --agent research-bot --since 7d
  haldir spend --by month --csv > spend.csv
  haldir spend --by session --json | jq '.lines[0].usd'";

/// Days that are shown unless another time is asked for, today included.
const DAYS: i64 = 30;
/// Months, with this one.
const MONTHS: i64 = 12;
/// Days or months in one answer: each is asked for by itself.
const MAX_PERIODS: i64 = 400;

#[derive(Args)]
pub struct SpendOptions {
    /// What the lines are for.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = By::Agent)]
    by: By,
    /// Only this agent's.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only this session's.
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// From when on: a date, a date-time, how long ago such as 7d, today or yesterday. Default: of all time; with --by day the
    /// last 30 days, with --by month the last 12 months.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<String>,
    /// Until when; a day or month that it lies in counts. Default: now.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<String>,
    /// Write comma-separated values (RFC 4180).
    #[arg(long)]
    csv: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Agent,
    Tool,
    Session,
    Day,
    Month,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::Session => "session",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

#[derive(Deserialize)]
struct Spend {
    total_usd: Money,
    authorized_usd: Money,
    action_count: i64,
    by_agent: BTreeMap<String, Money>,
    by_tool: BTreeMap<String, Money>,
    by_session: BTreeMap<String, Money>,
    truncated: bool,
}

/// What the log's counters say of a day or a month.
#[derive(Deserialize)]
struct Period {
    total_usd: Money,
    truncated: bool,
}

/// An amount, and what it was for.
#[derive(Serialize)]
struct Line {
    name: String,
    usd: Money,
}

/// What is shown; for programs, all of it.
#[derive(Serialize)]
struct Shown {
    by: &'static str,
    lines: Vec<Line>,
    total_usd: Money,
    /// Of the same time; null where the lines are days or months.
    authorized_usd: Option<Money>,
    action_count: Option<i64>,
    truncated: bool,
}

pub fn run(options: &SpendOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let is_by_time = matches!(options.by, By::Day | By::Month);
    if options.csv && screen.json {
        return Err(Error::invalid("csv", "--csv and --json are two forms: give one of them").into());
    }
    let periods = if is_by_time { periods(options)? } else { Vec::new() };
    let target = Target::open(global)?;
    let shown = if is_by_time { by_time(options, &periods, &target)? } else { by_name(options, &target)? };
    if screen.json {
        line(&serde_json::to_string(&shown).map_err(Error::internal)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.csv {
        return csv(&shown);
    }
    let rows: Vec<_> = shown.lines.into_iter().map(|line| vec![line.name, dollars(line.usd)]).collect();
    if !rows.is_empty() {
        table(&[&options.by.name().to_uppercase(), "LOGGED COST"], &rows)?;
    }
    if shown.truncated {
        note("not everything is counted: there is more than one answer holds");
    }
    line(&match (shown.action_count, shown.authorized_usd) {
        (Some(actions), Some(authorized)) => {
            let (logged, authorized) = (dollars(shown.total_usd), dollars(authorized));
            format!("{logged} logged in {actions} actions; {authorized} of payments authorized")
        }
        _ => format!("{} logged", dollars(shown.total_usd)),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn by_name(options: &SpendOptions, target: &Target) -> Result<Shown> {
    let input = json!({
        "agent_id": options.agent, "session_id": options.session,
        "since": options.since.as_deref().map(time), "until": options.until.as_deref().map(time),
    })
    .to_string();
    let reply = target.call("getSpend", &input)?;
    let spend: Spend = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let lines = match options.by {
        By::Tool => spend.by_tool,
        By::Session => spend.by_session,
        By::Agent | By::Day | By::Month => spend.by_agent,
    };
    let mut lines: Vec<_> = lines.into_iter().map(|(name, usd)| Line { name, usd }).collect();
    // The most first; of as much, in the order of their names.
    lines.sort_by_key(|line| std::cmp::Reverse(line.usd));
    Ok(Shown {
        by: options.by.name(),
        lines,
        total_usd: spend.total_usd,
        authorized_usd: Some(spend.authorized_usd),
        action_count: Some(spend.action_count),
        truncated: spend.truncated,
    })
}

/// Days or months by name, each with the day that it begins with and the one after its end.
fn periods(options: &SpendOptions) -> Result<Vec<(String, i64, i64)>> {
    let today = Day::of(SystemClock.now());
    let day = |field: &str, text: &str| {
        let point: TimePoint = serde_json::from_str(&time(text).to_string())
            .map_err(|error| Error::invalid(field, format!("{field}: {error}")))?;
        Ok::<_, Error>(Day::of(point.micros()))
    };
    let first = options.since.as_deref().map(|text| day("since", text)).transpose()?;
    // A day that begins at the end is not in it.
    let end = options.until.as_deref().map(|text| day("until", text)).transpose()?;
    let begins_then = options.until.as_deref().is_some_and(is_midnight);
    let last = end.map_or(today, |end| if begins_then { Day(end.0 - 1) } else { end }).min(today);
    let (from, to) = if options.by == By::Month {
        (first.map_or(Month::of(last).0 + 1 - MONTHS, |day| Month::of(day).0), Month::of(last).0)
    } else {
        (first.map_or(last.0 + 1 - DAYS, |day| day.0), last.0)
    };
    if to - from >= MAX_PERIODS {
        let message =
            format!("there are more than {MAX_PERIODS} {}s in this time: ask for less with --since", options.by.name());
        return Err(Error::invalid("since", message));
    }
    let one = |number: i64| {
        if options.by == By::Month {
            (Month(number).to_string(), Month(number).first_day().0, Month(number + 1).first_day().0)
        } else {
            let date = UnixMicros(number.saturating_mul(MICROS_PER_DAY)).to_rfc3339();
            (date.chars().take("2026-11-21".len()).collect(), number, number + 1)
        }
    };
    Ok((from..=to).map(one).collect())
}

fn is_midnight(text: &str) -> bool {
    let point: Option<TimePoint> = serde_json::from_str(&time(text).to_string()).ok();
    point.is_some_and(|point| point.micros().0.rem_euclid(MICROS_PER_DAY) == 0)
}

/// The counters of the log are kept by day: a day and a month take one look each, however long the log is.
fn by_time(options: &SpendOptions, periods: &[(String, i64, i64)], target: &Target) -> Result<Shown> {
    let (mut lines, mut total, mut truncated) = (Vec::new(), Money::ZERO, false);
    for (name, first, end) in periods {
        let seconds = |day: &i64| day.saturating_mul(MICROS_PER_DAY / 1_000_000).max(0);
        let input = json!({
            "agent_id": options.agent, "session_id": options.session, "since": seconds(first), "until": seconds(end),
        });
        let reply = target.call("getAuditStats", &input.to_string())?;
        let period: Period = serde_json::from_str(&reply.body).map_err(Error::internal)?;
        total = total.saturating_add(period.total_usd);
        // Those of the agents that are counted for it, which is nothing of the sum, unless it is one session's.
        truncated |= period.truncated && options.session.is_some();
        lines.push(Line { name: name.clone(), usd: period.total_usd });
    }
    Ok(Shown { by: options.by.name(), lines, total_usd: total, authorized_usd: None, action_count: None, truncated })
}

fn csv(shown: &Shown) -> Result<ExitCode, Stop> {
    let mut writer = csv::Writer::from_writer(io::stdout().lock());
    let broken = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Stop::Output(error),
        other => Stop::Error(Error::internal(format!("{other:?}"))),
    };
    writer.write_record([shown.by, "usd"]).map_err(broken)?;
    for Line { name, usd } in &shown.lines {
        // Agents choose their names: what a spreadsheet takes for a formula is none, and no terminal obeys them.
        writer.write_record([no_formula(&printable(name)).as_ref(), &usd.to_string()]).map_err(broken)?;
    }
    writer.flush()?;
    Ok(ExitCode::SUCCESS)
}
