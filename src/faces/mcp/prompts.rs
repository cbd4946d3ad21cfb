//! The two prompts. Their text is in `prompts/`; this brings the facts into it.

use askama::Template;
use rmcp::{
    ErrorData,
    model::{GetPromptRequestParams, GetPromptResult, Prompt, PromptArgument, PromptMessage, Role},
};
use serde_json::{Value, json};

use super::server;
use crate::{
    error::{Code, Error, Result},
    faces::backend::Backend,
    model::{Clock, Credential, UnixMicros, time::SystemClock},
    operations::{self, CallOptions},
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
    match error.code {
        Code::NotFound => ErrorData::invalid_params(error.message.clone(), Some(error.body(None))),
        _ => server::to_rpc(error),
    }
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
        SECURITY_AUDIT => facts.security_audit(session_id.as_deref()).await?,
        BUDGET_CHECK => {
            let id = session_id.ok_or_else(|| Error::invalid("session_id", "session_id is required"))?;
            facts.budget_check(&id).await?
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
    fn new(detail: &Value) -> Self {
        let state = match (detail["is_valid"].as_bool(), detail["revoked"].as_bool()) {
            (Some(true), _) => "valid",
            (_, Some(true)) => "revoked",
            _ => "expired",
        };
        let budget = if detail["spend_limit"].is_null() {
            "none of its own".to_owned()
        } else {
            format!(
                "{} USD, {} USD authorized, {} USD left",
                detail["spend_limit"], detail["spent"], detail["remaining_budget"]
            )
        };
        let expires = match detail["expires_at"].as_f64() {
            Some(at) if at > 0.0 => time(at),
            _ => "never".to_owned(),
        };
        let parent = text(&detail["parent_session_id"]);
        Self {
            id: text(&detail["session_id"]),
            agent: text(&detail["agent_id"]),
            state,
            created: time(detail["created_at"].as_f64().unwrap_or_default()),
            expires,
            scopes: list(detail["scopes"].as_array().into_iter().flatten().map(text)),
            budget,
            parent: if parent.is_empty() { "nobody".to_owned() } else { parent },
        }
    }
}

struct Facts<'a> {
    backend: &'a Backend,
    credential: &'a Credential,
}

impl Facts<'_> {
    async fn ask(&self, name: &str, input: Value) -> Result<Value> {
        let operation = operations::named(name).ok_or_else(|| Error::internal(format!("{name} is not listed")))?;
        let reply = self.backend.call(operation, self.credential, &input.to_string(), CallOptions::default()).await?;
        serde_json::from_str(&reply.body).map_err(Error::internal)
    }

    /// Log entries, newest first, each in one line, and whether there are more.
    async fn entries(&self, session_id: Option<&str>, filters: &Value) -> Result<(Vec<String>, bool)> {
        let mut input = json!({"limit": QUOTED});
        if let Some(id) = session_id {
            input["session_id"] = id.into();
        }
        for (name, value) in filters.as_object().into_iter().flatten() {
            input[name] = value.clone();
        }
        let trail = self.ask("getAuditTrail", input).await?;
        let lines = trail["entries"].as_array().into_iter().flatten().map(line).collect();
        Ok((lines, !trail["next_cursor"].is_null()))
    }

    async fn security_audit(&self, session_id: Option<&str>) -> Result<String> {
        let session = match session_id {
            Some(id) => Some(self.ask("getSession", json!({"session_id": id})).await?),
            None => None,
        };
        let spend = self.ask("getSpend", of_session(session_id)).await?;
        let verification = self.ask("verifyAuditTrail", json!({})).await?;
        let (flagged, more_flagged) = self.entries(session_id, &json!({"flagged": true})).await?;
        let (decisions, _) = self.entries(session_id, &json!({"tool": "haldir"})).await?;
        let (latest, _) = self.entries(session_id, &json!({})).await?;
        let prompt = SecurityAudit {
            now: SystemClock.now().to_rfc3339(),
            session: session.as_ref().map(Session::new),
            actions: spend["action_count"].to_string(),
            cost: spend["total_usd"].to_string(),
            authorized: spend["authorized_usd"].to_string(),
            by_tool: by_tool(&spend),
            integrity: text(&verification["message"]),
            flagged,
            more_flagged,
            decisions,
            latest,
        };
        prompt.render().map_err(Error::internal)
    }

    async fn budget_check(&self, session_id: &str) -> Result<String> {
        let detail = self.ask("getSession", json!({"session_id": session_id})).await?;
        let spend = self.ask("getSpend", of_session(Some(session_id))).await?;
        let now = SystemClock.now();
        let (rate, projection) = project(&detail, now);
        let prompt = BudgetCheck {
            now: now.to_rfc3339(),
            session: Session::new(&detail),
            authorized: detail["spent"].to_string(),
            cost: spend["total_usd"].to_string(),
            actions: spend["action_count"].to_string(),
            rate,
            projection,
            by_tool: by_tool(&spend),
        };
        prompt.render().map_err(Error::internal)
    }
}

fn of_session(session_id: Option<&str>) -> Value {
    session_id.map_or_else(|| json!({}), |id| json!({"session_id": id}))
}

/// The rate of spending since the session began, and when the budget runs out at that rate. A projection for
/// people: floats will do.
fn project(detail: &Value, now: UnixMicros) -> (String, String) {
    #[allow(clippy::cast_precision_loss)]
    let now = now.0 as f64 / 1e6;
    let hours = ((now - detail["created_at"].as_f64().unwrap_or(now)) / 3600.0).max(1.0 / 3600.0);
    let per_hour = detail["spent"].as_f64().unwrap_or_default() / hours;
    let rate = format!("{per_hour:.2} USD an hour since the session began, {hours:.2} hours ago");
    let Some(left) = detail["remaining_budget"].as_f64() else {
        return (rate, "no budget, so it is never exhausted".to_owned());
    };
    if left <= 0.0 {
        return (rate, "the budget is exhausted".to_owned());
    }
    if per_hour <= 0.0 {
        return (rate, "nothing was spent yet, so no time can be projected".to_owned());
    }
    let end = now + left / per_hour * 3600.0;
    let expires = detail["expires_at"].as_f64().filter(|at| *at > 0.0);
    let before = match expires {
        Some(expires) if end < expires => ", before the session expires",
        Some(_) => ", after the session expires",
        None => "",
    };
    (rate, format!("exhausted in {:.2} hours, at {}{before}", left / per_hour, time(end)))
}

/// One entry in one line; what agents wrote is quoted, so that it is seen to be theirs.
fn line(entry: &Value) -> String {
    let at = time(entry["timestamp"].as_f64().unwrap_or_default());
    let mut line = format!("#{} {at} {} {}: {}", entry["seq"], entry["agent_id"], entry["tool"], entry["action"]);
    if entry["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0) {
        line += &format!(", {} USD", entry["cost_usd"]);
    }
    if entry["flagged"] == true {
        line += &format!(" [flagged: {}]", text(&entry["flag_reason"]));
    }
    if let Some(reason) = entry["details"]["reason"].as_str() {
        line += &format!(" [{reason}]");
    }
    line
}

fn by_tool(spend: &Value) -> String {
    let tools = spend["by_tool"].as_object().into_iter().flatten();
    list(tools.map(|(tool, cost)| format!("{tool:?} {cost} USD")))
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation)]
    UnixMicros((seconds * 1e6) as i64).to_rfc3339()
}
