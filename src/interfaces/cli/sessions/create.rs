//! `haldir sessions create`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::{Screen, Stop, output::line, target::Target};
use crate::{
    config::duration::parse_seconds,
    error::{Error, Result},
    model::Money,
};

pub const HELP: &str = "\
The session's id goes to standard output: the agent names it in its calls.

Examples:
  haldir sessions create intern --spend 5 --for 1h
  haldir sessions create research-bot --spend-a-day 20 --for 30d";

#[derive(Args)]
pub struct CreateOptions {
    /// The agent's name. What it does in the session is logged under it.
    #[arg(value_name = "AGENT")]
    agent: String,
    /// What the session may do, with commas between. Default: read and browse, and spend if --spend is given.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    scopes: Vec<String>,
    /// The most that it may spend, in USD: payments and the costs of tools.
    #[arg(long, value_name = "USD", value_parser = amount)]
    spend: Option<Money>,
    /// The most that it and the agent's other sessions with such a limit may spend in a UTC day, in USD.
    #[arg(long, value_name = "USD", value_parser = amount)]
    spend_a_day: Option<Money>,
    /// How long it lasts, such as 30m, 1h or 7d; 0 is for good.
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = parse_seconds)]
    lasts: i64,
    /// The session that delegates to it; the new one stays within that one's scopes and budget.
    #[arg(long, value_name = "SESSION")]
    parent: Option<String>,
}

fn amount(text: &str) -> std::result::Result<Money, String> {
    text.parse().map_err(|problem| format!("`{text}` is no amount in USD: {problem}"))
}

fn input(options: &CreateOptions) -> Result<String> {
    let mut input = Map::new();
    input.insert("agent_id".to_owned(), json!(options.agent));
    input.insert("ttl".to_owned(), json!(options.lasts));
    let may_spend = options.spend.is_some() || options.spend_a_day.is_some();
    if !options.scopes.is_empty() {
        input.insert("scopes".to_owned(), json!(options.scopes));
    } else if may_spend {
        input.insert("scopes".to_owned(), json!(["read", "browse", "spend"]));
    }
    if let Some(parent) = &options.parent {
        input.insert("parent_session_id".to_owned(), json!(parent));
    }
    for (name, amount) in [("spend_limit", options.spend), ("daily_spend_limit", options.spend_a_day)] {
        if let Some(amount) = amount {
            input.insert(name.to_owned(), serde_json::to_value(amount).map_err(Error::internal)?);
        }
    }
    Ok(Value::Object(input).to_string())
}

pub fn run(options: &CreateOptions, target: &Target, screen: Screen) -> std::result::Result<(), Stop> {
    let reply = target.call("createSession", &input(options)?)?;
    if screen.json {
        return line(&reply.body);
    }
    let answer: Value = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    line(answer["session_id"].as_str().unwrap_or_default())
}
