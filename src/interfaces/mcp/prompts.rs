//! The two prompts. Their text is in `prompts/`; this brings the facts into it.

use std::fmt::Write;

use askama::Template;
use rmcp::{
    ErrorData,
    model::{ErrorCode, GetPromptRequestParams, GetPromptResult, Prompt, PromptArgument, PromptMessage, Role},
};
use serde_json::{Value, json};

use super::{facts::Facts, server};
use crate::{
    error::{Code, Error, Result},
    gate::session_detail::SessionDetail,
    interfaces::{
        backend::Backend,
        history::{Entry, LogPage},
    },
    model::{Clock, Credential, Money, UnixMicros, time::SystemClock},
    watch::get_spend::Spend,
};

const SECURITY_AUDIT: &str = "security-audit";
const BUDGET_CHECK: &str = "budget-check";
/// Entries of each kind that a prompt quotes.
const QUOTED: usize = 20;

/// The prompts as MCP lists them.
pub fn all() -> Vec<Prompt> {
    let session =
        |text: &str, required| vec![PromptArgument::new("session_id").with_description(text).with_required(required)];
    vec![
        Prompt::new(
            SECURITY_AUDIT,
            Some(
                "Audit what an agent did: its session's state, counts, flagged entries, refusals, and whether the log \
                 itself holds.",
            ),
            Some(session("The session to audit; without it, everything in this tenant", false)),
        )
        .with_title("Security audit"),
        Prompt::new(
            BUDGET_CHECK,
            Some("Check a session's budget: what is spent and left, at what rate, and when it will be exhausted."),
            Some(session("The session whose budget to check", true)),
        )
        .with_title("Budget check"),
    ]
}

/// An error as JSON-RPC has it; an unknown prompt or session is a bad parameter (MCP, Prompts, Error handling).
pub fn to_rpc(error: &Error) -> ErrorData {
    let mut rpc = server::to_rpc(error);
    if error.code == Code::NotFound {
        rpc.code = ErrorCode::INVALID_PARAMS;
    }
    rpc
}

/// A prompt with its facts.
pub async fn get(
    backend: &Backend,
    credential: &Credential,
    params: &GetPromptRequestParams,
) -> Result<GetPromptResult> {
    let session_id = session_argument(params)?;
    let facts = Facts { backend, credential };
    let text = match params.name.as_str() {
        SECURITY_AUDIT => security_audit(&facts, session_id.as_deref()).await?,
        BUDGET_CHECK => {
            let id = session_id.ok_or_else(|| Error::invalid("session_id", "session_id is required"))?;
            budget_check(&facts, &id).await?
        }
        name => {
            let name: String = name.chars().take(100).collect();
            return Err(Error::not_found(format!("the prompt {name} (there are: {SECURITY_AUDIT}, {BUDGET_CHECK})")));
        }
    };
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]))
}

fn session_argument(params: &GetPromptRequestParams) -> Result<Option<String>> {
    let arguments = params.arguments.iter().flatten();
    let mut session_id = None;
    for (name, value) in arguments {
        match (name.as_str(), value.as_str()) {
            ("session_id", Some("")) => {}
            ("session_id", Some(id)) => session_id = Some(id.to_owned()),
            ("session_id", None) => return Err(Error::invalid("session_id", "session_id: expected a string")),
            _ => return Err(Error::invalid(name.clone(), "unknown argument; expected session_id")),
        }
    }
    Ok(session_id)
}

#[derive(Template)]
#[template(path = "security-audit.md", escape = "none")]
struct SecurityAudit {
    now: String,
    session: Option<Session>,
    actions: String,
    cost: String,
    authorized: String,
    by_tool: String,
    integrity: String,
    flagged: Vec<String>,
    more_flagged: bool,
    decisions: Vec<String>,
    latest: Vec<String>,
}

#[derive(Template)]
#[template(path = "budget-check.md", escape = "none")]
struct BudgetCheck {
    now: String,
    session: Session,
    authorized: String,
    cost: String,
    actions: String,
    rate: String,
    projection: String,
    by_tool: String,
}

struct Session {
    id: String,
    agent: String,
    state: &'static str,
    created: String,
    expires: String,
    scopes: String,
    budget: String,
    parent: String,
}

impl Session {
    fn new(facts: &SessionDetail) -> Self {
        let state = match facts {
            SessionDetail { is_valid: true, .. } => "valid",
            SessionDetail { revoked: true, .. } => "revoked",
            _ => "expired",
        };
        let budget = match (facts.spend_limit, facts.remaining_budget) {
            (Some(limit), Some(left)) => format!("{limit} USD, {} USD authorized, {left} USD left", facts.spent),
            _ => "none of its own".to_owned(),
        };
        let parent = &facts.parent_session_id;
        Self {
            id: facts.session_id.to_string(),
            agent: quoted(&facts.agent_id),
            state,
            created: facts.created_at.to_rfc3339(),
            expires: if facts.expires_at.0 > 0 { facts.expires_at.to_rfc3339() } else { "never".to_owned() },
            scopes: list(facts.scopes.iter().map(ToString::to_string)),
            budget,
            parent: if parent.is_empty() { "nobody".to_owned() } else { parent.clone() },
        }
    }
}

async fn security_audit(facts: &Facts<'_>, session_id: Option<&str>) -> Result<String> {
    let session = match session_id {
        Some(id) => Some(facts.session(id).await?),
        None => None,
    };
    let spend = facts.spend(session_id).await?;
    let flagged = facts.trail(session_id, QUOTED, json!({"flagged": true})).await?;
    let decisions = facts.trail(session_id, QUOTED, json!({"tool": "haldir"})).await?;
    let latest = facts.trail(session_id, QUOTED, json!({})).await?;
    let lines = |trail: &LogPage| trail.entries.iter().map(line).collect();
    let prompt = SecurityAudit {
        now: SystemClock.now().to_rfc3339(),
        session: session.as_ref().map(Session::new),
        actions: spend.action_count.to_string(),
        cost: spend.total_usd.to_string(),
        authorized: spend.authorized_usd.to_string(),
        by_tool: by_tool(&spend),
        integrity: facts.integrity().await?,
        flagged: lines(&flagged),
        more_flagged: flagged.next_cursor.is_some(),
        decisions: lines(&decisions),
        latest: lines(&latest),
    };
    prompt.render().map_err(Error::internal)
}

async fn budget_check(facts: &Facts<'_>, session_id: &str) -> Result<String> {
    let session = facts.session(session_id).await?;
    let spend = facts.spend(Some(session_id)).await?;
    let now = SystemClock.now();
    let (rate, projection) = project(&session, now);
    let prompt = BudgetCheck {
        now: now.to_rfc3339(),
        session: Session::new(&session),
        authorized: session.spent.to_string(),
        cost: spend.total_usd.to_string(),
        actions: spend.action_count.to_string(),
        rate,
        projection,
        by_tool: by_tool(&spend),
    };
    prompt.render().map_err(Error::internal)
}

/// The rate of spending since the session began, and when the budget runs out at that rate. A projection for
/// people: floats will do.
#[allow(clippy::cast_precision_loss)]
fn project(session: &SessionDetail, now: UnixMicros) -> (String, String) {
    let usd = |amount: Money| amount.nanos() as f64 / 1e9;
    let seconds = |at: UnixMicros| at.0 as f64 / 1e6;
    let hours = ((seconds(now) - seconds(session.created_at)) / 3600.0).max(1.0 / 3600.0);
    let per_hour = usd(session.spent) / hours;
    let rate = format!("{per_hour:.2} USD an hour since the session began, {hours:.2} hours ago");
    let Some(left) = session.remaining_budget.map(usd) else {
        return (rate, "no budget, so it is never exhausted".to_owned());
    };
    if left <= 0.0 {
        return (rate, "the budget is exhausted".to_owned());
    }
    if per_hour <= 0.0 {
        return (rate, "nothing was spent yet, so no time can be projected".to_owned());
    }
    let end = seconds(now) + left / per_hour * 3600.0;
    let before = match seconds(session.expires_at) {
        expires if expires <= 0.0 => "",
        expires if end < expires => ", before the session expires",
        _ => ", after the session expires",
    };
    #[allow(clippy::cast_possible_truncation)]
    let end = UnixMicros((end * 1e6) as i64).to_rfc3339();
    (rate, format!("exhausted in {:.2} hours, at {end}{before}", left / per_hour))
}

/// One entry in one line; what agents wrote is quoted, so that it is seen to be theirs.
fn line(entry: &Entry) -> String {
    let [agent, tool, action] = [&entry.agent_id, &entry.tool, &entry.action].map(|text| quoted(text));
    let mut line = vec![format!("#{} {} {agent} {tool}: {action}", entry.seq, entry.timestamp.to_rfc3339())];
    if entry.cost_usd > Money::ZERO {
        line.push(format!("at {} USD", entry.cost_usd));
    }
    if entry.flagged {
        line.push(format!("flagged: {}", quoted(&entry.flag_reason)));
    }
    if let Some(reason) = entry.details["reason"].as_str() {
        line.push(format!("reason: {}", quoted(reason)));
    }
    line.join(", ")
}

fn by_tool(spend: &Spend) -> String {
    list(spend.by_tool.iter().map(|(tool, cost)| format!("{} {cost} USD", quoted(tool))))
}

/// As a JSON string: whatever stands in it stays within its quotes, on its line and in its direction.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    for character in Value::from(text).to_string().chars() {
        match character {
            '\u{85}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                // Into a text, which takes whatever is written to it.
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}
