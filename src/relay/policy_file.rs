//! Policies that an operator keeps in a file: they are added to the store, once each.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    error::{Code, Error, Result},
    files::read_text,
    model::{Credential, TenantId},
    operations::{self, CallOptions, Haldir, Operation},
};

/// The largest file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// The type of a policy in Cedar, its field, and the extension of a file that is one policy set.
const CEDAR: &str = "cedar";
/// What the store says of a policy besides what the policy says.
const ABOUT: [&str; 3] = ["policy_id", "created_at", "created_by"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policies {
    policies: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Listed {
    policies: Vec<Map<String, Value>>,
}

/// Adds the policies of this file that the tenant does not have yet. Those that are no longer in the file stay, so
/// that editing the file removes no policy.
pub async fn add(haldir: &Haldir, tenant: &TenantId, path: &Path) -> Result<()> {
    let problem =
        |what: String| Error::new(Code::InvalidArgument, format!("the policies of {}: {what}", path.display()));
    let text = read_text(path, MAX_BYTES).map_err(|error| problem(error.to_string()))?;
    let wanted = if path.extension().is_some_and(|extension| extension == CEDAR) {
        let policy = json!({"type": CEDAR, CEDAR: text});
        Policies { policies: policy.as_object().cloned().into_iter().collect() }
    } else {
        serde_json::from_str(&text).map_err(|error| problem(error.to_string()))?
    };
    let operator = Credential::LocalOperator(tenant.clone());
    let call = async |name: &str, input: &str| {
        let operation: &Operation = operations::named(name).ok_or_else(|| Error::internal(format!("no {name}")))?;
        haldir.call(operation, &operator, input, CallOptions::default()).await
    };
    let reply = call("listProxyPolicies", "{}").await?;
    let mut known: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    for policy in &mut known.policies {
        policy.retain(|name, _| !ABOUT.contains(&name.as_str()));
    }
    for policy in wanted.policies {
        if !known.policies.contains(&policy) {
            let input = Value::Object(policy).to_string();
            call("addProxyPolicy", &input).await.map_err(|error| problem(error.message))?;
        }
    }
    Ok(())
}
