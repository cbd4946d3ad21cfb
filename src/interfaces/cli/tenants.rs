//! `haldir tenants`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CommandError, GlobalOptions,
    output::{line, printable},
    target::Target,
};
use crate::{
    config::secret_variable,
    gate::list_tenants::{TenantDetail, Tenants},
};

/// Tenants in one response.
const PAGE: i64 = 1_000;

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // Help texts: a terminal would show the backticks.
pub enum TenantsCommand {
    /// List the tenants of the whole store. On a server it needs HALDIR_BOOTSTRAP_TOKEN.
    List,
    /// Give a tenant a name. On a server it needs HALDIR_BOOTSTRAP_TOKEN.
    Name {
        /// The tenant's id.
        #[arg(value_name = "TENANT")]
        tenant_id: String,
        /// Its name from now on.
        name: String,
    },
}

pub fn run(command: &TenantsCommand, global: &GlobalOptions) -> Result<(), CommandError> {
    let target = Target::open(global)?;
    match command {
        TenantsCommand::List => list(&target, global),
        TenantsCommand::Name { tenant_id, name } => {
            let input = with_token(&target, json!({"tenant_id": tenant_id, "name": name}));
            let done = printable(&format!("{tenant_id} is called {name}"));
            target.show(global, "nameTenant", input, |_: Value| line(&done))
        }
    }
}

/// With the bootstrap token, which a server asks for and the local store does not.
fn with_token(target: &Target, mut input: Value) -> Value {
    if let (Target::Server(..), Some(token)) = (target, secret_variable("HALDIR_BOOTSTRAP_TOKEN")) {
        input["bootstrap_token"] = json!(token.as_str());
    }
    input
}

fn list(target: &Target, global: &GlobalOptions) -> Result<(), CommandError> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let input = with_token(target, json!({"limit": PAGE, "cursor": cursor}));
        let page: Tenants = target.read("listTenants", input)?;
        all.extend(page.tenants);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if global.json {
        return line(&json!({"count": all.len(), "tenants": all}).to_string());
    }
    all.iter().try_for_each(|TenantDetail { tenant_id, name, keys, sessions, entries, .. }| {
        let counts = format!("{keys} keys, {sessions} sessions, {entries} entries");
        line(&printable(&format!("{:<24}{name:<24}{counts}", tenant_id.to_string())))
    })
}
