//! What the person at the agent's client is asked: a call as they must see it, so that nothing that the agent wrote
//! passes for something that haldir says, or stays unseen.

use std::fmt::Write;

use serde_json::Value;

use super::budget;
use crate::{
    approvals::edited::{asked, pinned_tool},
    call::ReadContext,
    crypto,
    error::Result,
    model::{Approval, ApprovalId, ApprovalStatus, Money, PendingApproval, secret_placeholder, visible::visible},
    watch::canonical::hex,
};

/// Characters of arguments that a dialog can show. A call with more is for an operator, who sees all of it: nobody is
/// asked to approve what they are not shown.
const MAX_SHOWN_CHARS: usize = 4_000;
/// Characters of a name or a reason; the rest of a longer one is cut off, and said to be.
const MAX_LINE_CHARS: usize = 300;
/// Characters of a value that is hidden since its name says that it is a credential. A longer one is no credential.
const MAX_HIDDEN_CHARS: usize = 512;
/// The name of haldir's own question among those that a result asks (2026-07-28). No upstream may ask by it.
pub const INPUT: &str = "haldir_approval";
/// What stands in the names of arguments that hold credentials: letters and digits alone, in lower case.
const CREDENTIALS: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "authorization", "credential", "privatekey"];

/// A question to a person.
#[derive(Clone, Debug)]
pub struct ApprovalQuestion {
    /// What it is about.
    pub request_id: ApprovalId,
    /// What they read.
    pub message: String,
    /// What shows that haldir has asked it, where the answer comes with a later call.
    pub proof: String,
}

/// What shows that a person was asked about this request: no client, agent or upstream can make it up.
fn proof(cx: &ReadContext<'_>, request_id: &ApprovalId) -> Result<String> {
    let keys = cx.services.keyring.tenant(cx.tx, &cx.caller.tenant)?;
    Ok(hex(&crypto::mac(&keys.questions, &[cx.caller.tenant.as_str().as_bytes(), request_id.as_str().as_bytes()])))
}

/// Whether haldir has asked a person about this request.
pub fn was_asked(cx: &ReadContext<'_>, request_id: &ApprovalId, shown: &str) -> Result<bool> {
    Ok(crypto::same(proof(cx, request_id)?.as_bytes(), shown.as_bytes()))
}

/// The question that a call which is held puts to the person at the client; `None` if it is not for them: decided, over,
/// for an operator alone, no call of a tool, or with more arguments than can be shown. Why is said by what held the call:
/// the reason in a request may be the agent's, who can raise one ahead.
pub fn question(cx: &ReadContext<'_>, held: &PendingApproval) -> Result<Option<ApprovalQuestion>> {
    let Ok(id) = ApprovalId::parse(held.request_id.clone()) else { return Ok(None) };
    let tenant = &cx.caller.tenant;
    let found = cx.tx.approval(tenant, &id)?;
    let is_theirs =
        |approval: &Approval| approval.status_at(cx.now) == ApprovalStatus::Pending && !approval.operator_only;
    let Some(approval) = found.filter(is_theirs) else { return Ok(None) };
    let Some((upstream, name)) = approval.tool.split_once('.') else { return Ok(None) };
    let Some(tool) = pinned_tool(cx.tx, tenant, &approval.tool)? else { return Ok(None) };
    let Some(arguments) = shown_arguments(asked(&approval)) else { return Ok(None) };
    let cost = budget::cost(&tool, asked(&approval)).unwrap_or_default();
    let mut message = String::from("haldir asks you, not the model: may this call be made, once and exactly so?\n\n");
    let mut line = |name: &str, text: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(message, "    {name}: {}", cut(&visible(text)));
    };
    line("Tool", name);
    line("Server", upstream);
    line("Agent", approval.agent_id.as_str());
    if approval.amount > Money::ZERO {
        line("Amount", &format!("{} USD", approval.amount));
    }
    if cost > Money::ZERO {
        line("Cost", &format!("{cost} USD of the session's budget"));
    }
    line("Why you are asked", &held.reason);
    message.push_str("\nThe agent would call it with the following. All of it was written by the agent:\n\n");
    message.push_str(&arguments);
    Ok(Some(ApprovalQuestion { proof: proof(cx, &approval.id)?, request_id: approval.id, message }))
}

/// Arguments, one to a line, indented; `None` if they are too long to be shown.
fn shown_arguments(canonical: &str) -> Option<String> {
    if canonical.len() > 4 * MAX_SHOWN_CHARS {
        return None;
    }
    let Value::Object(members) = serde_json::from_str(canonical).ok()? else { return None };
    let mut shown = String::new();
    // The text of the numbers, which a parser would round.
    let raw: std::collections::BTreeMap<String, &serde_json::value::RawValue> = serde_json::from_str(canonical).ok()?;
    for (name, value) in &members {
        let text = if has_credential(name, value) {
            let mut value = value.clone();
            hide(name, &mut value);
            value.to_string()
        } else {
            raw.get(name)?.get().to_owned()
        };
        let name = serde_json::to_string(name).ok()?;
        let _ = writeln!(shown, "    {} = {}", visible(&name), visible(&text));
    }
    if members.is_empty() {
        shown.push_str("    (no arguments)\n");
    }
    (shown.chars().count() <= MAX_SHOWN_CHARS).then_some(shown)
}

fn is_credential(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    CREDENTIALS.iter().any(|word| plain.ends_with(word))
}

fn is_hidden(name: &str, value: &Value) -> bool {
    // A credential is one word. What is none is shown, whatever the agent calls it.
    let hides = |text: &str| {
        let word = text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("Basic ")).unwrap_or(text);
        let is_word = word.chars().count() <= MAX_HIDDEN_CHARS && !word.contains(char::is_whitespace);
        is_word && !secret_placeholder::has_any(text)
    };
    is_credential(name) && value.as_str().is_some_and(hides)
}

fn has_credential(name: &str, value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| has_credential(name, value)),
        Value::Array(items) => items.iter().any(|item| has_credential("", item)),
        _ => is_hidden(name, value),
    }
}

fn hide(name: &str, value: &mut Value) {
    let hidden = is_hidden(name, value);
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| hide(name, value)),
        Value::Array(items) => items.iter_mut().for_each(|item| hide("", item)),
        Value::String(text) if hidden => *text = format!("[hidden: {} characters]", text.chars().count()),
        _ => {}
    }
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_LINE_CHARS).collect();
    if shown.len() < text.len() {
        shown.push_str(" … (cut)");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_cannot_pass_for_something_that_haldir_says() {
        let canonical = serde_json::json!({
            "Tool: read\n    Agent": "x", "path": "/tmp\n\nCost: 0 USD\u{202e}\u{200b}\u{a0}\u{e0041}",
        });
        let shown = shown_arguments(&canonical.to_string()).unwrap();
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                r#"    "Tool: read\n    Agent" = "x""#,
                r#"    "path" = "/tmp\n\nCost: 0 USD\u{202e}\u{200b}\u{a0}\u{e0041}""#,
            ]
        );
    }

    #[test]
    fn what_nobody_sees_stands_there_by_its_number() {
        for unseen in [
            '\0', '\n', '\u{7f}', '\u{85}', '\u{a0}', '\u{ad}', '\u{34f}', '\u{61c}', '\u{115f}', '\u{1160}',
            '\u{1680}', '\u{17b4}', '\u{180b}', '\u{180e}', '\u{180f}', '\u{2000}', '\u{200b}', '\u{200e}', '\u{2028}',
            '\u{202e}', '\u{202f}', '\u{2060}', '\u{2064}', '\u{2065}', '\u{2066}', '\u{2069}', '\u{206a}', '\u{2800}',
            '\u{3000}', '\u{3164}', '\u{e000}', '\u{fe0f}', '\u{feff}', '\u{ffa0}', '\u{fff0}', '\u{fff9}',
            '\u{110bd}', '\u{13430}', '\u{1bca0}', '\u{1d173}', '\u{378}', '\u{e0001}', '\u{e0041}', '\u{e0100}',
            '\u{e0fff}', '\u{f0000}', '\u{10fffd}', '\u{10ffff}',
        ] {
            assert_eq!(visible(&unseen.to_string()), format!("\\u{{{:x}}}", u32::from(unseen)), "{unseen:?}");
        }
        for seen in
            ["a Z~", "\u{e9}\u{df}", "\u{4e2d}\u{6587}", "\u{5d0}\u{628}", "\u{1f600}", "e\u{301}", "\u{a3}\u{20ac}"]
        {
            assert_eq!(visible(seen), seen);
        }
    }

    #[test]
    fn credentials_are_hidden_and_digits_stay_as_they_were_written() {
        let shown =
            shown_arguments(r#"{"api_key":"abc","n":1.50,"nested":[{"Pass-Word":"12345"}],"t":"token"}"#).unwrap();
        assert!(shown.contains("[hidden: 3 characters]") && shown.contains("[hidden: 5 characters]"), "{shown}");
        assert!(!shown.contains("abc") && !shown.contains("12345"), "{shown}");
        assert!(shown.contains("\"n\" = 1.50") && shown.contains("\"t\" = \"token\""), "{shown}");
        let placeholder = shown_arguments(r#"{"token":"{{secret:key}}"}"#).unwrap();
        assert!(placeholder.contains("{{secret:key}}"), "{placeholder}");
    }

    #[test]
    fn what_cannot_be_shown_in_whole_is_not_asked() {
        let text = "x".repeat(MAX_SHOWN_CHARS);
        assert!(shown_arguments(&format!("{{\"a\":\"{text}\"}}")).is_none());
        let growing = "\u{202e}".repeat(MAX_SHOWN_CHARS / 4);
        assert!(shown_arguments(&format!("{{\"a\":\"{growing}\"}}")).is_none());
        assert!(shown_arguments("{\"a\":\"x\"}").is_some());
    }
}
