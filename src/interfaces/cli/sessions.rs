//! `haldir sessions`: who may do what, for how long, and at whose request.

mod create;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{
    GlobalOptions, Screen, Stop,
    output::{amounts::dollars, line, note, printable, table, when},
    target::Target,
};
use crate::{
    error::{Code, Error, Result},
    model::{Clock, Money, UnixMicros, time::SystemClock},
};

/// Sessions in one answer.
const PAGE: i64 = 1_000;
/// Pages that are read for the sessions that are wanted.
const MAX_PAGES: usize = 20;

#[derive(Subcommand)]
pub enum SessionsCommand {
    /// List sessions, newest first: those that may act now, or all.
    #[command(after_help = "Examples:\n  haldir sessions list\n  haldir sessions list --agent research-bot --all\n  \
                            haldir sessions list --json | jq -r '.sessions[].session_id'")]
    List(ListOptions),
    /// Make a session for an agent: what it may do, with which budget, and for how long.
    #[command(after_help = create::HELP)]
    Create(create::CreateOptions),
    /// Show a session: what it may do, what it has spent, and who delegated to it.
    #[command(after_help = "Example:\n  haldir sessions show ses_7QngysoIEvGaPOxlVku1WvEJ5V1G1Q9u")]
    Show(SessionArgument),
    /// Show a session with all sessions below it.
    #[command(after_help = "Example:\n  haldir sessions tree ses_7QngysoIEvGaPOxlVku1WvEJ5V1G1Q9u")]
    Tree(SessionArgument),
    /// End a session, and all sessions below it, now and for good.
    #[command(after_help = "Example:\n  haldir sessions revoke ses_7QngysoIEvGaPOxlVku1WvEJ5V1G1Q9u")]
    Revoke(SessionArgument),
}

#[derive(Args)]
pub struct ListOptions {
    /// Only this agent's.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Those that have ended as well.
    #[arg(long)]
    all: bool,
    /// How many at most.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100,
        value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
}

#[derive(Args)]
pub struct SessionArgument {
    /// The session's id, or so much of its beginning that no other one has it.
    #[arg(value_name = "SESSION")]
    session: String,
}

#[derive(Deserialize)]
struct Page {
    sessions: Vec<Box<RawValue>>,
    next_cursor: Option<Value>,
}

#[derive(Deserialize)]
struct Below {
    descendants: Vec<Session>,
    truncated: bool,
}

/// A session as haldir shows it.
#[derive(Deserialize)]
pub struct Session {
    #[serde(rename = "session_id")]
    id: String,
    /// Whose it is.
    pub agent_id: String,
    scopes: Vec<String>,
    spend_limit: Option<Money>,
    spent: Money,
    remaining_budget: Option<Money>,
    /// When it was made.
    pub created_at: UnixMicros,
    expires_at: UnixMicros,
    /// Whether it may act now.
    pub is_valid: bool,
    revoked: bool,
    parent_session_id: String,
    /// What it has logged.
    pub action_count: i64,
    /// As cost.
    pub logged_cost_usd: Money,
}

impl Session {
    /// Its state in a word.
    fn state(&self, now: UnixMicros) -> &'static str {
        match self {
            Self { is_valid: true, .. } => "active",
            Self { revoked: true, .. } => "revoked",
            Self { expires_at, .. } if expires_at.0 != 0 && *expires_at <= now => "expired",
            // A session above it, or its key, has ended.
            _ => "ended",
        }
    }

    /// When it ends by itself; one that has ended before its time says that instead.
    fn ends(&self, now: UnixMicros) -> String {
        match self.state(now) {
            "revoked" => "was revoked".to_owned(),
            "ended" => "has ended".to_owned(),
            _ if self.expires_at.0 == 0 => "never".to_owned(),
            _ => when(self.expires_at),
        }
    }

    fn spending(&self) -> String {
        let spent = dollars(self.spent);
        self.spend_limit.map_or_else(|| spent.clone(), |limit| format!("{spent} of {}", dollars(limit)))
    }
}

pub fn run(command: &SessionsCommand, global: &GlobalOptions, screen: Screen) -> std::result::Result<ExitCode, Stop> {
    let target = Target::open(global)?;
    match command {
        SessionsCommand::List(options) => list(options, &target, screen),
        SessionsCommand::Create(options) => create::run(options, &target, screen),
        SessionsCommand::Show(which) => show(&whole_id(&target, &which.session)?, &target, screen),
        SessionsCommand::Tree(which) => tree(&whole_id(&target, &which.session)?, &target, screen),
        SessionsCommand::Revoke(which) => revoke(&whole_id(&target, &which.session)?, &target, screen),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The session whose id begins like this.
fn whole_id(target: &Target, given: &str) -> Result<String> {
    let answer = target.call_value("listSessions", &json!({"id_prefix": given, "limit": 2}))?;
    let ids: Vec<_> =
        answer["sessions"].as_array().into_iter().flatten().filter_map(|one| one["session_id"].as_str()).collect();
    match ids.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => {
            let message =
                format!("no session has an id that begins with {given}: `haldir sessions list --all` lists them");
            Err(Error::new(Code::NotFound, message).field("session"))
        }
        _ if ids.contains(&given) => Ok(given.to_owned()),
        _ => Err(Error::invalid("session", "more than one session has an id that begins like this: write more of it")),
    }
}

/// Hands over each session, newest first, as it is and as it was written, until `each` has seen enough; answers whether there
/// are more than were read.
pub fn each(
    target: &Target,
    agent: Option<&str>,
    each: &mut dyn FnMut(Session, Box<RawValue>) -> bool,
) -> Result<bool> {
    let mut cursor = Value::Null;
    for _ in 0..MAX_PAGES {
        let input = json!({"agent_id": agent, "limit": PAGE, "cursor": cursor}).to_string();
        let reply = target.call("listSessions", &input)?;
        let page: Page = serde_json::from_str(&reply.body).map_err(Error::internal)?;
        for written in page.sessions {
            let session = serde_json::from_str(written.get()).map_err(Error::internal)?;
            if !each(session, written) {
                return Ok(true);
            }
        }
        match page.next_cursor {
            Some(next) => cursor = next,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// The list, for programs: amounts as they were written.
#[derive(Serialize)]
struct Listed {
    sessions: Vec<Box<RawValue>>,
    more: bool,
}

fn list(options: &ListOptions, target: &Target, screen: Screen) -> std::result::Result<(), Stop> {
    let (mut sessions, mut written) = (Vec::new(), Vec::new());
    let more = each(target, options.agent.as_deref(), &mut |session, text| {
        if sessions.len() == usize::from(options.limit) {
            return false;
        }
        if options.all || session.is_valid {
            sessions.push(session);
            written.push(text);
        }
        true
    })?;
    if screen.json {
        let listed = Listed { sessions: written, more };
        return line(&serde_json::to_string(&listed).map_err(Error::internal)?);
    }
    if sessions.is_empty() {
        let none = "no session may act now: --all shows those that have ended";
        return line(if options.all { "there is no session" } else { none });
    }
    let now = SystemClock.now();
    let row = |session: &Session| {
        let scopes = session.scopes.join(" ");
        let (state, actions) = (session.state(now).to_owned(), session.action_count.to_string());
        let (id, agent) = (session.id.clone(), session.agent_id.clone());
        // Without --all every one is active: an empty column is left out.
        let state = if options.all || !screen.is_terminal() { state } else { String::new() };
        vec![id, agent, state, scopes, session.spending(), actions, session.ends(now)]
    };
    let rows: Vec<_> = sessions.iter().map(row).collect();
    table(&["SESSION", "AGENT", "STATE", "SCOPES", "SPENT", "LOGGED", "ENDS"], &rows)?;
    if more {
        note("there are more: -n for more of them");
    }
    Ok(())
}

fn session(target: &Target, id: &str) -> Result<(Session, String)> {
    let reply = target.call("getSession", &json!({"session_id": id}).to_string())?;
    Ok((serde_json::from_str(&reply.body).map_err(Error::internal)?, reply.body.to_string()))
}

fn show(id: &str, target: &Target, screen: Screen) -> std::result::Result<(), Stop> {
    let (session, text) = session(target, id)?;
    if screen.json {
        return line(&text);
    }
    let now = SystemClock.now();
    let budget = session.spend_limit.map_or_else(|| "no limit of its own".to_owned(), dollars);
    let left = session.remaining_budget.map_or_else(String::new, dollars);
    let rows = [
        ("agent", session.agent_id.clone()),
        ("state", session.state(now).to_owned()),
        ("scopes", session.scopes.join(" ")),
        ("budget", budget),
        ("spent", dollars(session.spent)),
        ("left", left),
        ("logged cost", dollars(session.logged_cost_usd)),
        ("actions", session.action_count.to_string()),
        ("created", when(session.created_at)),
        ("ends", session.ends(now)),
        ("delegated by", session.parent_session_id.clone()),
    ];
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    let rows: Vec<_> = rows.map(|(name, value)| vec![name.to_owned(), value]).collect();
    table(&["session", &session.id], &rows)
}

fn tree(id: &str, target: &Target, screen: Screen) -> std::result::Result<(), Stop> {
    let (top, _) = session(target, id)?;
    let reply = target.call("listDescendants", &json!({"session_id": id}).to_string())?;
    if screen.json {
        return line(&reply.body);
    }
    let below: Below = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let now = SystemClock.now();
    branch(&top, &below.descendants, 0, now)?;
    if below.truncated {
        note("there are more sessions below than one answer holds");
    }
    Ok(())
}

/// A session and those below it, each indented under the one that delegated to it.
fn branch(session: &Session, all: &[Session], depth: usize, now: UnixMicros) -> std::result::Result<(), Stop> {
    let text = format!(
        "{}{}  {}  {}  {}  {}",
        "  ".repeat(depth),
        session.id,
        session.agent_id,
        session.state(now),
        session.spending(),
        session.scopes.join(" ")
    );
    line(&printable(&text))?;
    let children = all.iter().filter(|other| other.parent_session_id == session.id);
    children.into_iter().try_for_each(|child| branch(child, all, depth + 1, now))
}

fn revoke(id: &str, target: &Target, screen: Screen) -> std::result::Result<(), Stop> {
    let reply = target.call("revokeSession", &json!({"session_id": id}).to_string())?;
    if screen.json {
        return line(&reply.body);
    }
    let answer: Value = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let below = match answer["cascade_revoked_count"].as_u64().unwrap_or_default() {
        0 => String::new(),
        1 => ", and one session below it".to_owned(),
        count => format!(", and {count} sessions below it"),
    };
    line(&format!("ended {id}{below}"))
}
