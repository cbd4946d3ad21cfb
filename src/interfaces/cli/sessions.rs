//! `haldir sessions`: what agents may do, for how long, and at whose request.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    output::{amounts::dollars, facts, line, note, printable, table_or, when},
    target::Target,
};
use crate::{
    config::duration::parse_seconds,
    error::{Code, Error, Result},
    gate::{
        create_session::SessionCreated, list_descendants::Descendants, list_sessions::SessionList,
        revoke_session::SessionRevoked, session_detail::SessionDetail,
    },
    model::{Clock, Money, Scope, Scopes, UnixMicros, time::SystemClock},
};

/// Sessions in one response.
const PAGE: i64 = 1_000;
/// Pages that are read for the sessions that are wanted.
const MAX_PAGES: usize = 20;
#[derive(Subcommand)]
pub enum SessionsCommand {
    /// List sessions, newest first: those that may act now, or all.
    List(ListOptions),
    /// Make a session for an agent: what it may do, with which budget, and for how long.
    Create(CreateOptions),
    /// Show a session: what it may do, what it has spent, and who delegated to it.
    Show(SessionArgument),
    /// Show a session with all sessions below it.
    Tree(SessionArgument),
    /// End a session, and all sessions below it, now and for good.
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

/// The input of `createSession`.
#[derive(Args, Clone, Serialize)]
pub struct CreateOptions {
    /// The agent's name. What it does in the session is logged under it.
    #[arg(value_name = "AGENT")]
    agent_id: String,
    /// What the session may do, with commas between. Default: read and browse, and spend if --spend is given.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    scopes: Option<Vec<String>>,
    /// The most that it may spend, in USD: payments and the costs of tools.
    #[arg(long = "spend", value_name = "USD", value_parser = amount)]
    spend_limit: Option<Money>,
    /// The most that it and the agent's other sessions with such a limit may spend in a UTC day, in USD.
    #[arg(long = "spend-a-day", value_name = "USD", value_parser = amount)]
    daily_spend_limit: Option<Money>,
    /// How long it lasts, such as 30m, 1h or 7d; 0 is for good.
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = parse_seconds)]
    ttl: i64,
    /// The session that delegates to it; the new one stays within that one's scopes and budget.
    #[arg(long = "parent", value_name = "SESSION")]
    parent_session_id: Option<String>,
}

/// A session's state in a word.
fn state(session: &SessionDetail, now: UnixMicros) -> &'static str {
    match session {
        SessionDetail { is_valid: true, .. } => "active",
        SessionDetail { revoked: true, .. } => "revoked",
        SessionDetail { expires_at, .. } if expires_at.0 != 0 && *expires_at <= now => "expired",
        // A session above it, or its key, has ended.
        _ => "ended",
    }
}

/// When a session ends by itself; one that has ended before its time says that instead.
fn ends(session: &SessionDetail, now: UnixMicros) -> String {
    match state(session, now) {
        "revoked" => "was revoked".to_owned(),
        "ended" => "has ended".to_owned(),
        _ if session.expires_at.0 == 0 => "never".to_owned(),
        _ => when(session.expires_at),
    }
}

fn spending(session: &SessionDetail) -> String {
    let spent = dollars(session.spent);
    session.spend_limit.map_or_else(|| spent.clone(), |limit| format!("{spent} of {}", dollars(limit)))
}

fn separated(scopes: &Scopes) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

fn amount(text: &str) -> std::result::Result<Money, String> {
    text.parse().map_err(|problem| format!("`{text}` is no amount in USD: {problem}"))
}

pub fn run(command: &SessionsCommand, global: &GlobalOptions) -> Result<(), CommandError> {
    let target = Target::open(global)?;
    match command {
        SessionsCommand::List(options) => list(options, &target, global),
        SessionsCommand::Create(options) => create(options, &target, global),
        SessionsCommand::Show(which) => show(&whole_id(&target, &which.session)?, &target, global),
        SessionsCommand::Tree(which) => tree(&whole_id(&target, &which.session)?, &target, global),
        SessionsCommand::Revoke(which) => revoke(&whole_id(&target, &which.session)?, &target, global),
    }
}

/// The session whose id begins like this.
fn whole_id(target: &Target, given: &str) -> Result<String> {
    let SessionList { sessions, .. } = target.read("listSessions", json!({"id_prefix": given, "limit": 2}))?;
    match sessions.as_slice() {
        [one] => Ok(one.session_id.to_string()),
        [] => {
            let message =
                format!("no session has an id that begins with {given}: `haldir sessions list --all` lists them");
            Err(Error::new(Code::NotFound, message).field("session"))
        }
        several if several.iter().any(|session| session.session_id.as_str() == given) => Ok(given.to_owned()),
        _ => Err(Error::invalid("session", "more than one session has an id that begins like this: write more of it")),
    }
}

/// Hands over each session, newest first, until `each` returns false; returns whether there are more than were read.
pub fn each(target: &Target, agent: Option<&str>, each: &mut dyn FnMut(SessionDetail) -> bool) -> Result<bool> {
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let input = json!({"agent_id": agent, "limit": PAGE, "cursor": cursor});
        let page: SessionList = target.read("listSessions", input)?;
        for session in page.sessions {
            if !each(session) {
                return Ok(true);
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The list, for programs.
#[derive(Serialize)]
struct SessionReport {
    sessions: Vec<SessionDetail>,
    more: bool,
}

fn list(options: &ListOptions, target: &Target, global: &GlobalOptions) -> Result<(), CommandError> {
    let mut sessions = Vec::new();
    let more = each(target, options.agent.as_deref(), &mut |session| {
        let is_full = sessions.len() == usize::from(options.limit);
        if !is_full && (options.all || session.is_valid) {
            sessions.push(session);
        }
        !is_full
    })?;
    if global.json {
        let listed = SessionReport { sessions, more };
        return line(&serde_json::to_string(&listed).map_err(Error::internal)?);
    }
    let none =
        if options.all { "there is no session" } else { "no session may act now: --all shows those that have ended" };
    let (now, shows_state) = (SystemClock.now(), options.all || !global.screen().is_terminal());
    let row = |session: &SessionDetail| {
        // Without --all every session is active: the terminal leaves out a column that is empty.
        let state = if shows_state { state(session, now).to_owned() } else { String::new() };
        let (id, agent, actions) = (session.session_id.to_string(), session.agent_id.clone(), session.action_count);
        vec![id, agent, state, separated(&session.scopes), spending(session), actions.to_string(), ends(session, now)]
    };
    let header = ["SESSION", "AGENT", "STATE", "SCOPES", "SPENT", "LOGGED", "ENDS"];
    table_or(none, &header, sessions.iter().map(row))?;
    if more {
        note("there are more: -n for more of them");
    }
    Ok(())
}

fn create(options: &CreateOptions, target: &Target, global: &GlobalOptions) -> Result<(), CommandError> {
    let mut options = options.clone();
    if options.scopes.is_none() && (options.spend_limit.is_some() || options.daily_spend_limit.is_some()) {
        options.scopes = Some(["read", "browse", "spend"].map(str::to_owned).to_vec());
    }
    target.show(global, "createSession", options, |created: SessionCreated| line(created.session_id.as_str()))
}

fn show(id: &str, target: &Target, global: &GlobalOptions) -> Result<(), CommandError> {
    target.show(global, "getSession", json!({"session_id": id}), |session: SessionDetail| {
        let now = SystemClock.now();
        let rows = [
            ("agent", session.agent_id.clone()),
            ("state", state(&session, now).to_owned()),
            ("scopes", separated(&session.scopes)),
            ("budget", session.spend_limit.map_or_else(|| "no limit of its own".to_owned(), dollars)),
            ("spent", dollars(session.spent)),
            ("left", session.remaining_budget.map_or_else(String::new, dollars)),
            ("logged cost", dollars(session.logged_cost_usd)),
            ("actions", session.action_count.to_string()),
            ("created", when(session.created_at)),
            ("ends", ends(&session, now)),
            ("delegated by", session.parent_session_id.clone()),
        ];
        facts(["session", session.session_id.as_str()], rows)
    })
}

fn tree(id: &str, target: &Target, global: &GlobalOptions) -> Result<(), CommandError> {
    let input = json!({"session_id": id});
    let top: SessionDetail = target.read("getSession", &input)?;
    target.show(global, "listDescendants", &input, |below: Descendants| {
        branch(&top, &below.descendants, 0, SystemClock.now())?;
        if below.truncated {
            note("there are more sessions below than one answer holds");
        }
        Ok(())
    })
}

/// A session and those below it, each indented under the one that delegated to it.
fn branch(session: &SessionDetail, all: &[SessionDetail], depth: usize, now: UnixMicros) -> Result<(), CommandError> {
    let (indent, id) = ("  ".repeat(depth), session.session_id.as_str());
    let (spent, scopes) = (spending(session), separated(&session.scopes));
    let text = format!("{indent}{id}  {}  {}  {spent}  {scopes}", session.agent_id, state(session, now));
    line(&printable(&text))?;
    let mut children = all.iter().filter(|other| other.parent_session_id == id);
    children.try_for_each(|child| branch(child, all, depth + 1, now))
}

fn revoke(id: &str, target: &Target, global: &GlobalOptions) -> Result<(), CommandError> {
    target.show(global, "revokeSession", json!({"session_id": id}), |revoked: SessionRevoked| {
        let below = match revoked.cascade_revoked_count {
            0 => String::new(),
            1 => ", and one session below it".to_owned(),
            count => format!(", and {count} sessions below it"),
        };
        line(&format!("ended {id}{below}"))
    })
}
