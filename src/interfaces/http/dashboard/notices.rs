//! The result of a form in one sentence, from the operation's response.

use serde_json::{Value, json};

use super::{
    act::Fields,
    sign_in::Notice,
    view::{Tone, shown},
    viewer::Viewer,
};
use crate::operations::Operation;

/// The sentence for an operation that was carried out.
pub async fn of(viewer: &Viewer, operation: &Operation, fields: &Fields, answer: &Value) -> Notice {
    if operation.name == "verifyAuditTrail" {
        return verified(answer);
    }
    let text = match operation.name {
        "approveRequest" | "denyRequest" => decided(viewer, operation, fields).await,
        _ => sentence(operation, fields, answer),
    };
    Notice { tone: Tone::Good, text }
}

fn verified(answer: &Value) -> Notice {
    let good = answer["verified"] == true;
    let text = if good {
        format!(
            "The whole log is verified: all {} entries are as haldir recorded them, from the first to the last.",
            answer["entries_checked"]
        )
    } else {
        format!("The log is broken: {}.", shown(answer["message"].as_str().unwrap_or_default()))
    };
    Notice { tone: if good { Tone::Good } else { Tone::Bad }, text }
}

async fn decided(viewer: &Viewer, operation: &Operation, fields: &Fields) -> String {
    let id = fields.text("request_id");
    let asked = json!({"request_id": id.as_str()});
    // The decision was taken even if the request cannot be read again.
    let request = viewer.read_if_open::<Value>("getApproval", asked).await.ok().flatten().unwrap_or_default();
    let agent = shown(request["agent_id"].as_str().unwrap_or("the agent"));
    let what = if request["action"] == "call" { "make this call" } else { "do this" };
    if operation.name == "denyRequest" {
        return format!("Denied: {agent} may not {what}.");
    }
    let changed = if fields.text("arguments").is_empty() { "" } else { ", with the changed arguments" };
    format!("Approved: {agent} may {what} once{changed}.")
}

fn sentence(operation: &Operation, fields: &Fields, answer: &Value) -> String {
    let field = |name: &str| shown(&fields.text(name));
    let count = |name: &str, one: &str, many: &str| {
        let count = answer[name].as_u64().unwrap_or_default();
        format!("{count} {}", if count == 1 { one } else { many })
    };
    match operation.name {
        "stopAgent" => {
            let keys = answer["keys_revoked"].as_array().map_or(0, Vec::len);
            let keys = match keys {
                0 => String::new(),
                1 => ", 1 key revoked".to_owned(),
                keys => format!(", {keys} keys revoked"),
            };
            format!(
                "{} is stopped: {} ended{keys}.",
                field("agent_id"),
                count("sessions_ended_count", "session", "sessions")
            )
        }
        "revokeSession" => match answer["cascade_revoked_count"].as_u64().unwrap_or_default() {
            0 => "The session is revoked.".to_owned(),
            1 => "The session is revoked, and 1 session below it.".to_owned(),
            below => format!("The session is revoked, and {below} sessions below it."),
        },
        "acceptTools" => {
            format!("{} accepted: agents can call them again.", count("count", "definition is", "definitions are"))
        }
        "addApprovalRule" => "The rule was added: it holds from the next call on.".to_owned(),
        "deleteApprovalRule" => "The rule was deleted.".to_owned(),
        "addProxyPolicy" if answer["dry_run"] == true || *fields.text("dry_run") == "true" => {
            "The policy was added: it only logs what it would refuse.".to_owned()
        }
        "addProxyPolicy" => "The policy was added: it holds from the next call on.".to_owned(),
        "deleteProxyPolicy" => "The policy was removed.".to_owned(),
        "capturePayment" => "The payment is settled.".to_owned(),
        "voidPayment" => "The payment is void: its amount returned to the budget.".to_owned(),
        "createComplianceSchedule" => "The schedule was added.".to_owned(),
        "deleteComplianceSchedule" => "The schedule was deleted.".to_owned(),
        "storeSecret" => format!("The secret {} is stored.", field("name")),
        "deleteSecret" => format!("The secret {} was deleted.", field("name")),
        "registerUpstream" => {
            let tools = count("tools_discovered", "tool", "tools");
            if answer["healthy"] == true {
                format!("The server {} was added: it offers {tools}.", field("name"))
            } else {
                format!("The server {} was added, but does not answer yet.", field("name"))
            }
        }
        "deleteUpstream" => format!("The server {} was removed.", field("name")),
        "markTool" => format!("The labels of {} were changed.", field("tool")),
        "registerWebhook" => "The webhook was added.".to_owned(),
        "deleteWebhook" => "The webhook was deleted.".to_owned(),
        "rotateWebhookSecret" => "The webhook has a new secret.".to_owned(),
        "pingWebhook" => "A test event is on its way: see the latest deliveries.".to_owned(),
        "resendDeadLetters" => format!("{} sent again.", count("resent", "event is", "events are")),
        "createApiKey" => "The key was made.".to_owned(),
        "rotateApiKey" => "The key was replaced.".to_owned(),
        "revokeApiKey" => format!("The key {}… is revoked, and its sessions have ended.", field("prefix")),
        "setAuditRetention" if *fields.text("retain_days") == "0" => "Details are kept for good.".to_owned(),
        "setAuditRetention" => format!("Details are kept for {} days.", field("retain_days")),
        _ => format!("{}: done.", operation.title),
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::operations;

    #[test]
    fn every_form_has_a_sentence_of_its_own() {
        for name in super::super::act::OPERATIONS {
            let operation = operations::named(name).unwrap();
            let decided = matches!(name, "approveRequest" | "denyRequest" | "verifyAuditTrail");
            let says = sentence(operation, &Fields::default(), &Value::Null);
            assert_eq!(says.ends_with(": done."), decided, "{name}: {says}");
        }
    }

    #[test]
    fn counts_are_told_in_words() {
        let given = Fields::of(vec![("agent_id".to_owned(), Zeroizing::new("writer-bot".to_owned()))]);
        let says = |answer: &Value| sentence(operations::named("stopAgent").unwrap(), &given, answer);
        let one = json!({"sessions_ended_count": 1, "keys_revoked": []});
        assert_eq!(says(&one), "writer-bot is stopped: 1 session ended.");
        let many = json!({"sessions_ended_count": 3, "keys_revoked": ["hld_a", "hld_b"]});
        assert_eq!(says(&many), "writer-bot is stopped: 3 sessions ended, 2 keys revoked.");
    }
}
