//! The figures of a period of the log. Computing them takes two binary searches, two marks with stored totals, and at most 4,095
//! entries after each mark.

use std::collections::BTreeMap;

use super::period::Period;
use crate::{
    call::ReadContext,
    error::{Error, Result},
    model::{Entry, TenantId, UnixMicros},
    store::{
        ReadTx,
        compliance::{Governed, Group, LogTotals},
    },
    watch::{chain, erasing},
};

const MICROS: i64 = 1_000_000;

/// The figures of a period.
pub struct Figures {
    /// The number of its first entry; `last_seq + 1` if it has none.
    pub first_seq: i64,
    /// The number of the last entry up to its end; 0 if there is none.
    pub last_seq: i64,
    /// The totals of its entries.
    pub totals: LogTotals,
    /// Its first and last entry.
    pub first: Option<Entry>,
    pub last: Option<Entry>,
    /// The last entry up to its end, possibly from before the period.
    pub end: Option<Entry>,
    /// Haldir's own entries, by action.
    pub governed: BTreeMap<String, i64>,
    pub payments: BTreeMap<String, Governed>,
    pub deliveries: BTreeMap<String, Governed>,
    /// Whether the counts kept at write time match the log's entries.
    pub adds_up: bool,
}

impl Figures {
    /// Reads the figures. The log's head must be authentic: no pack is signed for a truncated log.
    pub fn read(cx: &ReadContext<'_>, period: Period) -> Result<Self> {
        let (tx, tenant) = (cx.tx, &cx.caller.tenant);
        let keys = cx.services.keyring.tenant(tx, tenant)?;
        chain::authentic_head(tx, &keys, tenant)?;
        let (first_seq, end_seq) = (tx.seq_at(tenant, period.start)?, tx.seq_at(tenant, period.end)?);
        let last_seq = end_seq - 1;
        let (before, whole_before) = totals_at(tx, tenant, first_seq - 1)?;
        let (upto, whole_upto) = totals_at(tx, tenant, last_seq)?;
        let totals = upto.since(before);
        let (since, until) = (period.start.0 / MICROS, period.end.0 / MICROS);
        let read = |group| Ok::<_, Error>(tx.governed(tenant, group, since, until)?.into_iter().collect());
        let governed: BTreeMap<String, Governed> = read(Group::Entries)?;
        let counted: i64 = governed.values().map(|governed| governed.count).sum();
        let end = entry(tx, tenant, last_seq)?;
        let is_whole = match &end {
            Some(entry) => erasing::is_as_haldir_left_it(tx, &keys, tenant, entry)?,
            None => true,
        };
        let adds_up = whole_before
            && whole_upto
            && counted + totals.actions == totals.entries
            && is_whole
            && end.is_some() == (last_seq > 0);
        Ok(Self {
            first_seq,
            last_seq,
            first: if totals.entries > 0 { entry(tx, tenant, first_seq)? } else { None },
            last: end.clone().filter(|_| totals.entries > 0),
            end,
            totals,
            governed: governed.into_iter().map(|(action, governed)| (action, governed.count)).collect(),
            payments: read(Group::Payments)?,
            deliveries: read(Group::Deliveries)?,
            adds_up,
        })
    }

    /// How often haldir recorded this action.
    pub fn count(&self, action: &str) -> i64 {
        self.governed.get(action).copied().unwrap_or_default()
    }

    /// Refusals, by operation.
    pub fn refused(&self) -> BTreeMap<String, i64> {
        let of = |(action, count): (&String, &i64)| Some((action.strip_suffix(".denied")?.to_owned(), *count));
        self.governed.iter().filter_map(of).collect()
    }
}

/// The log's totals at an entry, and whether every entry after the mark was found.
fn totals_at(tx: &ReadTx, tenant: &TenantId, seq: i64) -> Result<(LogTotals, bool)> {
    let totals = tx.log_totals(tenant, seq)?;
    let is_whole = totals.entries == seq.max(0);
    Ok((LogTotals { entries: seq.max(0), ..totals }, is_whole))
}

/// The entry; `None` if it cannot be decoded, which is tampering: the figures then do not add up.
fn entry(tx: &ReadTx, tenant: &TenantId, seq: i64) -> Result<Option<Entry>> {
    if seq <= 0 { Ok(None) } else { Ok(tx.entry(tenant, seq)?.and_then(Result::ok)) }
}

/// A time in the format of packs.
pub fn time(at: UnixMicros) -> String {
    at.to_rfc3339()
}
