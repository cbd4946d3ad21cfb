//! `haldir status` and `haldir ready`: how haldir is doing, in a word for each of its parts, and as an exit code.

use std::process::ExitCode;

use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    output::{line, printable, state_style, styled::Style},
    target::Target,
};
use crate::{
    error::{Code, Error, Result},
    interfaces::{
        readiness::{Check, Readiness, read},
        responses::{Component, Health, Overview},
    },
};

/// Columns of a part's name.
const NAME: usize = 10;

pub fn status(global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let screen = global.screen();
    let target = Target::open(global)?;
    let mut found: Health = match &target {
        Target::Server(..) => read(&target.public("/v1/status")?)?,
        Target::Store(_) => target.read::<Overview>("getOverview", json!({}))?.health,
    };
    // Nothing is billed here: the part is there for clients of the Python product.
    found.components.retain(|component| component.name != "billing");
    let code = if found.status == "down" { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if screen.json {
        line(&serde_json::to_string(&found).map_err(Error::internal)?)?;
        return Ok(code);
    }
    line(&screen.pill(state_style(&found.status), &format!("haldir is {}", printable(&found.status))))?;
    for Component { name, state, message } in &found.components {
        // The message of what is well says no more than that.
        let message = if message == "ok" { String::new() } else { format!("  {}", printable(message)) };
        line(
            screen
                .pill(state_style(state), &format!("{:<NAME$}  {:<8}{message}", printable(name), printable(state)))
                .trim_end(),
        )?;
    }
    Ok(code)
}

pub fn ready(global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let screen = global.screen();
    let found = match Target::open(global) {
        Ok(target) => look(&target),
        Err(error) => Err(error),
    };
    let found = match found {
        Ok(found) => found,
        // A call that cannot work as it was written is no finding.
        Err(error) if matches!(error.code, Code::InvalidArgument) => return Err(error.into()),
        Err(error) => {
            let check = Check { name: "reachable".to_owned(), ok: false, message: error.message };
            Readiness { ready: false, checks: vec![check] }
        }
    };
    if screen.json {
        line(&json!({"ready": found.ready, "checks": found.checks}).to_string())?;
    } else {
        let (style, word) = if found.ready { (Style::Good, "ready") } else { (Style::Bad, "not ready") };
        line(&screen.pill(style, word))?;
        for Check { name, message, .. } in found.checks.iter().filter(|check| !check.ok) {
            line(&printable(&format!("  {name}: {message}")))?;
        }
    }
    Ok(if found.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn look(target: &Target) -> Result<Readiness> {
    let Target::Store(local) = target else { return read(&target.public("/readyz")?) };
    let check = |name: &str, checked: Result<()>| {
        let (ok, message) = checked.map_or_else(|error| (false, error.message), |()| (true, "ok".to_owned()));
        Check { name: name.to_owned(), ok, message }
    };
    let checks = vec![check("database", local.haldir.check_store()), check("writes", local.check_writes())];
    Ok(Readiness { ready: checks.iter().all(|check| check.ok), checks })
}
