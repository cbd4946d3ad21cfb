//! The log's day counters. They are made from the entries as they lie in the log ([`folding`](super::fold)), so
//! nothing can be appended that is not counted, and a refused job leaves none behind.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteTx, audit,
    rows::{Columns, from_json, json, rows},
    statements::statements,
};
use crate::{
    AuditQuery, ReadAudit,
    error::{Error, Result},
    model::{AgentId, EntryLine, SessionId, TenantId, UnixMicros},
    stats::{Counted, EVER, Looked, NameBound, ReadStats, Tally, day_of},
};

statements! {
    DAY = "SELECT entries, actions, cost, flagged, sessions, by_tool, by_action FROM audit_days
        WHERE tenant = ?1 AND day = ?2 AND of = ?3";
    PUT_DAY = "INSERT INTO audit_days (tenant, day, of, entries, actions, cost, flagged, sessions, by_tool, by_action)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        ON CONFLICT DO UPDATE SET entries = ?4, actions = ?5, cost = ?6, flagged = ?7, sessions = ?8, by_tool = ?9,
        by_action = ?10";
    FIRST_DAY = "SELECT day FROM audit_days WHERE tenant = ?1 AND day >= 0 ORDER BY day LIMIT 1";
    AGENTS_OF_DAYS = "SELECT of FROM audit_days WHERE tenant = ?1 AND day >= ?2 AND day < ?3 AND of <> ''
        ORDER BY day, of LIMIT ?4";
}

fn owner(of: Counted<'_>) -> Result<String> {
    match of {
        Counted::Tenant => Ok(String::new()),
        Counted::Agent(agent) => Ok(format!("a:{agent}")),
        Counted::Session(_) => Err(Error::internal("sessions are not counted by day")),
    }
}

fn tally(row: &Row<'_>) -> Result<Tally> {
    let mut columns = Columns::of(row);
    let names = |text: String| from_json(&text).map_err(Error::internal);
    Ok(Tally {
        entries: columns.next()?,
        actions: columns.next()?,
        cost: columns.next()?,
        flagged: columns.next()?,
        sessions: columns.next()?,
        by_tool: names(columns.next()?)?,
        by_action: names(columns.next()?)?,
    })
}

fn read_day(connection: &Connection, tenant: &TenantId, day: i64, of: &str) -> Result<Option<Tally>> {
    let mut statement = connection.prepare_cached(DAY)?;
    let mut rows = statement.query(params![tenant.as_str(), day, of])?;
    rows.next()?.map(tally).transpose()
}

/// The rows that entries are counted into: two of the tenant and of each agent, of the day and of all days, however many
/// entries there are.
#[derive(Default)]
pub(super) struct DayCounts(HashMap<(i64, String), Tally>);

impl DayCounts {
    /// Counts one entry on top of what is stored.
    pub(super) fn count(&mut self, connection: &Connection, tenant: &TenantId, entry: &EntryLine<'_>) -> Result<()> {
        for counted in [Counted::Tenant, Counted::Agent(entry.agent_id)] {
            let of = owner(counted)?;
            for day in [day_of(entry.at), EVER] {
                let tally = match self.0.entry((day, of.clone())) {
                    hash_map::Entry::Occupied(tally) => tally.into_mut(),
                    hash_map::Entry::Vacant(place) => {
                        place.insert(read_day(connection, tenant, day, &of)?.unwrap_or_default())
                    }
                };
                tally.count(entry, NameBound::STORED);
            }
        }
        Ok(())
    }

    pub(super) fn write(self, connection: &Connection, tenant: &TenantId) -> Result<()> {
        let mut put = connection.prepare_cached(PUT_DAY)?;
        for ((day, of), tally) in self.0 {
            put.execute(params![
                tenant.as_str(),
                day,
                of,
                tally.entries,
                tally.actions,
                tally.cost.nanos(),
                tally.flagged,
                tally.sessions,
                json(&tally.by_tool)?,
                json(&tally.by_action)?,
            ])?;
        }
        Ok(())
    }
}

/// Entries have lost what they did and with what: names that stand for nothing else any more are not kept.
pub(super) fn forget_names(connection: &Connection, tenant: &TenantId, entries: &[(i64, EntryLine<'_>)]) -> Result<()> {
    let mut changed: HashMap<(i64, String), Option<Tally>> = HashMap::new();
    for (_, entry) in entries {
        for counted in [Counted::Tenant, Counted::Agent(entry.agent_id)] {
            let of = owner(counted)?;
            for day in [day_of(entry.at), EVER] {
                let tally = match changed.entry((day, of.clone())) {
                    hash_map::Entry::Occupied(tally) => tally.into_mut(),
                    hash_map::Entry::Vacant(place) => place.insert(read_day(connection, tenant, day, &of)?),
                };
                if let Some(tally) = tally {
                    tally.forget_names(entry);
                }
            }
        }
    }
    let known = changed.into_iter().filter_map(|(key, tally)| Some((key, tally?)));
    DayCounts(known.collect()).write(connection, tenant)
}

impl ReadStats for SqliteTx<'_> {
    fn seq_at(&self, tenant: &TenantId, time: UnixMicros) -> Result<i64> {
        let last = self.head(tenant)?.map_or(0, |head| head.seq);
        self.first_seq_since(tenant, time, last)
    }

    fn day_tally(&self, tenant: &TenantId, of: Counted<'_>, first: i64, end: i64) -> Result<Tally> {
        self.require_reader()?;
        let (connection, owned_by) = (self.connection()?, owner(of)?);
        let mut days = BTreeMap::new();
        // A day at a time: the rows of one day lie together, not those of one agent.
        for day in first..end {
            if let Some(tally) = read_day(connection, tenant, day, &owned_by)? {
                days.insert(day, tally);
            }
        }
        self.each_in_tail(tenant, |entry| {
            let is_counted = !matches!(of, Counted::Agent(agent) if agent != entry.agent_id);
            for day in [day_of(entry.at), EVER] {
                if is_counted && (first..end).contains(&day) {
                    days.entry(day).or_default().count(entry, NameBound::STORED);
                }
            }
        })?;
        let mut sum = Tally::default();
        for tally in days.values() {
            sum.add(tally, NameBound::ANSWERED);
        }
        Ok(sum)
    }

    fn first_day(&self, tenant: &TenantId) -> Result<Option<i64>> {
        self.require_reader()?;
        let mut statement = self.connection()?.prepare_cached(FIRST_DAY)?;
        let mut first = statement.query_row([tenant.as_str()], |row| row.get(0)).optional()?;
        if first.is_none() {
            self.each_in_tail(tenant, |entry| first = first.or(Some(day_of(entry.at))))?;
        }
        Ok(first)
    }

    fn agents_of_days(&self, tenant: &TenantId, first: i64, end: i64, limit: usize) -> Result<BTreeSet<String>> {
        self.require_reader()?;
        let mut statement = self.connection()?.prepare_cached(AGENTS_OF_DAYS)?;
        let mut agents = BTreeSet::new();
        let mut found = statement.query(params![tenant.as_str(), first, end, rows(limit)])?;
        while let Some(row) = found.next()? {
            let of: String = row.get(0)?;
            agents.extend(of.strip_prefix("a:").map(str::to_owned));
        }
        self.each_in_tail(tenant, |entry| {
            if (first..end).contains(&day_of(entry.at)) && !agents.contains(entry.agent_id) {
                agents.insert(entry.agent_id.to_owned());
            }
        })?;
        agents.remove(audit::NO_AGENT);
        Ok(agents)
    }

    fn look_at_entries(
        &self,
        tenant: &TenantId,
        of: Counted<'_>,
        first: i64,
        end: i64,
        limit: usize,
    ) -> Result<Looked> {
        let mut query = AuditQuery { before_seq: Some(end), first_seq: Some(first), ..AuditQuery::default() };
        match of {
            Counted::Tenant => {}
            Counted::Agent(agent) => query.agent_id = Some(AgentId::parse(agent).map_err(Error::internal)?.to_string()),
            Counted::Session(session) => {
                query.session_id = Some(SessionId::parse(session).map_err(Error::internal)?.to_string());
            }
        }
        query.limit = limit + 1;
        let mut looked = Looked::default();
        let found = self.entries(tenant, &query)?.entries;
        looked.truncated = found.len() > limit;
        // One that cannot be read is tampering, which `verify` reports; it is left out here.
        for entry in found.into_iter().take(limit).flatten() {
            looked.tally.count(&entry.view().line(), NameBound::ANSWERED);
            if !entry.session_id.is_empty() {
                looked.agents.insert(entry.agent_id);
            }
        }
        Ok(looked)
    }
}
