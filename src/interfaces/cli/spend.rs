//! `haldir spend`: what agents logged as cost, by agent, tool, session, day or month.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    CommandError, GlobalOptions,
    log::parse_time,
    output::{amounts::dollars, line, note, printable, table, word},
    target::Target,
};
use crate::{
    error::{Error, Result},
    model::{Clock, Day, Money, Month, TimePoint, month::MICROS_PER_DAY, time::SystemClock},
    watch::{
        get_audit_stats::AuditStats,
        get_spend::{Spend, csv},
    },
};

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
    since: Option<Value>,
    /// Until when; a day or month that it lies in counts. Default: now.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Value>,
    /// Write comma-separated values (RFC 4180).
    #[arg(long)]
    csv: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum By {
    Agent,
    Tool,
    Session,
    Day,
    Month,
}

/// An amount, and what it was for.
#[derive(Serialize)]
struct Amount {
    name: String,
    usd: Money,
}

/// What is shown; for programs, all of it.
#[derive(Serialize)]
struct Report {
    by: By,
    lines: Vec<Amount>,
    total_usd: Money,
    /// Of the same time; null where the lines are days or months.
    authorized_usd: Option<Money>,
    action_count: Option<i64>,
    truncated: bool,
}

pub fn run(options: &SpendOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let is_by_time = matches!(options.by, By::Day | By::Month);
    if options.csv && global.json {
        return Err(Error::invalid("csv", "--csv and --json are two forms: give one of them").into());
    }
    let periods = if is_by_time { periods(options)? } else { Vec::new() };
    let target = Target::open(global)?;
    let report = if is_by_time { by_time(options, &periods, &target)? } else { by_name(options, &target)? };
    if global.json {
        return line(&serde_json::to_string(&report).map_err(Error::internal)?);
    }
    if options.csv {
        // No terminal obeys a name.
        let lines = report.lines.iter().map(|line| (printable(&line.name), line.usd));
        let mut output = io::stdout().lock();
        output.write_all(&csv(&word(report.by), lines)?)?;
        return Ok(output.flush()?);
    }
    let rows: Vec<_> = report.lines.into_iter().map(|line| vec![line.name, dollars(line.usd)]).collect();
    if !rows.is_empty() {
        table(&[&word(options.by).to_uppercase(), "LOGGED COST"], &rows)?;
    }
    if report.truncated {
        note("not everything is counted: there is more than one answer holds");
    }
    let logged = dollars(report.total_usd);
    line(&match (report.action_count, report.authorized_usd) {
        (Some(actions), Some(authorized)) => {
            format!("{logged} logged in {actions} actions; {} of payments authorized", dollars(authorized))
        }
        _ => format!("{logged} logged"),
    })
}

fn by_name(options: &SpendOptions, target: &Target) -> Result<Report> {
    let spend: Spend = target.read(
        "getSpend",
        json!({"agent_id": options.agent, "session_id": options.session, "since": options.since, "until": options.until}),
    )?;
    let lines = match options.by {
        By::Tool => spend.by_tool,
        By::Session => spend.by_session,
        By::Agent | By::Day | By::Month => spend.by_agent,
    };
    let mut lines: Vec<_> = lines.into_iter().map(|(name, usd)| Amount { name, usd }).collect();
    // The most first; of as much, in the order of their names.
    lines.sort_by_key(|line| std::cmp::Reverse(line.usd));
    Ok(Report {
        by: options.by,
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
    let point = |field: &str, value: &Option<Value>| {
        let point = value.clone().map(serde_json::from_value::<TimePoint>).transpose();
        point.map_err(|error| Error::invalid(field, format!("{field}: {error}")))
    };
    let first = point("since", &options.since)?.map(|since| Day::of(since.micros()));
    let until = point("until", &options.until)?.map(TimePoint::micros);
    // A day that begins at the end is not in it.
    let last = until.map_or(today, |until| Day((until.0 - 1).div_euclid(MICROS_PER_DAY))).min(today);
    let (from, to) = if options.by == By::Month {
        (first.map_or(Month::of(last).0 + 1 - MONTHS, |day| Month::of(day).0), Month::of(last).0)
    } else {
        (first.map_or(last.0 + 1 - DAYS, |day| day.0), last.0)
    };
    if to - from >= MAX_PERIODS {
        let message =
            format!("there are more than {MAX_PERIODS} {}s in this time: ask for less with --since", word(options.by));
        return Err(Error::invalid("since", message));
    }
    let one = |number: i64| {
        if options.by == By::Month {
            (Month(number).to_string(), Month(number).first_day().0, Month(number + 1).first_day().0)
        } else {
            (Day(number).to_string(), number, number + 1)
        }
    };
    Ok((from..=to).map(one).collect())
}

/// The counters of the log are kept by day: a day and a month take one look each, however long the log is.
fn by_time(options: &SpendOptions, periods: &[(String, i64, i64)], target: &Target) -> Result<Report> {
    let (mut lines, mut total, mut truncated) = (Vec::new(), Money::ZERO, false);
    for (name, first, end) in periods {
        let seconds = |day: &i64| Day(*day).start().as_seconds().max(0);
        let input = json!({
            "agent_id": options.agent, "session_id": options.session, "since": seconds(first), "until": seconds(end),
        });
        let period: AuditStats = target.read("getAuditStats", input)?;
        total = total.saturating_add(period.total_usd);
        // Those of the agents that are counted for it, which is nothing of the sum, unless it is one session's.
        truncated |= period.truncated && options.session.is_some();
        lines.push(Amount { name: name.clone(), usd: period.total_usd });
    }
    Ok(Report { by: options.by, lines, total_usd: total, authorized_usd: None, action_count: None, truncated })
}
