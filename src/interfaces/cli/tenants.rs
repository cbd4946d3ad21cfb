//! `haldir tenants`.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    GlobalOptions, Screen, Stop,
    output::{line, printable},
    target::Target,
};
use crate::config::secret_variable;

/// Tenants asked for at a time.
const PAGE: i64 = 1_000;

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // Help texts: a terminal would show the backticks.
pub enum TenantsCommand {
    /// List the tenants of the whole store. On a server it needs HALDIR_BOOTSTRAP_TOKEN.
    #[command(after_help = "Example:\n  haldir tenants list")]
    List,
    /// Give a tenant a name. On a server it needs HALDIR_BOOTSTRAP_TOKEN.
    #[command(after_help = "Example:\n  haldir tenants name ten_wZ3xQ9mK2pL7 acme")]
    Name {
        /// The tenant's id.
        #[arg(value_name = "TENANT")]
        tenant_id: String,
        /// Its name from now on.
        name: String,
    },
}

pub fn run(command: &TenantsCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let target = Target::open(global)?;
    match command {
        TenantsCommand::List => list(&target, screen),
        TenantsCommand::Name { tenant_id, name } => {
            let answer = call(&target, "nameTenant", json!({"tenant_id": tenant_id, "name": name}))?;
            line(&if screen.json { answer.to_string() } else { printable(&format!("{tenant_id} is called {name}")) })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn call(target: &Target, operation: &str, mut input: Value) -> Result<Value, Stop> {
    // A store of this machine needs none.
    if let (Target::Server(..), Some(token)) = (target, secret_variable("HALDIR_BOOTSTRAP_TOKEN")) {
        input["bootstrap_token"] = json!(token.as_str());
    }
    Ok(target.call_value(operation, &input)?)
}

fn list(target: &Target, screen: Screen) -> Result<ExitCode, Stop> {
    let (mut all, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut input = json!({"limit": PAGE});
        if !cursor.is_null() {
            input["cursor"] = cursor;
        }
        let mut page = call(target, "listTenants", input)?;
        all.extend(page["tenants"].as_array_mut().map(std::mem::take).unwrap_or_default());
        cursor = page["next_cursor"].take();
        if cursor.is_null() {
            break;
        }
    }
    if screen.json {
        line(&json!({"count": all.len(), "tenants": all}).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for tenant in &all {
        let text = |field: &str| tenant[field].as_str().unwrap_or_default().to_owned();
        let (keys, sessions, entries) = (&tenant["keys"], &tenant["sessions"], &tenant["entries"]);
        let counts = format!("{keys} keys, {sessions} sessions, {entries} entries");
        line(&printable(&format!("{:<24}{:<24}{counts}", text("tenant_id"), text("name"))))?;
    }
    Ok(ExitCode::SUCCESS)
}
