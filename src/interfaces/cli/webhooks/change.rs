//! `haldir webhooks add`, `delete`, `rotate`, `ping` and `resend`.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        GlobalOptions, Screen, Stop,
        output::{line, note},
        target::Target,
    },
    WebhookArgument,
};
use crate::{config::duration::parse_seconds, error::Error};

#[derive(Args)]
pub struct AddOptions {
    /// Where to: http or https. The address must be public, unless --allow-private names its host.
    #[arg(value_name = "URL")]
    url: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Which events, separated by commas: anomaly, `approval_requested`, `budget_exhausted`, `session_revoked`, or all.
    /// Default: all.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    events: Option<Vec<String>>,
}

#[derive(Args)]
pub struct RotateOptions {
    #[command(flatten)]
    which: WebhookArgument,
    /// How long the old secret stays valid: from 1m to 7d; a number is seconds. Default: 1d.
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    grace: Option<i64>,
}

#[derive(Args)]
pub struct ResendOptions {
    #[command(flatten)]
    which: WebhookArgument,
    /// Only this event. Default: the oldest 500.
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
}

#[derive(Deserialize)]
struct Registered {
    webhook_id: i64,
    secret: String,
}

pub fn add(options: &AddOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let input = json!({"url": options.url, "name": options.name, "events": options.events});
    let Some(made) = call::<Registered>("registerWebhook", &input, global, screen)? else { return Ok(()) };
    // The secret first: if nobody can read it, the number still says what to delete.
    note(&format!("webhook {}: keep its secret, it is not shown again", made.webhook_id));
    line(&made.secret)
}

pub fn delete(which: &WebhookArgument, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    #[derive(Deserialize)]
    struct Deleted {
        discarded: i64,
    }
    let Some(deleted) = call::<Deleted>("deleteWebhook", &number(which), global, screen)? else { return Ok(()) };
    let discarded = match deleted.discarded {
        0 => String::new(),
        count => format!("; {count} events that waited for it will not be sent"),
    };
    line(&format!("deleted {}{discarded}", which.webhook_id))
}

pub fn rotate(options: &RotateOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    #[derive(Deserialize)]
    struct Rotated {
        secret: String,
        grace_seconds: i64,
    }
    let mut input = number(&options.which);
    input["grace_seconds"] = json!(options.grace);
    let Some(rotated) = call::<Rotated>("rotateWebhookSecret", &input, global, screen)? else { return Ok(()) };
    note(&format!("the old secret stays valid for {} s; this one is not shown again", rotated.grace_seconds));
    line(&rotated.secret)
}

pub fn ping(which: &WebhookArgument, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    #[derive(Deserialize)]
    struct Pinged {
        event_id: String,
    }
    let Some(pinged) = call::<Pinged>("pingWebhook", &number(which), global, screen)? else { return Ok(()) };
    line(&format!("queued {}: a server on this store sends it", pinged.event_id))
}

pub fn resend(options: &ResendOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    #[derive(Deserialize)]
    struct Resent {
        resent: usize,
        more: bool,
    }
    let mut input = number(&options.which);
    input["event_id"] = json!(options.event);
    let Some(done) = call::<Resent>("resendDeadLetters", &input, global, screen)? else { return Ok(()) };
    line(&format!("queued {}: a server on this store sends them", done.resent))?;
    if done.more {
        note("there are more: repeat the command");
    }
    Ok(())
}

fn number(which: &WebhookArgument) -> Value {
    json!({"webhook_id": which.webhook_id})
}

/// Calls an operation; with `--json` its answer is written as it came, and there is nothing more to say.
fn call<T: for<'de> Deserialize<'de>>(
    operation: &str,
    input: &Value,
    global: &GlobalOptions,
    screen: Screen,
) -> Result<Option<T>, Stop> {
    let reply = Target::open(global)?.call(operation, &input.to_string())?;
    if screen.json {
        line(&reply.body)?;
        return Ok(None);
    }
    Ok(serde_json::from_str(&reply.body).map(Some).map_err(Error::internal)?)
}
