//! The tables besides the log: each is walked in the order of its keys, a bounded number of rows at a time, since nothing
//! but that leads to the rows of one agent.

use super::{
    super::{posting_lists, stats::EVER},
    ERASED, Records, RecordsStep, Subject,
};
use crate::{
    Tx,
    database::params,
    error::Result,
    model::{TenantId, UnixMicros},
    statements::statements,
};

/// Rows that one step looks at.
const ROWS_AT_ONCE: usize = 1_000;
/// Bytes of texts after which a step ends, whatever its rows.
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;
/// Sessions that one step erases: each has rows in other tables.
const SESSIONS_AT_ONCE: usize = 50;
/// Days of an agent's counters that one step looks at.
const DAYS_AT_ONCE: i64 = 1_000;
/// Rows that lead to an agent's entries, deleted in one step.
const POSTINGS_AT_ONCE: usize = 2_000;
/// Separates the parts of a key in a position: no key has a line feed.
const SEPARATOR: char = '\n';

statements! {
    APPROVALS_AFTER = "SELECT id, session_id, agent_id FROM approvals WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    DELETE_APPROVAL = "DELETE FROM approvals WHERE tenant = ?1 AND id = ?2";
    PAYMENTS_AFTER = "SELECT id, session_id, agent_id FROM authorizations WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    DELETE_PAYMENT = "DELETE FROM authorizations WHERE tenant = ?1 AND id = ?2";
    EVENTS_AFTER = "SELECT webhook_id, seq, event_id, body FROM webhook_outbox WHERE tenant = ?1
        AND (webhook_id, seq) > (?2, ?3) ORDER BY webhook_id, seq LIMIT ?4";
    DELETE_WAITING = "DELETE FROM webhook_outbox WHERE tenant = ?1 AND webhook_id = ?2 AND seq = ?3";
    ONE_WAITS_LESS = "UPDATE webhooks SET waiting = max(0, waiting - 1) WHERE tenant = ?1 AND id = ?2";
    LETTERS_AFTER = "SELECT webhook_id, seq, event_id, body FROM webhook_dead WHERE tenant = ?1
        AND (webhook_id, seq) > (?2, ?3) ORDER BY webhook_id, seq LIMIT ?4";
    DELETE_LETTER = "DELETE FROM webhook_dead WHERE tenant = ?1 AND webhook_id = ?2 AND seq = ?3";
    BLANK_ATTEMPTS = "UPDATE webhook_attempts INDEXED BY webhook_attempts_by_event SET excerpt = '', error = ''
        WHERE tenant = ?1 AND event_id = ?2";
    ANSWERS_AFTER = "SELECT caller, key, session_id, body FROM idempotency WHERE tenant = ?1 AND (caller, key) > (?2, ?3)
        ORDER BY caller, key LIMIT ?4";
    BLANK_ANSWER = "UPDATE idempotency SET body = NULL, session_id = '' WHERE tenant = ?1 AND caller = ?2 AND key = ?3";
    FEWER_ANSWER_BYTES = "UPDATE kept_answers SET bytes = max(0, bytes - ?2) WHERE tenant = ?1";
    SESSIONS_OF_AGENT_UP_TO = "SELECT id FROM sessions INDEXED BY sessions_by_agent WHERE tenant = ?1 AND agent_id = ?2
        AND created_at <= ?3 ORDER BY created_at LIMIT ?4";
    END_CHILDREN = "UPDATE sessions INDEXED BY sessions_by_parent SET parent = NULL, revoked_at = ifnull(revoked_at, ?3)
        WHERE tenant = ?1 AND parent = ?2";
    DELETE_SESSION = "DELETE FROM sessions WHERE tenant = ?1 AND id = ?2";
    DELETE_TAINT = "DELETE FROM session_taints WHERE tenant = ?1 AND session_id = ?2";
    DELETE_EXHAUSTED = "DELETE FROM webhook_exhausted WHERE tenant = ?1 AND session_id = ?2";
    DELETE_TALLIES = "DELETE FROM tool_tallies WHERE tenant = ?1 AND of = ?2";
    FIRST_AND_LAST_DAY = "SELECT (SELECT day FROM audit_days WHERE tenant = ?1 AND day >= 0 ORDER BY day LIMIT 1),
        (SELECT day FROM audit_days WHERE tenant = ?1 AND day >= 0 ORDER BY day DESC LIMIT 1)";
    DELETE_DAY = "DELETE FROM audit_days WHERE tenant = ?1 AND day = ?2 AND of = ?3";
    POLICY_IDS = "SELECT id FROM policies WHERE tenant = ?1 AND id > '' ORDER BY id";
    DELETE_USES = "DELETE FROM policy_uses WHERE tenant = ?1 AND policy = ?2 AND subject = ?3";
    RENAME_AGENT = "UPDATE agents SET agent_id = ?3, burst_start = 0, burst_count = 0, refusal_start = 0,
        refusal_count = 0, secret_start = 0, secret_count = 0 WHERE tenant = ?1 AND agent_id = ?2
        AND NOT EXISTS (SELECT 1 FROM agents WHERE tenant = ?1 AND agent_id = ?3)";
    // Totals stop at the largest integer instead of becoming a float.
    JOIN_AGENTS = "UPDATE agents SET actions = agents.actions + other.actions,
        cost = min(agents.cost, 9223372036854775807 - other.cost) + other.cost,
        authorized = min(agents.authorized, 9223372036854775807 - other.authorized) + other.authorized,
        rank = max(agents.rank, other.rank)
        FROM agents AS other WHERE agents.tenant = ?1 AND agents.agent_id = ?3 AND other.tenant = ?1 AND other.agent_id = ?2";
    DELETE_AGENT = "DELETE FROM agents WHERE tenant = ?1 AND agent_id = ?2";
}

/// Erases the subject's rows among the next ones.
pub(super) fn erase(
    tx: &Tx,
    tenant: &TenantId,
    subject: &Subject,
    records: Records,
    after: &str,
    begun_at: UnixMicros,
) -> Result<RecordsStep> {
    match records {
        Records::Approvals => by_id(tx, tenant, subject, after, (APPROVALS_AFTER, DELETE_APPROVAL)),
        Records::Payments => by_id(tx, tenant, subject, after, (PAYMENTS_AFTER, DELETE_PAYMENT)),
        Records::WaitingEvents => events(tx, tenant, subject, after, (EVENTS_AFTER, DELETE_WAITING, true)),
        Records::DeadLetters => events(tx, tenant, subject, after, (LETTERS_AFTER, DELETE_LETTER, false)),
        Records::KeptAnswers => answers(tx, tenant, subject, after),
        Records::Sessions => sessions(tx, tenant, subject, begun_at),
        Records::Agent => agent(tx, tenant, subject, after),
    }
}

/// Tables whose rows name their session and agent.
fn by_id(
    tx: &Tx,
    tenant: &TenantId,
    subject: &Subject,
    after: &str,
    (find, delete): (&str, &str),
) -> Result<RecordsStep> {
    let db = tx.any_change()?;
    let found: Vec<(String, String, String)> = db.all(find, params![tenant, after, ROWS_AT_ONCE])?;
    let mut step = RecordsStep::default();
    for (id, session, agent) in &found {
        let is_its = match subject {
            Subject::Agent(name) => agent == name.as_str(),
            Subject::Session(name) => session == name.as_str(),
        };
        if is_its {
            db.send(delete, params![tenant, id])?;
            step.erased += 1;
        }
    }
    step.next = found.last().filter(|_| found.len() == ROWS_AT_ONCE).map(|(id, ..)| id.clone());
    Ok(step)
}

/// Events that wait for a webhook, or that none has taken.
fn events(
    tx: &Tx,
    tenant: &TenantId,
    subject: &Subject,
    after: &str,
    (find, delete, is_waiting): (&str, &str, bool),
) -> Result<RecordsStep> {
    let db = tx.any_change()?;
    let (webhook, seq) = after.split_once(SEPARATOR).unwrap_or(("-1", "-1"));
    let position: (i64, i64) = (webhook.parse().unwrap_or(-1), seq.parse().unwrap_or(-1));
    let (mut step, mut bytes, mut looked_at, mut about) = (RecordsStep::default(), 0, 0, Vec::new());
    let params = params![tenant, position.0, position.1, ROWS_AT_ONCE];
    db.each(find, params, |(webhook, seq, event, body): (i64, i64, String, String)| {
        if tx.names(tenant, subject, &body)? {
            about.push((webhook, seq, event));
        }
        (bytes, looked_at) = (bytes + body.len(), looked_at + 1);
        let is_enough = looked_at == ROWS_AT_ONCE || bytes >= BYTES_AT_ONCE;
        step.next = is_enough.then(|| format!("{webhook}{SEPARATOR}{seq}"));
        Ok(!is_enough)
    })?;
    for (webhook, seq, event) in about {
        db.send(delete, params![tenant, webhook, seq])?;
        db.send(BLANK_ATTEMPTS, params![tenant, event])?;
        if is_waiting {
            db.send(ONE_WAITS_LESS, params![tenant, webhook])?;
        }
        step.erased += 1;
    }
    Ok(step)
}

/// Answers kept for repeated calls: the keys stay, so that no call is carried out twice.
fn answers(tx: &Tx, tenant: &TenantId, subject: &Subject, after: &str) -> Result<RecordsStep> {
    let db = tx.any_change()?;
    let (caller, key) = after.split_once(SEPARATOR).unwrap_or_default();
    let (mut step, mut bytes, mut looked_at, mut about) = (RecordsStep::default(), 0, 0, Vec::new());
    let params = params![tenant, caller, key, ROWS_AT_ONCE];
    db.each(
        ANSWERS_AFTER,
        params,
        |(caller, key, session, body): (String, String, Option<String>, Option<String>)| {
            let length = body.as_ref().map_or(0, String::len);
            let is_its = match (&session, &body) {
                (_, None) => false,
                // From before sessions were told.
                (None, Some(_)) => true,
                (Some(session), Some(body)) => {
                    tx.is_its_session(tenant, subject, session)? || tx.names(tenant, subject, body)?
                }
            };
            if is_its {
                about.push((caller.clone(), key.clone(), length));
            }
            (bytes, looked_at) = (bytes + length, looked_at + 1);
            let is_enough = looked_at == ROWS_AT_ONCE || bytes >= BYTES_AT_ONCE;
            step.next = is_enough.then(|| format!("{caller}{SEPARATOR}{key}"));
            Ok(!is_enough)
        },
    )?;
    for (caller, key, length) in about {
        db.send(BLANK_ANSWER, params![tenant, caller, key])?;
        db.send(FEWER_ANSWER_BYTES, params![tenant, length])?;
        step.erased += 1;
    }
    Ok(step)
}

/// Sessions, and what is kept by them. Those that they delegated to are of other agents: they end, and lose their parent.
fn sessions(tx: &Tx, tenant: &TenantId, subject: &Subject, begun_at: UnixMicros) -> Result<RecordsStep> {
    let db = tx.any_change()?;
    let ids: Vec<String> = match subject {
        Subject::Session(id) => vec![id.to_string()],
        Subject::Agent(agent) => db.all(SESSIONS_OF_AGENT_UP_TO, params![tenant, agent, begun_at, SESSIONS_AT_ONCE])?,
    };
    let mut step = RecordsStep::default();
    for id in &ids {
        db.send(END_CHILDREN, params![tenant, id, begun_at])?;
        for delete in [DELETE_TAINT, DELETE_EXHAUSTED] {
            db.send(delete, params![tenant, id])?;
        }
        db.send(DELETE_TALLIES, params![tenant, format!("s:{id}")])?;
        posting_lists::forget(db, tenant, posting_lists::Kind::Session, id, usize::MAX)?;
        step.erased += i64::from(db.execute(DELETE_SESSION, params![tenant, id])? > 0);
    }
    // Those that are left have the same position: they are the first again.
    step.next = (ids.len() == SESSIONS_AT_ONCE).then(|| "more".to_owned());
    Ok(step)
}

/// What is counted by an agent's name: its totals join those of all erased agents, the rest goes.
fn agent(tx: &Tx, tenant: &TenantId, subject: &Subject, after: &str) -> Result<RecordsStep> {
    let Subject::Agent(name) = subject else { return Ok(RecordsStep::default()) };
    let db = tx.any_change()?;
    let again = |position: String| Ok(RecordsStep { erased: 0, next: Some(position) });
    let kind = posting_lists::Kind::Agent;
    if posting_lists::forget(db, tenant, kind, name.as_str(), POSTINGS_AT_ONCE)? == POSTINGS_AT_ONCE {
        return again(after.to_owned());
    }
    let (first, last): (Option<i64>, Option<i64>) = db.one(FIRST_AND_LAST_DAY, params![tenant])?;
    let of = format!("a:{name}");
    let begin = after.parse().unwrap_or(first.unwrap_or(0));
    let end = begin.saturating_add(DAYS_AT_ONCE).min(last.unwrap_or(-1) + 1);
    for day in (begin..end).chain([EVER]) {
        db.send(DELETE_DAY, params![tenant, day, of])?;
    }
    if end <= last.unwrap_or(-1) {
        return again(end.to_string());
    }
    for policy in db.all::<String>(POLICY_IDS, params![tenant])? {
        db.send(DELETE_USES, params![tenant, policy, name])?;
    }
    db.send(DELETE_TALLIES, params![tenant, of])?;
    if db.execute(RENAME_AGENT, params![tenant, name, ERASED])? == 0 {
        db.send(JOIN_AGENTS, params![tenant, name, ERASED])?;
        db.send(DELETE_AGENT, params![tenant, name])?;
    }
    Ok(RecordsStep::default())
}
