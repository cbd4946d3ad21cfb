//! `haldir payments`: what agents were allowed to pay, and settling it.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    CommandError, GlobalOptions,
    log::parse_time,
    output::{amounts::dollars, note_more, printable, sentence, table_or, when},
};
use crate::{
    model::{AuthorizationStatus, Money},
    vault::{
        capture_payment::PaymentSettled,
        list_payments::{PaymentDetail, PaymentList},
    },
};

#[derive(Subcommand)]
pub enum PaymentsCommand {
    /// List payments that were authorized, newest first, and what became of them.
    List(ListOptions),
    /// Settle a payment: at what was really paid, or void, so that all of it returns to the budget.
    Settle(SettleOptions),
}

/// The input of `listPayments`.
#[derive(Args, Serialize)]
pub struct ListOptions {
    /// Only this agent's.
    #[arg(long = "agent", value_name = "AGENT")]
    agent_id: Option<String>,
    /// Only this session's.
    #[arg(long = "session", value_name = "SESSION")]
    session_id: Option<String>,
    /// Only those that are not settled yet.
    #[arg(long)]
    open: bool,
    /// Only those authorized since then: a date, a date-time, or how long ago, such as 7d.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Value>,
    /// Only those authorized before then, in the same forms.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Value>,
    /// How many at most.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100,
        value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// Where the last answer ended: its `next_cursor`.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// The input of `capturePayment`, unless the payment is voided.
#[derive(Args, Serialize)]
pub struct SettleOptions {
    /// The authorization, as `haldir payments list` shows it.
    #[arg(value_name = "AUTHORIZATION")]
    authorization_id: String,
    /// What was paid; the rest returns to the budget. Default: all of it.
    #[arg(long, allow_negative_numbers = true, value_name = "USD")]
    amount: Option<Money>,
    /// Nothing was paid.
    #[arg(long, conflicts_with = "amount")]
    #[serde(skip)]
    void: bool,
}

pub fn run(command: &PaymentsCommand, global: &GlobalOptions) -> Result<(), CommandError> {
    match command {
        PaymentsCommand::List(options) => global.show("listPayments", options, |list: PaymentList| {
            let none = if options.open { "no payment waits to be settled" } else { "no payment was authorized" };
            let header = ["AUTHORIZATION", "AGENT", "AMOUNT", "STATE", "FOR", "AUTHORIZED"];
            table_or(none, &header, list.payments.into_iter().map(row))?;
            note_more(list.next_cursor.as_deref());
            Ok(())
        }),
        PaymentsCommand::Settle(SettleOptions { authorization_id, void: true, .. }) => {
            let input = json!({"authorization_id": authorization_id});
            global.show("voidPayment", input, |settled: PaymentSettled| {
                let returned = in_currency(settled.returned, &settled.currency);
                sentence(&printable(&format!("voided {authorization_id}: {returned} returned to the budget")))
            })
        }
        PaymentsCommand::Settle(options) => global.show("capturePayment", options, |settled: PaymentSettled| {
            let [paid, returned] =
                [settled.captured, settled.returned].map(|amount| in_currency(amount, &settled.currency));
            let id = &options.authorization_id;
            sentence(&printable(&format!("settled {id}: {paid} paid, {returned} returned to the budget")))
        }),
    }
}

/// An amount as people read it.
fn in_currency(amount: Money, currency: &str) -> String {
    if currency == "USD" { dollars(amount) } else { format!("{amount} {currency}") }
}

fn row(payment: PaymentDetail) -> Vec<String> {
    let state = match (payment.status, payment.captured) {
        (AuthorizationStatus::Captured, Some(captured)) => format!("paid {}", in_currency(captured, &payment.currency)),
        (AuthorizationStatus::Captured, None) => "captured".to_owned(),
        (AuthorizationStatus::Authorized, _) => "open".to_owned(),
        (AuthorizationStatus::Voided, _) => "voided".to_owned(),
    };
    let amount = in_currency(payment.amount, &payment.currency);
    let (id, agent, at) =
        (payment.authorization_id.to_string(), payment.agent_id.to_string(), when(payment.created_at));
    vec![id, agent, amount, state, payment.description, at]
}
