//! `getAuditStats`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain;
use crate::{
    call::{ReadContext, ReadOperation},
    error::{Error, Result},
    model::{AgentId, Day, Money, Month, SessionId, TimePoint, UnixMicros, month::MICROS_PER_DAY},
    store::{
        CostsOf,
        stats::{Counted, EVER, NameBound, Tally, day_of},
    },
};

/// Entries that are looked at one by one at either end of a span; the rest comes from the day counters.
const MAX_AT_AN_END: usize = 1_000;
/// Entries of a session that are looked at: sessions are not counted by day.
const MAX_OF_SESSION: usize = 10_000;
/// Agents that are counted one by one.
const MAX_AGENTS: usize = 10_000;
/// The days of `flagged_7d`, today included.
const RECENT_DAYS: i64 = 7;

/// Count what is in the audit log, by tool and by action, in any span of time; in constant time, however long the
/// log is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetAuditStats {
    /// Only this session's entries: the newest 10,000 of them.
    session_id: Option<SessionId>,
    /// Only this agent's entries.
    agent_id: Option<AgentId>,
    /// Only entries at this time or later, in Unix seconds. Exact where at most 1,000 entries lie between it and
    /// the end of its UTC day, else from the beginning of that day: `counted_from` says.
    since: Option<TimePoint>,
    /// Only entries before this time, in Unix seconds. Exact where at most 1,000 entries lie between the beginning
    /// of its UTC day and it, else to the end of that day: `counted_until` says.
    until: Option<TimePoint>,
}

/// What was counted. The counters are not authenticated as the log is: verifyAuditTrail checks the log itself.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AuditStats {
    /// Entries in the span asked for.
    pub total_entries: i64,
    /// Of these, the flagged ones.
    pub flagged_count: i64,
    /// Sessions that began in it; with `session_id`, that one.
    pub session_count: i64,
    /// Agents that have entries in it.
    pub agent_count: i64,
    /// What agents have logged as cost in it.
    pub total_usd: Money,
    /// Entries by tool; haldir's own bear the tool `haldir`. Tools beyond 32 a day stand under `(other)`.
    pub by_tool: BTreeMap<String, i64>,
    /// Entries by what was done. Actions beyond 32 a day, and names longer than 64 bytes, stand under `(other)`.
    pub by_action: BTreeMap<String, i64>,
    /// Where counting began, in Unix seconds; null is the first entry.
    pub counted_from: Option<UnixMicros>,
    /// Where counting ended, in Unix seconds; null is the last entry.
    pub counted_until: Option<UnixMicros>,
    /// Whether more would have had to be looked at than is: the figures are then those of the newest entries.
    pub truncated: bool,
    /// What agents have logged since the first of this month (UTC), whatever the span.
    pub actions_this_month: i64,
    /// Actions that a month may have; null, since there is no such limit.
    pub actions_limit: Option<i64>,
    /// The part of it that is used; 0, since there is no such limit.
    pub actions_pct_used: f64,
    /// What haldir charges for the actions: nothing.
    pub actions_cost_usd: Money,
    /// What agents have logged as cost since the first of this month (UTC), whatever the span.
    pub spend_usd_this_month: Money,
    /// Flagged entries of today and the six days before (UTC), whatever the span.
    flagged_7d: i64,
    /// Whether the end of the log is as haldir sealed it. It says nothing about the entries before:
    /// verifyAuditTrail reads them all.
    pub chain_verified: bool,
    /// The tenant's sessions that are neither revoked nor expired.
    pub active_sessions: i64,
    /// The tenant's secrets.
    pub vault_secrets: i64,
}

impl ReadOperation for GetAuditStats {
    type Output = AuditStats;

    fn run(self, cx: &ReadContext<'_>) -> Result<AuditStats> {
        let (tenant, tx) = (&cx.caller.tenant, cx.tx);
        let keys = cx.services.keyring.tenant(tx, tenant)?;
        let head = tx.head(tenant)?;
        let mut stats = AuditStats {
            chain_verified: head.is_some_and(|head| chain::is_authentic(&keys, tenant, &head)),
            active_sessions: tx.open_sessions(tenant, cx.now, 0)?.sessions,
            vault_secrets: tx.totals(tenant)?.secrets,
            counted_from: self.since.map(TimePoint::micros),
            counted_until: self.until.map(TimePoint::micros),
            ..AuditStats::default()
        };
        let tomorrow = day_of(cx.now) + 1;
        let (month, week) = (Month::of(Day::of(cx.now)).first_day().0, tomorrow - RECENT_DAYS);
        let end = tx.seq_at(tenant, UnixMicros(i64::MAX))?;
        let (this_month, this_week) = if let Some(session) = &self.session_id {
            let known = self.of_session(cx, session, &mut stats)?;
            let since = |day: i64| {
                let first = tx.seq_at(tenant, start_of(day))?;
                Ok::<_, Error>(
                    tx.look_at_entries(tenant, Counted::Session(session.as_str()), first, end, MAX_OF_SESSION)?.tally,
                )
            };
            if known { (since(month)?, since(week)?) } else { Default::default() }
        } else {
            self.of_days(cx, end, &mut stats)?;
            let of = self.owner();
            (tx.day_tally(tenant, of, month, tomorrow)?, tx.day_tally(tenant, of, week, tomorrow)?)
        };
        stats.actions_this_month = this_month.actions;
        stats.spend_usd_this_month = this_month.cost;
        stats.flagged_7d = this_week.flagged;
        Ok(stats)
    }
}

impl GetAuditStats {
    fn owner(&self) -> Counted<'_> {
        self.agent_id.as_ref().map_or(Counted::Tenant, |agent| Counted::Agent(agent.as_str()))
    }

    fn bounds(&self, cx: &ReadContext<'_>, end: i64) -> Result<(i64, i64)> {
        let at =
            |time: Option<UnixMicros>, none: i64| time.map_or(Ok(none), |time| cx.tx.seq_at(&cx.caller.tenant, time));
        Ok((at(self.since.map(TimePoint::micros), 1)?, at(self.until.map(TimePoint::micros), end)?))
    }

    fn of_session(&self, cx: &ReadContext<'_>, id: &SessionId, stats: &mut AuditStats) -> Result<bool> {
        let tenant = &cx.caller.tenant;
        let session = cx.tx.session(tenant, id)?;
        // Another agent's session has no entries of this one's.
        let Some(session) = session.filter(|session| self.agent_id.as_ref().is_none_or(|id| *id == session.agent_id))
        else {
            return Ok(false);
        };
        let (first, end) = self.bounds(cx, i64::MAX)?;
        let of = Counted::Session(session.id.as_str());
        let looked = cx.tx.look_at_entries(tenant, of, first, end, MAX_OF_SESSION)?;
        stats.session_count = i64::from(looked.tally.entries > 0);
        stats.agent_count = stats.session_count;
        stats.truncated = looked.truncated;
        stats.take(looked.tally);
        Ok(true)
    }

    /// Whole days from their counters, and what is left at either end entry by entry.
    fn of_days(&self, cx: &ReadContext<'_>, log_end: i64, stats: &mut AuditStats) -> Result<()> {
        let (tenant, tx, of) = (&cx.caller.tenant, cx.tx, self.owner());
        let (first, end) = self.bounds(cx, log_end)?;
        let (Some(first_day), false) = (tx.first_day(tenant)?, first >= end) else { return Ok(()) };
        let mut tally = Tally::default();
        let mut agents = BTreeSet::new();
        let mut look = |first: i64, end: i64, tally: &mut Tally| -> Result<bool> {
            if first >= end {
                return Ok(true);
            }
            let looked = tx.look_at_entries(tenant, of, first, end, MAX_AT_AN_END)?;
            if !looked.truncated {
                tally.add(&looked.tally, NameBound::ANSWERED);
                agents.extend(looked.agents);
            }
            Ok(!looked.truncated)
        };
        let last_day = tx.head(tenant)?.map_or(first_day, |head| day_of(head.at));
        let mut from = self.since.map(TimePoint::micros).map_or(first_day, |time| first_whole_day(time).max(first_day));
        let mut to = self.until.map(TimePoint::micros).map_or(last_day + 1, |time| day_of(time).min(last_day + 1));
        let all_time = self.since.is_none() && self.until.is_none();
        if all_time {
            (from, to) = (EVER, EVER + 1);
        } else if from >= to && look(first, end, &mut tally)? {
            to = from; // No whole day lies within.
        } else {
            if let Some(since) = self.since.map(TimePoint::micros).filter(|since| start_of(from) > *since) {
                let day_end = tx.seq_at(tenant, start_of(from))?.min(end);
                if from > to || !look(first, day_end, &mut tally)? {
                    from = day_of(since).max(first_day);
                    stats.counted_from = Some(start_of(from));
                }
            }
            if let Some(until) = self.until.map(TimePoint::micros).filter(|until| start_of(to) < *until) {
                let day_begin = tx.seq_at(tenant, start_of(to))?.max(first);
                if from > to || !look(day_begin, end, &mut tally)? {
                    to = (day_of(until) + 1).min(last_day + 1);
                    stats.counted_until = Some(start_of(to));
                }
            }
        }
        if from < to {
            tally.add(&tx.day_tally(tenant, of, from, to)?, NameBound::ANSWERED);
        }
        stats.session_count = tally.sessions;
        stats.agent_count = if self.agent_id.is_some() {
            i64::from(tally.entries > 0)
        } else {
            if all_time {
                agents.extend(tx.costs(tenant, CostsOf::Agents, MAX_AGENTS)?.into_iter().map(|(agent, _)| agent));
            } else if from < to {
                agents.extend(tx.agents_of_days(tenant, from, to, MAX_AGENTS)?);
            }
            stats.truncated = agents.len() >= MAX_AGENTS;
            i64::try_from(agents.len()).unwrap_or(i64::MAX)
        };
        stats.take(tally);
        Ok(())
    }
}

impl AuditStats {
    fn take(&mut self, tally: Tally) {
        self.total_entries = tally.entries;
        self.flagged_count = tally.flagged;
        self.total_usd = tally.cost;
        self.by_tool = tally.by_tool;
        self.by_action = tally.by_action;
    }
}

fn start_of(day: i64) -> UnixMicros {
    UnixMicros(day.saturating_mul(MICROS_PER_DAY))
}

/// The first day that begins at `time` or later.
fn first_whole_day(time: UnixMicros) -> i64 {
    day_of(time) + i64::from(time.0.rem_euclid(MICROS_PER_DAY) > 0)
}
