//! The session that a call is made in. A client names it with each request, or as an argument; else it is the one that the
//! same client made last. Many clients keep no connection (all of 2026-07-28, and those that open one for each call), and no
//! model can set a header: for them, the key identifies the client.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{Context, tools::Outcome};
use crate::{
    error::{Code, Error, Result},
    interfaces::owner::{Owner, owner},
    model::{Credential, SessionId},
    operations::{self, Operation},
    protocol::meta::HALDIR_SESSION,
    relay::bound_session::BoundSession,
};

/// The header that names the session of a call.
pub const SESSION_HEADER: &str = "x-session-id";
/// The argument that names it.
pub const ARGUMENT: &str = "session_id";
/// Callers whose sessions are remembered; of more, those are forgotten that made theirs longest ago.
const MAX_CALLERS: usize = 4_096;

/// The sessions that callers without a lasting connection made last, by their key.
#[derive(Clone, Default)]
pub struct Standing {
    // A mutex that blocks its thread: held to look or to write, never across a wait.
    made: Arc<Mutex<Made>>,
}

#[derive(Default)]
struct Made {
    sessions: HashMap<Owner, (String, u64)>,
    count: u64,
}

impl Standing {
    /// The session that this caller made last.
    pub fn of(&self, credential: &Credential) -> Option<String> {
        self.made.lock().sessions.get(&owner(credential)).map(|(session, _)| session.clone())
    }

    /// Notes what came of a tool: a session that was made, or one that has ended.
    pub fn note(&self, credential: &Credential, operation: &Operation, outcome: &Outcome) {
        match change(operation, outcome) {
            Some(Change::Made(session)) => {
                let mut made = self.made.lock();
                made.count += 1;
                let count = made.count;
                made.sessions.insert(owner(credential), (session, count));
                if made.sessions.len() > MAX_CALLERS
                    && let Some(oldest) = made.sessions.iter().min_by_key(|(_, (_, at))| *at).map(|(owner, _)| *owner)
                {
                    made.sessions.remove(&oldest);
                }
            }
            Some(Change::Ended(session)) => {
                self.made.lock().sessions.retain(|_, (known, _)| *known != session);
            }
            None => {}
        }
    }
}

enum Change {
    Made(String),
    Ended(String),
}

fn change(operation: &Operation, outcome: &Outcome) -> Option<Change> {
    #[derive(Deserialize)]
    struct Named {
        session_id: String,
    }
    let change = match operation.name {
        "createSession" => Change::Made,
        "revokeSession" => Change::Ended,
        _ => return None,
    };
    if outcome.is_error {
        return None;
    }
    serde_json::from_str::<Named>(&outcome.json).ok().map(|named| change(named.session_id))
}

/// The session of the calls of one connection that name none.
#[derive(Default)]
pub struct Session {
    // A mutex that blocks its thread: held to look or to write, never across a wait.
    made: Mutex<Option<String>>,
    bound: Option<Arc<BoundSession>>,
    standing: Option<Standing>,
}

impl Session {
    /// Falls back to this one for a local agent.
    pub fn bind(&mut self, session: Arc<BoundSession>) {
        self.bound = Some(session);
    }

    /// Falls back to what the same caller made over another connection.
    pub fn stand_on(&mut self, standing: Standing) {
        self.standing = Some(standing);
    }

    /// A session that was made over this connection is the one that its next calls are made in.
    pub fn note(&self, credential: &Credential, operation: &Operation, outcome: &Outcome) {
        if let Some(standing) = &self.standing {
            standing.note(credential, operation, outcome);
        }
        let mut made = self.made.lock();
        match change(operation, outcome) {
            Some(Change::Made(session)) => *made = Some(session),
            Some(Change::Ended(session)) if made.as_ref() == Some(&session) => *made = None,
            _ => {}
        }
    }

    /// The session that the request itself names, outside of its arguments.
    pub fn named(context: &Context) -> Option<String> {
        let in_meta = context.meta.get(HALDIR_SESSION).and_then(Value::as_str).map(str::to_owned);
        let parts = context.extensions.get::<http::request::Parts>();
        let header = || parts?.headers.get(SESSION_HEADER)?.to_str().ok().map(str::to_owned);
        in_meta.or_else(header)
    }

    /// The session that this client made last, if it has made one.
    pub fn made_by(&self, credential: &Credential) -> Option<String> {
        let made = self.made.lock().clone();
        made.or_else(|| self.standing.as_ref()?.of(credential))
    }

    /// The session of a call, where neither its request nor its arguments name one.
    pub async fn of(&self, credential: &Credential) -> Result<String> {
        if let Some(session) = self.made_by(credential) {
            return Ok(session);
        }
        match (&self.bound, credential) {
            (Some(bound), Credential::LocalAgent) => bound.id().await.map(|id| id.to_string()),
            _ => Err(Error::new(
                Code::SessionInvalid,
                "the call names no session: call createSession first, and then this tool again; or give the id of a \
                 session as the argument session_id of this tool. A client may send it as the header X-Session-ID",
            )),
        }
    }
}

/// The arguments of an own tool, with the session of the connection where the tool needs one and they name none.
pub fn filled<'a>(operation: &Operation, arguments: &'a str, session: Option<&str>) -> Cow<'a, str> {
    let Some(session) = session else { return Cow::Borrowed(arguments) };
    let Ok(mut fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(arguments) else {
        return Cow::Borrowed(arguments);
    };
    let named = json!(session).to_string();
    let Ok(named) = serde_json::from_str::<&RawValue>(&named) else { return Cow::Borrowed(arguments) };
    if !uses_session(operation) || fields.get(ARGUMENT).is_some_and(|value| !says_nothing(value)) {
        return Cow::Borrowed(arguments);
    }
    fields.insert(ARGUMENT.to_owned(), named);
    serde_json::to_string(&fields).map_or(Cow::Borrowed(arguments), Cow::Owned)
}

/// Whether an own tool's arguments name a session, as far as it can be told without reading them.
pub fn may_name_one(arguments: &str) -> bool {
    arguments.contains("\"session_id\"") && arguments.contains(SessionId::PREFIX)
}

fn says_nothing(value: &RawValue) -> bool {
    matches!(value.get(), "null" | "\"\"")
}

/// An own tool whose session is optional, and is not what it looks for: an agent that replaces a secret needs one.
const USES_SESSION: &str = "storeSecret";

/// Whether the tool works in a session, so that it has to be named, or is better for it.
pub fn uses_session(operation: &Operation) -> bool {
    operation.name == USES_SESSION || needs_session(operation)
}

/// Whether the tool works in a session that has to be named.
pub fn needs_session(operation: &Operation) -> bool {
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let needs = |operation: &&Operation| {
            let schema = operation.input_schema().to_value();
            schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == ARGUMENT))
        };
        operations::all()
            .iter()
            .filter(|operation| operation.tool.is_some())
            .filter(needs)
            .map(|one| one.name)
            .collect()
    });
    NAMES.contains(&operation.name)
}

/// The session that the arguments of an upstream's tool name, and the arguments without it.
pub fn taken_from(arguments: &str) -> Option<(String, String)> {
    if !may_name_one(arguments) {
        return None;
    }
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(arguments).ok()?;
    let session: String = serde_json::from_str(fields.remove(ARGUMENT)?.get()).ok()?;
    SessionId::parse(&session).ok().filter(SessionId::is_well_formed)?;
    Some((session, serde_json::to_string(&fields).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf";

    #[test]
    fn a_session_is_filled_in_where_none_is_named_and_the_tool_needs_one() {
        let tool = |name: &str| operations::tool(name).unwrap();
        let named = |arguments: &str| {
            let filled = filled(tool("getSession"), arguments, Some(SESSION));
            serde_json::from_str::<Value>(&filled).unwrap()[ARGUMENT].clone()
        };
        for arguments in ["{}", r#"{"session_id":null}"#, r#"{"session_id":""}"#] {
            assert_eq!(named(arguments), SESSION, "{arguments}");
        }
        assert_eq!(named(r#"{"session_id":"ses_other"}"#), "ses_other");
        assert_eq!(filled(tool("getSpend"), "{}", Some(SESSION)), "{}", "there it is a filter");
        assert_eq!(filled(tool("getSession"), "{}", None), "{}");
    }

    #[test]
    fn a_session_among_the_arguments_of_an_upstreams_tool_is_taken_out_of_them() {
        let arguments = format!(r#"{{"n":1.50,"session_id":"{SESSION}","a":[]}}"#);
        assert_eq!(taken_from(&arguments), Some((SESSION.to_owned(), r#"{"a":[],"n":1.50}"#.to_owned())));
        for arguments in
            ["{}", r#"{"session_id":"abc"}"#, r#"{"session_id":"ses_1"}"#, r#"{"session_id":7,"x":"ses_"}"#]
        {
            assert_eq!(taken_from(arguments), None, "{arguments}");
        }
    }
}
