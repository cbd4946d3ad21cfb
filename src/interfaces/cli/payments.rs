//! `haldir payments`: what agents were allowed to pay, and settling it.

mod list;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::{
    GlobalOptions, Screen, Stop,
    output::{amounts::dollars, line, printable, sentence},
    target::Target,
};
use crate::{error::Error, model::Money};

#[derive(Subcommand)]
pub enum PaymentsCommand {
    /// List payments that were authorized, newest first, and what became of them.
    #[command(
        after_help = "What was refused stands in haldir log --refused.\n\nExamples:\n  haldir payments list --open\n  haldir payments list --agent shopper \
                            --since 7d\n  haldir payments list --json | jq -r '.payments[].authorization_id'"
    )]
    List(list::ListOptions),
    /// Settle a payment: at what was really paid, or void, so that all of it returns to the budget.
    #[command(
        after_help = "Examples:\n  haldir payments settle auth_ubboQEgLF2N9Bt9NF0UBGw\n  haldir payments settle \
                            auth_ubboQEgLF2N9Bt9NF0UBGw --amount 27.50\n  haldir payments settle \
                            auth_ubboQEgLF2N9Bt9NF0UBGw --void"
    )]
    Settle(SettleOptions),
}

#[derive(Args)]
pub struct SettleOptions {
    /// The authorization, as `haldir payments list` shows it.
    #[arg(value_name = "AUTHORIZATION")]
    authorization: String,
    /// What was paid; the rest returns to the budget. Default: all of it.
    #[arg(long, allow_negative_numbers = true, value_name = "USD")]
    amount: Option<Money>,
    /// Nothing was paid.
    #[arg(long, conflicts_with = "amount")]
    void: bool,
}

/// Written as text at once, so that the amount stays exact.
#[derive(Serialize)]
struct Input<'a> {
    authorization_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Money>,
}

#[derive(Deserialize)]
struct Settled {
    captured: Money,
    returned: Money,
    currency: String,
}

pub fn run(command: &PaymentsCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    match command {
        PaymentsCommand::List(options) => list::run(options, global, screen),
        PaymentsCommand::Settle(options) => settle(options, global, screen),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// An amount as people read it.
fn in_currency(amount: Money, currency: &str) -> String {
    if currency == "USD" { dollars(amount) } else { format!("{amount} {currency}") }
}

fn settle(options: &SettleOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let input = Input { authorization_id: &options.authorization, amount: options.amount };
    let input = serde_json::to_string(&input).map_err(Error::internal)?;
    let operation = if options.void { "voidPayment" } else { "capturePayment" };
    let reply = Target::open(global)?.call(operation, &input)?;
    if screen.json {
        return line(&reply.body);
    }
    let Settled { captured, returned, currency } = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let id = &options.authorization;
    let (captured, returned) = (in_currency(captured, &currency), in_currency(returned, &currency));
    sentence(&printable(&if options.void {
        format!("voided {id}: {returned} returned to the budget")
    } else {
        format!("settled {id}: {captured} paid, {returned} returned to the budget")
    }))
}
