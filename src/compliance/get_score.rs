//! `getComplianceScore`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sections::is_scoped;
use crate::{
    call::{ReadContext, ReadOperation, session::may_act},
    error::Result,
    gate::authenticate::is_live,
    model::{Role, Scope, Session, UnixMicros},
    store::{AuditQuery, SessionQuery, WebhookState},
    vault::sealing,
    watch::{chain, erasing},
};

/// Records that are read: keys, the newest sessions, the newest entries.
const MAX_KEYS: usize = 10_000;
const MAX_SESSIONS: usize = 1_000;
const MAX_ENTRIES: usize = 200;
const DAY_SECONDS: i64 = 86_400;
/// The share of deliveries, in percent, that must have succeeded.
const DELIVERED_PERCENT: i64 = 95;
/// The weights of passing, warning and failing.
const WORTH: (usize, usize) = (100, 50);

/// Score the tenant's present configuration against seven criteria, each with a reason and a remedy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetComplianceScore {}

/// The score.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ComplianceScore {
    /// From 0 to 100: a criterion that passes counts fully, one with a warning half.
    #[schemars(range(min = 0, max = 100))]
    pub score: usize,
    /// Criteria that pass.
    pub passing: usize,
    /// Criteria with a warning.
    pub warning: usize,
    /// Criteria that fail.
    pub failing: usize,
    /// All of them.
    pub total: usize,
    /// When the score was computed, in Unix seconds.
    pub computed_at: UnixMicros,
    /// The criteria.
    pub criteria: Vec<Criterion>,
}

/// Whether a criterion is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CriterionState {
    /// Met.
    Pass,
    /// Partly met.
    Warn,
    /// Not met.
    Fail,
}

/// A criterion.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Criterion {
    /// Its name.
    pub key: String,
    /// The SOC 2 trust services criterion that it relates to.
    pub control: String,
    /// The requirement.
    pub description: String,
    /// Whether it is met.
    pub state: CriterionState,
    /// The reason for this state.
    pub reason: String,
    /// The remedy; empty if none is needed.
    pub remediation: String,
}

use CriterionState::{Fail, Pass, Warn};

/// State, reason and remedy of a criterion.
type Judged = (CriterionState, String, &'static str);

impl ReadOperation for GetComplianceScore {
    type Output = ComplianceScore;

    fn run(self, cx: &ReadContext<'_>) -> Result<ComplianceScore> {
        let criteria = vec![
            criterion(
                "access_control",
                "CC6.1",
                "Agents use keys of their own that reach only what they need",
                keys(cx)?,
            ),
            criterion("encryption", "CC6.7", "Secrets are sealed at rest and open with this store's key", secrets(cx)?),
            criterion("audit_trail", "CC7.2", "The log is in use, and its newest part is unaltered", log(cx)?),
            criterion(
                "tamper_evidence",
                "CC7.2",
                "The log's end is authentic, and evidence can be signed",
                signing(cx)?,
            ),
            criterion("alerting", "CC7.3", "Alerts reach a receiver", alerts(cx)?),
            criterion("spend_governance", "CC5.2", "Every session that may spend has a limit", spending(cx)?),
            criterion("approvals", "CC8.1", "A person decides on what matters", approvals(cx)?),
        ];
        let count = |state: CriterionState| criteria.iter().filter(|criterion| criterion.state == state).count();
        let (passing, warning, failing, total) = (count(Pass), count(Warn), count(Fail), criteria.len());
        // Rounded to the nearest.
        let score = (2 * (passing * WORTH.0 + warning * WORTH.1) + total) / (2 * total);
        Ok(ComplianceScore { score, passing, warning, failing, total, computed_at: cx.now, criteria })
    }
}

fn criterion(key: &str, control: &str, description: &str, (state, reason, remediation): Judged) -> Criterion {
    Criterion {
        key: key.to_owned(),
        control: control.to_owned(),
        description: description.to_owned(),
        state,
        reason,
        remediation: remediation.to_owned(),
    }
}

fn keys(cx: &ReadContext<'_>) -> Result<Judged> {
    let mut keys = cx.tx.api_keys(&cx.caller.tenant, None, MAX_KEYS)?;
    keys.retain(|key| is_live(key, cx.now));
    let agents = keys.iter().filter(|key| key.role == Role::Agent).count();
    let wide = keys.iter().filter(|key| key.role == Role::Agent && !is_scoped(key)).count();
    Ok(match (keys.len(), agents, wide) {
        (0, ..) => (
            Warn,
            "there are no API keys: only whoever holds the store's files works here".into(),
            "Make a key for each agent with only the scopes that it needs: `haldir keys create --role agent --scopes \
             sessions:write,audit:write`.",
        ),
        (live, 0, _) => (
            Fail,
            format!("all {live} live keys are operators': an agent that uses one can approve its own requests"),
            "Give agents keys of their own: `haldir keys create --role agent --scopes sessions:write,audit:write`.",
        ),
        (_, 1, 0) => (Pass, "the key of the one agent reaches only what its scopes name".to_owned(), ""),
        (_, agents, 0) => (Pass, format!("all {agents} keys of agents reach only what their scopes name"), ""),
        (_, agents, wide) => (
            Warn,
            format!("{wide} of {agents} keys of agents reach everything that an agent may"),
            "Replace them by keys with only the scopes that are needed, and revoke the old ones: `haldir keys revoke`.",
        ),
    })
}

fn secrets(cx: &ReadContext<'_>) -> Result<Judged> {
    let tenant = &cx.caller.tenant;
    let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
    let Some(name) = cx.tx.secret_names(tenant, "", 1)?.pop() else {
        return Ok((Pass, "the tenant's data key opens; no secret is stored yet".into(), ""));
    };
    let count = cx.tx.totals(tenant)?.secrets;
    let opens = match cx.tx.secret(tenant, &name)? {
        Some(secret) => sealing::open(&keys, tenant, &secret).is_ok(),
        None => true,
    };
    Ok(if opens {
        (Pass, format!("{} sealed with XChaCha20-Poly1305, and a sample opens", are(count, "secret")), "")
    } else {
        let reason = "a stored secret does not open: it was altered outside haldir".to_owned();
        (Fail, reason, "Store the secret again, and find out who writes to the database.")
    })
}

fn log(cx: &ReadContext<'_>) -> Result<Judged> {
    let tenant = &cx.caller.tenant;
    let entries = cx.tx.entries(tenant, &AuditQuery { limit: MAX_ENTRIES, ..AuditQuery::default() })?.entries;
    let altered = |what: &str| {
        let remedy = "Run `haldir call verify-audit-trail` to find the first bad entry, and compare with a copy of the \
                      log that was kept elsewhere.";
        Ok((Fail, format!("the newest part of the log was altered: {what}"), remedy))
    };
    let Some(head) = cx.tx.head(tenant)? else { return altered("its end is missing") };
    let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
    let (mut expected, mut seq, mut newest) = (head.entry_hash, head.seq, None);
    for entry in &entries {
        let Ok(entry) = entry else { return altered("an entry cannot be read") };
        let is_good = erasing::is_as_haldir_left_it(cx.tx, &keys, tenant, entry)?;
        if entry.seq != seq || !is_good || entry.entry_hash != expected {
            return altered(&format!("entry {seq} is missing or does not match its hash"));
        }
        newest.get_or_insert(entry.at);
        (expected, seq) = (entry.prev_hash, seq - 1);
    }
    let checked = entries.len();
    Ok(match newest {
        None if head.seq == 0 => {
            (Warn, "the log is empty".into(), "Let agents work through haldir: it logs what it decides.")
        }
        None => return altered("its entries are missing"),
        Some(at) if cx.now.seconds_since(at) > DAY_SECONDS => (
            Warn,
            format!("the newest {checked} of {} entries verify; none is of the last 24 hours", head.seq),
            "If agents are at work, see that they go through haldir.",
        ),
        Some(_) => (Pass, format!("the newest {checked} of {} entries verify", head.seq), ""),
    })
}

fn signing(cx: &ReadContext<'_>) -> Result<Judged> {
    const PROBE: &[u8] = b"haldir signing probe";
    let tenant = &cx.caller.tenant;
    let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
    if chain::authentic_head(cx.tx, &keys, tenant).is_err() {
        let reason = "the end of the log does not bear haldir's keyed hash: it was altered outside haldir".to_owned();
        return Ok((Fail, reason, "Put the database back from a backup, and find out who writes to it."));
    }
    Ok(match cx.services.keyring.signing_keys(cx.tx) {
        Ok(keys) if keys.current().public().verifies(PROBE, &keys.current().sign(PROBE)) => (
            Pass,
            format!("the end of the log is authentic; the Ed25519 key {} signs", keys.current().public().id()),
            "",
        ),
        _ => (
            Fail,
            "the signing key was altered outside haldir: nothing can be signed".to_owned(),
            "Put the table of signing keys back from a backup.",
        ),
    })
}

fn alerts(cx: &ReadContext<'_>) -> Result<Judged> {
    let tenant = &cx.caller.tenant;
    let active = cx.tx.webhooks(tenant)?.iter().filter(|webhook| webhook.state == WebhookState::Active).count();
    if active == 0 {
        let remedy = "Register the address of your alerting: haldir webhooks add URL, or POST /v1/webhooks.";
        return Ok((Fail, "no webhook is active: nobody is told of anomalies".into(), remedy));
    }
    let (attempts, delivered) = cx.tx.attempt_counts(tenant, cx.now.plus_seconds(-DAY_SECONDS))?;
    Ok(if attempts == 0 {
        let reason = format!("{} active; nothing was delivered in the last 24 hours", are(active, "webhook"));
        (Warn, reason, "Send a test: haldir webhooks ping WEBHOOK, or POST /v1/webhooks/{webhook_id}/ping.")
    } else if delivered * 100 >= attempts * DELIVERED_PERCENT {
        (Pass, format!("{delivered} of {attempts} deliveries of the last 24 hours were accepted"), "")
    } else if delivered == 0 {
        let reason = format!("none of {attempts} deliveries of the last 24 hours was accepted");
        (Fail, reason, "See what receivers answer: haldir webhooks deliveries, or GET /v1/webhooks/deliveries.")
    } else {
        let reason = format!("only {delivered} of {attempts} deliveries of the last 24 hours were accepted");
        (Fail, reason, "See what receivers answer: haldir webhooks deliveries, or GET /v1/webhooks/deliveries.")
    })
}

fn spending(cx: &ReadContext<'_>) -> Result<Judged> {
    let query = SessionQuery { limit: MAX_SESSIONS, ..SessionQuery::default() };
    let spend = Scope::parse("spend").map_err(crate::error::Error::internal)?;
    let mut sessions = cx.tx.sessions(&cx.caller.tenant, &query)?;
    sessions.retain(|session| session.scopes.hold(&spend));
    let may_act = |session: &Session| may_act(cx.tx, &cx.caller.tenant, session, cx.now);
    let sessions = sessions.into_iter().filter_map(|session| match may_act(&session) {
        Ok(true) => Some(Ok(session)),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    });
    let sessions: Vec<_> = sessions.collect::<Result<_>>()?;
    let spenders = sessions.len();
    let unbounded = sessions.iter().filter(|session| session.remaining().is_none()).count();
    let remedy =
        "Create sessions with a spend_limit, and keys with --max-spend, which bounds every session made with them.";
    Ok(match unbounded {
        0 if spenders == 0 => (Pass, "no open session may spend".into(), ""),
        0 => (Pass, format!("all {spenders} open sessions that may spend have a limit"), ""),
        all if all == spenders => {
            (Fail, format!("none of the {spenders} open sessions that may spend has a limit"), remedy)
        }
        some => (Warn, format!("{some} of {spenders} open sessions that may spend have no limit"), remedy),
    })
}

/// A number of things that are something.
fn are(count: impl TryInto<u64>, thing: &str) -> String {
    match count.try_into().unwrap_or_default() {
        1 => format!("1 {thing} is"),
        count => format!("{count} {thing}s are"),
    }
}

fn approvals(cx: &ReadContext<'_>) -> Result<Judged> {
    let rules = cx.tx.approval_rules(&cx.caller.tenant, MAX_KEYS)?.len();
    let remedy = "Add one: haldir approvals rules add spend_over --threshold 100, or POST /v1/approvals/rules.";
    Ok(match rules {
        0 => (Warn, "no rule asks for a person's approval".to_owned(), remedy),
        1 => (Pass, "1 rule says what needs a person's approval".to_owned(), ""),
        _ => (Pass, format!("{rules} rules say what needs a person's approval"), ""),
    })
}
