//! `haldir doctor`: what an operator would look at first, and how to mend it. It creates nothing and changes nothing.

mod contents;
mod files;

use std::{fmt::Display, io, process::ExitCode};

use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    output::{Level, line, paragraph, printable},
};
use crate::config::CeilingOptions;

/// The columns at which a finding begins: behind its level, and behind its name.
const INDENT: (usize, usize) = (6, 22);

/// The result of one check.
struct Check {
    name: &'static str,
    level: Level,
    detail: String,
    /// What to do about it.
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Display) -> Self {
        Self { name, level: Level::Ok, detail: detail.to_string(), remedy: None }
    }

    fn warn(name: &'static str, detail: impl Display, remedy: impl Display) -> Self {
        Self { name, level: Level::Warn, detail: detail.to_string(), remedy: Some(remedy.to_string()) }
    }

    fn fail(name: &'static str, detail: impl Display, remedy: impl Display) -> Self {
        Self { name, level: Level::Fail, detail: detail.to_string(), remedy: Some(remedy.to_string()) }
    }
}

pub fn run(global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let checks = examine(global);
    let healthy = checks.iter().all(|check| check.level != Level::Fail);
    if global.json {
        let checks: Vec<_> = checks
            .iter()
            .map(|check| {
                json!({
                    "name": check.name, "status": check.level.name(), "detail": check.detail, "remedy": check.remedy,
                })
            })
            .collect();
        line(&json!({"healthy": healthy, "checks": checks}).to_string())?;
    } else {
        for Check { name, level, detail, remedy } in &checks {
            let remedy = remedy.as_ref().map_or_else(String::new, |remedy| format!(" -> {remedy}"));
            let finding = format!("{name:<14}  {}", printable(&format!("{detail}{remedy}")));
            line(&format!("{}  {}", global.screen().word(*level), paragraph(&finding, INDENT)))?;
        }
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn examine(global: &GlobalOptions) -> Vec<Check> {
    let mut checks = vec![version(), config(global)];
    let path = match global.store.path() {
        Ok(path) => path,
        Err(error) => {
            checks.push(Check::fail("store", error, "set HALDIR_DB, or give --db"));
            return checks;
        }
    };
    match path.metadata() {
        Ok(file) if file.is_file() => checks.push(Check::ok("store", path.display())),
        Ok(_) => {
            checks.push(Check::fail(
                "store",
                format!("{} is no file", path.display()),
                "choose another path with --db",
            ));
            return checks;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let remedy = "it is made on first use, or now with `haldir keys create`; another path: --db or HALDIR_DB";
            checks.push(Check::warn("store", format!("there is none at {}", path.display()), remedy));
            return checks;
        }
        Err(error) => {
            let remedy = "run doctor as the user that haldir runs as";
            checks.push(Check::fail("store", format!("{}: {error}", path.display()), remedy));
            return checks;
        }
    }
    checks.push(files::permissions(&path));
    checks.extend(files::free_space(&path));
    checks.extend(contents::examine(global, &path));
    checks
}

fn version() -> Check {
    Check::ok("version", format!("haldir {}, SQLite {}", env!("CARGO_PKG_VERSION"), crate::store::sqlite::version()))
}

fn config(global: &GlobalOptions) -> Check {
    match (&global.store.config, global.store.settings(&CeilingOptions::default())) {
        (None, _) => Check::ok("config file", "none, everything has its default"),
        (Some(path), Ok(_)) => Check::ok("config file", path.display()),
        (Some(_), Err(error)) => {
            Check::fail("config file", error, "mend the file, or leave --config and HALDIR_CONFIG out")
        }
    }
}
