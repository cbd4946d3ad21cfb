//! `testProxyPolicy`.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{
    add_policy::{AddProxyPolicy, check},
    flow::key_subject,
    policy::{self, History, PolicyInput, PolicyResult, cedar},
    tool,
};
use crate::{
    approvals::arguments::Arguments,
    call::{ReadContext, ReadOperation},
    error::{Error, Result},
    model::{
        Entry, EntryId, Money, PinnedTool, Policy, PolicyDefinition, PolicyId, PolicyType, PolicyUse, Role, Session,
        SessionId, UnixMicros, UpstreamName, text::Text,
    },
    store::AuditQuery,
};

/// Calls that one test looks at.
const MAX_CALLS: i64 = 10_000;
/// Calls that it looks at unless it says otherwise.
const DEFAULT_CALLS: i64 = 1_000;
/// Entries that it reads to find them.
const MAX_ENTRIES: usize = 100_000;
/// Entries at a time.
const PAGE: usize = 1_000;
/// What the log calls an operator at the terminal.
const OPERATOR: &str = "operator";
/// Refusals that are listed.
const MAX_LISTED: usize = 100;

/// Show what a policy would have refused of the newest calls in the log, without adding it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = like_a_policy_that_is_added)]
pub struct TestProxyPolicy {
    /// The kind of policy.
    #[serde(rename = "type")]
    policy_type: PolicyType,
    /// As addProxyPolicy has it.
    tool: Option<Text<1, 256>>,
    /// As addProxyPolicy has it.
    tools: Option<Vec<Text<1, 256>>>,
    /// As addProxyPolicy has it.
    max: Option<Money>,
    /// As addProxyPolicy has it.
    argument: Option<Text<1, 256>>,
    /// As addProxyPolicy has it.
    max_per_minute: Option<i64>,
    /// As addProxyPolicy has it.
    start_hour: Option<i64>,
    /// As addProxyPolicy has it.
    end_hour: Option<i64>,
    /// As addProxyPolicy has it.
    cedar: Option<Text<1, { cedar::MAX_BYTES }>>,
    /// Makes no difference here.
    dry_run: Option<bool>,
    /// How many of the newest calls to look at. Default: 1000.
    #[schemars(range(min = 1, max = MAX_CALLS), extend("default" = DEFAULT_CALLS))]
    calls: Option<i64>,
}

/// What the policy would have done.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyTested {
    /// Calls that were looked at.
    pub calls: usize,
    /// Calls of the log that could not be: their arguments were not kept, or have been erased.
    pub skipped: usize,
    /// How many would have been refused.
    pub would_refuse: usize,
    /// How many of these were made: what the policy would change.
    pub were_made: usize,
    /// The newest of those that would have been refused, at most 100.
    pub refusals: Vec<WouldRefuse>,
}

/// A call that would have been refused.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WouldRefuse {
    /// Its entry in the log.
    pub entry_id: EntryId,
    /// `upstream.tool`.
    pub tool: String,
    /// The agent of the call.
    pub agent_id: String,
    /// When it was, by RFC 3339.
    pub at: String,
    /// What became of it: made, held or refused.
    pub was: Cow<'static, str>,
    /// Why it would have been refused.
    pub reason: String,
}

/// A call as the log has it.
struct Recorded {
    entry: Entry,
    tool: String,
    arguments: Arguments,
}

/// As far as the details of an entry matter here.
#[derive(Deserialize)]
struct Details {
    tool: String,
    arguments: Option<Box<RawValue>>,
}

/// Copies the bounds of [`AddProxyPolicy`].
fn like_a_policy_that_is_added(schema: &mut Schema) {
    let added = schemars::schema_for!(AddProxyPolicy).to_value();
    schema.insert("allOf".to_owned(), added["allOf"].clone());
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, said) in properties.into_iter().flatten() {
        if let Some(bounds) = added["properties"].get(name).filter(|bounds| !bounds.to_string().contains("$ref")) {
            *said = bounds.clone();
        }
    }
}

impl ReadOperation for TestProxyPolicy {
    type Output = PolicyTested;

    fn run(self, cx: &ReadContext<'_>) -> Result<PolicyTested> {
        let most = self.calls.unwrap_or(DEFAULT_CALLS);
        if !(1..=MAX_CALLS).contains(&most) {
            return Err(Error::invalid("calls", format!("calls must be from 1 to {MAX_CALLS}")));
        }
        let most = usize::try_from(most).map_err(Error::internal)?;
        let policy = self.policy()?;
        let (mut recorded, skipped) = recorded(cx, most)?;
        // In the order in which they were made: a rate is counted forward.
        recorded.reverse();
        let mut tested =
            PolicyTested { calls: recorded.len(), skipped, would_refuse: 0, were_made: 0, refusals: Vec::new() };
        let mut replay = Replay::default();
        for call in recorded {
            if let Some(refusal) = replay.asked(cx, &policy, &call)? {
                tested.would_refuse += 1;
                tested.were_made += usize::from(refusal.was == "made");
                tested.refusals.push(refusal);
            }
        }
        tested.refusals.reverse();
        tested.refusals.truncate(MAX_LISTED);
        Ok(tested)
    }
}

impl TestProxyPolicy {
    fn policy(self) -> Result<Policy> {
        let definition = PolicyDefinition {
            policy_type: self.policy_type,
            tool: self.tool.map(Text::into_string),
            tools: self.tools.map(|tools| tools.into_iter().map(Text::into_string).collect()),
            max: self.max,
            argument: self.argument.map(Text::into_string),
            max_per_minute: self.max_per_minute,
            start_hour: self.start_hour,
            end_hour: self.end_hour,
            cedar: self.cedar.map(Text::into_string),
            dry_run: self.dry_run.unwrap_or(false),
        };
        check(&definition)?;
        let id = PolicyId::parse("pol_tested").map_err(Error::internal)?;
        Ok(Policy { id, definition, created_at: UnixMicros::default(), created_by: String::new() })
    }
}

/// The newest calls in the log, newest first, and how many were passed over.
fn recorded(cx: &ReadContext<'_>, most: usize) -> Result<(Vec<Recorded>, usize)> {
    let (mut found, mut skipped, mut read) = (Vec::new(), 0, 0);
    let mut query = AuditQuery { limit: PAGE, ..AuditQuery::default() };
    while read < MAX_ENTRIES {
        let page = cx.tx.entries(&cx.caller.tenant, &query)?;
        read += page.entries.len();
        // What cannot be read as an entry is tampering, which verification reports.
        for entry in page.entries.into_iter().flatten() {
            if was(&entry.action).is_none() {
                continue;
            }
            match call_of(entry) {
                Some(call) => found.push(call),
                None => skipped += 1,
            }
            if found.len() == most {
                return Ok((found, skipped));
            }
        }
        match page.older_than {
            Some(seq) => query.before_seq = Some(seq),
            None => break,
        }
    }
    Ok((found, skipped))
}

fn call_of(entry: Entry) -> Option<Recorded> {
    let details: Details = serde_json::from_str(entry.details.as_deref()?).ok()?;
    let arguments = Arguments::parse(details.arguments?.get()).ok()?;
    Some(Recorded { entry, tool: details.tool, arguments })
}

/// What became of the call that an entry tells of.
fn was(action: &str) -> Option<&'static str> {
    match action {
        "proxyCall.begin" => Some("made"),
        "proxyCall.held" => Some("held"),
        "proxyCall.denied" => Some("refused"),
        _ => None,
    }
}

/// The calls that were looked at so far, as if the policy had held.
#[derive(Default)]
struct Replay {
    /// When calls were let through, by subject.
    passed: HashMap<String, Vec<i64>>,
    /// Sessions and keys that have read from a source.
    tainted: HashSet<String>,
    sessions: HashMap<String, Option<Arc<Session>>>,
    tools: HashMap<String, Option<Arc<PinnedTool>>>,
    /// Whether calls count for the key that made them, by what the log calls it.
    bound: HashMap<String, bool>,
}

/// What happened before one of them.
struct Before<'a> {
    cx: &'a ReadContext<'a>,
    replay: &'a Replay,
    input: &'a PolicyInput<'a>,
}

impl History for Before<'_> {
    fn is_clear(&self) -> Result<bool> {
        tool::bare_is_clear(self.cx.tx, &self.cx.caller.tenant, self.input.tool)
    }

    fn used(&self, _: &PolicyId, subject: &str, after: i64) -> Result<i64> {
        let times = self.replay.passed.get(subject).map(Vec::as_slice).unwrap_or_default();
        i64::try_from(times.iter().filter(|time| **time > after).count()).map_err(Error::internal)
    }

    fn tainted(&self) -> Result<bool> {
        let of_key = self.input.bound_key.map(key_subject);
        let tainted = &self.replay.tainted;
        Ok(tainted.contains(self.input.session_id) || of_key.is_some_and(|subject| tainted.contains(&subject)))
    }
}

impl Replay {
    fn asked(&mut self, cx: &ReadContext<'_>, policy: &Policy, call: &Recorded) -> Result<Option<WouldRefuse>> {
        let (upstream, tool) = call.tool.split_once('.').unwrap_or(("", &call.tool));
        let Entry { agent_id, session_id, at, .. } = &call.entry;
        // Both as they are now: the log does not have them as they were.
        let (session, pinned) = (self.session(cx, session_id)?, self.tool(cx, upstream, tool)?);
        let bound = self.is_bound(cx, &call.entry.actor)?;
        let input = PolicyInput {
            tenant: &cx.caller.tenant,
            key: &call.entry.actor,
            bound_key: bound.then_some(call.entry.actor.as_str()),
            session_id,
            session: session.as_deref(),
            agent: agent_id,
            upstream,
            tool,
            pinned: pinned.as_deref(),
            arguments: call.arguments.canonical(),
            at: *at,
        };
        let said = policy::ask(policy, &input, &Before { cx, replay: self, input: &input })?;
        let became = was(&call.entry.action).unwrap_or_default();
        let refused = |reason: String| WouldRefuse {
            entry_id: call.entry.id.clone(),
            tool: call.tool.clone(),
            agent_id: agent_id.clone(),
            at: at.to_rfc3339(),
            was: became.into(),
            reason,
        };
        let counted = match said {
            PolicyResult::Forbidden(reason, _) => return Ok(Some(refused(reason))),
            PolicyResult::Ask(reason, ..) => {
                return Ok(Some(refused(format!("it would wait for an approval: {reason}"))));
            }
            PolicyResult::Pass(_, counted) => counted,
            PolicyResult::Nothing => Vec::new(),
        };
        if became == "made" {
            for PolicyUse { subject, at: counted, .. } in counted {
                let times = self.passed.entry(subject).or_default();
                times.retain(|time| *time > policy::window_start(*at));
                times.push(counted);
            }
            if pinned.is_some_and(|tool| tool.marks.source) {
                self.tainted.insert(session_id.clone());
                if bound {
                    self.tainted.insert(key_subject(&call.entry.actor));
                }
            }
        }
        Ok(None)
    }

    /// Whether the calls of `actor` count for its key: those of operators do not.
    fn is_bound(&mut self, cx: &ReadContext<'_>, actor: &str) -> Result<bool> {
        if let Some(known) = self.bound.get(actor) {
            return Ok(*known);
        }
        let keys = cx.tx.api_keys_by_prefix(actor)?;
        let key = keys.iter().find(|key| key.tenant == cx.caller.tenant);
        let bound = key.map_or(actor != OPERATOR, |key| key.role == Role::Agent);
        self.bound.insert(actor.to_owned(), bound);
        Ok(bound)
    }

    fn session(&mut self, cx: &ReadContext<'_>, id: &str) -> Result<Option<Arc<Session>>> {
        if let Some(known) = self.sessions.get(id) {
            return Ok(known.clone());
        }
        let parsed = SessionId::parse(id).ok();
        let found = parsed.map(|id| cx.tx.session(&cx.caller.tenant, &id)).transpose()?.flatten();
        self.sessions.insert(id.to_owned(), found.clone());
        Ok(found)
    }

    fn tool(&mut self, cx: &ReadContext<'_>, upstream: &str, tool: &str) -> Result<Option<Arc<PinnedTool>>> {
        let name = format!("{upstream}.{tool}");
        if let Some(known) = self.tools.get(&name) {
            return Ok(known.clone());
        }
        let upstream = UpstreamName::parse(upstream).ok();
        let found = upstream.map(|upstream| cx.tx.pinned_tool(&cx.caller.tenant, &upstream, tool)).transpose()?;
        let found = found.flatten();
        self.tools.insert(name, found.clone());
        Ok(found)
    }
}
