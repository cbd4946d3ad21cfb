//! `haldir payments list`: from the audit log, which has an entry for each authorization and for each settlement.

use std::collections::HashMap;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::super::{
    GlobalOptions, Screen, Stop,
    log::time,
    output::{line, note, table},
    target::Target,
};
use crate::{
    error::{Error, Result},
    model::{Money, UnixMicros},
};

/// Entries in one answer of the audit log.
const PAGE: usize = 500;
/// Entries of haldir's own that are looked at for payments.
const MAX_SEEN: usize = 20_000;
/// The tool of haldir's own entries.
const HALDIR: &str = "haldir";

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
    /// Only those authorized or settled since then: a date, a date-time, or how long ago, such as 7d.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many at most.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100,
        value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Entry>,
    next_cursor: Option<Value>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    action: String,
    #[serde(default)]
    agent_id: String,
    timestamp: UnixMicros,
    /// As text, so that amounts stay exact.
    details: Option<Box<RawValue>>,
}

/// What the entry of an authorization or a settlement says.
#[derive(Deserialize)]
struct Details {
    authorization_id: String,
    amount: Money,
    currency: String,
    session_id: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    captured: Option<Money>,
}

/// A payment, for programs.
#[derive(Serialize)]
struct Payment {
    authorization_id: String,
    agent_id: String,
    session_id: String,
    /// `open`, `captured` or `voided`.
    status: &'static str,
    amount: Money,
    captured: Option<Money>,
    currency: String,
    description: String,
    authorized_at: UnixMicros,
    settled_at: Option<UnixMicros>,
}

#[derive(Serialize)]
struct Listed {
    payments: Vec<Payment>,
    more: bool,
}

/// How payments were settled, by their ids: that comes first, since the log is read from its end.
#[derive(Default)]
struct Settlements(HashMap<String, (&'static str, Option<Money>, UnixMicros)>);

impl Settlements {
    /// The payment that an entry authorized.
    fn read(&mut self, entry: Entry) -> Option<Payment> {
        let is = |action: &str| entry.action == action;
        if !is("payment.authorize") && !is("payment.capture") && !is("payment.void") {
            return None;
        }
        let details: Details = serde_json::from_str(entry.details.as_ref()?.get()).ok()?;
        let status = if is("payment.void") { "voided" } else { "captured" };
        if !is("payment.authorize") {
            self.0.insert(details.authorization_id, (status, details.captured, entry.timestamp));
            return None;
        }
        let settled = self.0.remove(&details.authorization_id);
        let (status, captured, settled_at) =
            settled.map_or(("open", None, None), |(status, captured, at)| (status, captured, Some(at)));
        Some(Payment {
            authorization_id: details.authorization_id,
            agent_id: entry.agent_id,
            session_id: details.session_id,
            status,
            amount: details.amount,
            captured,
            currency: details.currency,
            description: details.description.unwrap_or_default(),
            authorized_at: entry.timestamp,
            settled_at,
        })
    }
}

fn read(options: &ListOptions, target: &Target) -> Result<Listed> {
    let (mut payments, mut settlements) = (Vec::new(), Settlements::default());
    let (mut seen, mut cursor, wanted) = (0, Value::Null, usize::from(options.limit));
    loop {
        let input = json!({
            "agent_id": options.agent, "session_id": options.session, "tool": HALDIR,
            "since": options.since.as_deref().map(time), "limit": PAGE, "cursor": cursor,
        });
        let reply = target.call("getAuditTrail", &input.to_string())?;
        let page: Page = serde_json::from_str(&reply.body).map_err(Error::internal)?;
        seen += page.entries.len();
        let found = page.entries.into_iter().filter_map(|entry| settlements.read(entry));
        payments.extend(found.filter(|payment| !options.open || payment.status == "open"));
        if payments.len() > wanted || (seen >= MAX_SEEN && page.next_cursor.is_some()) {
            payments.truncate(wanted);
            return Ok(Listed { payments, more: true });
        }
        match page.next_cursor {
            Some(next) => cursor = next,
            None => return Ok(Listed { payments, more: false }),
        }
    }
}

pub fn run(options: &ListOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let listed = read(options, &Target::open(global)?)?;
    if screen.json {
        return line(&serde_json::to_string(&listed).map_err(Error::internal)?);
    }
    if listed.payments.is_empty() {
        line(if options.open { "no payment waits to be settled" } else { "no payment was authorized" })?;
    } else {
        let rows: Vec<_> = listed.payments.into_iter().map(row).collect();
        table(&["AUTHORIZATION", "AGENT", "AMOUNT", "STATE", "FOR", "AUTHORIZED"], &rows)?;
    }
    if listed.more {
        note(
            "there may be older ones: -n for more, --since for a time, --agent or --session for fewer entries to look at",
        );
    }
    Ok(())
}

fn row(payment: Payment) -> Vec<String> {
    let state = match payment.captured {
        Some(captured) if payment.status == "captured" => format!("paid {captured}"),
        _ => payment.status.to_owned(),
    };
    let amount = format!("{} {}", payment.amount, payment.currency);
    let at = payment.authorized_at.to_rfc3339();
    vec![payment.authorization_id, payment.agent_id, amount, state, payment.description, at]
}
