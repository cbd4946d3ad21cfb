//! `haldir payments list`.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::{
    super::{
        GlobalOptions, Screen, Stop,
        log::{parse_time, time},
        output::{line, note, table, when},
        target::Target,
    },
    in_currency,
};
use crate::{
    error::Error,
    model::{Money, UnixMicros},
};

#[derive(Args)]
pub struct ListOptions {
    /// Only this agent's.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only this session's.
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// Only those that are not settled yet.
    #[arg(long)]
    open: bool,
    /// Only those authorized since then: a date, a date-time, or how long ago, such as 7d.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<String>,
    /// Only those authorized before then, in the same forms.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<String>,
    /// How many at most.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100,
        value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// Where the last answer ended: its `next_cursor`.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    payments: Vec<Payment>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Payment {
    authorization_id: String,
    agent_id: String,
    status: String,
    amount: Money,
    captured: Option<Money>,
    currency: String,
    description: String,
    created_at: UnixMicros,
}

pub fn run(options: &ListOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let input = json!({
        "agent_id": options.agent, "session_id": options.session, "open": options.open,
        "since": options.since.as_deref().map(time), "until": options.until.as_deref().map(time),
        "limit": options.limit, "cursor": options.cursor,
    });
    let reply = Target::open(global)?.call("listPayments", &input.to_string())?;
    if screen.json {
        return line(&reply.body);
    }
    let listed: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.payments.is_empty() {
        line(if options.open { "no payment waits to be settled" } else { "no payment was authorized" })?;
    } else {
        let rows: Vec<_> = listed.payments.into_iter().map(row).collect();
        table(&["AUTHORIZATION", "AGENT", "AMOUNT", "STATE", "FOR", "AUTHORIZED"], &rows)?;
    }
    if let Some(cursor) = listed.next_cursor {
        note(&format!("there are more: --cursor {cursor}"));
    }
    Ok(())
}

fn row(payment: Payment) -> Vec<String> {
    let state = match (payment.status.as_str(), payment.captured) {
        ("captured", Some(captured)) => format!("paid {}", in_currency(captured, &payment.currency)),
        ("authorized", _) => "open".to_owned(),
        (other, _) => other.to_owned(),
    };
    let amount = in_currency(payment.amount, &payment.currency);
    let at = when(payment.created_at);
    vec![payment.authorization_id, payment.agent_id, amount, state, payment.description, at]
}
