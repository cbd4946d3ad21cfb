//! The end of the audit log, read on and on: what `--follow` shows, and what `haldir top` counts.

use std::{process::ExitCode, time::Duration};

use serde_json::Value;

use super::{
    CommandError,
    interruption::{INTERRUPTED, Interruption},
    output::{note, printable},
    target::Target,
};
use crate::{
    error::{Code, Error, Result},
    interfaces::history::{Entry, LogPage},
};

/// Entries that are asked for at first, and if there are more.
const FIRST_PAGE: usize = 50;
const PAGE: usize = 1_000;
/// Entries that are read at a time; older ones are skipped, and the command says so.
pub const MAX_FRESH: usize = 5_000;
/// Answers that may fail one after the other before following ends.
const MAX_FAILURES: u32 = 60;

/// A place in the log, and which of its entries are wanted.
#[derive(Clone)]
pub struct Trail {
    /// Fields of `getAuditTrail`.
    filter: Value,
    /// The newest entry that was read.
    newest: i64,
}

/// What was read, oldest first.
pub struct NewEntries {
    pub entries: Vec<Entry>,
    /// Whether there were more than are read at a time.
    pub missed: bool,
}

impl Trail {
    /// The log behind the entry of this number, 0 for all of it.
    pub fn behind(newest: i64, filter: Value) -> Self {
        Self { filter, newest }
    }

    /// What came since.
    pub fn new_entries(&mut self, target: &Target) -> Result<NewEntries> {
        let (mut entries, mut cursor, mut newest) = (Vec::new(), None, self.newest);
        let missed = loop {
            let mut input = self.filter.clone();
            let page = if entries.is_empty() { FIRST_PAGE } else { PAGE };
            input["limit"] = page.min(MAX_FRESH - entries.len()).into();
            input["cursor"] = cursor.into();
            let page: LogPage = target.read("getAuditTrail", input)?;
            let before = entries.len();
            let count = page.entries.len();
            for entry in page.entries {
                // One that was altered may have lost its number.
                if entry.seq != 0 && entry.seq <= self.newest {
                    break;
                }
                newest = newest.max(entry.seq);
                entries.push(entry);
            }
            let is_fresh = entries.len() == before + count;
            // The place where the page ended: behind it may be nothing new, also where a filter leaves much out.
            let is_further = |next: &String| next.parse::<i64>().map_or(true, |at| at > self.newest + 1);
            let more = page.next_cursor.filter(|next| is_fresh && is_further(next));
            match more {
                Some(next) if entries.len() < MAX_FRESH => cursor = Some(next),
                more => break more.is_some(),
            }
        };
        self.newest = newest;
        entries.reverse();
        Ok(NewEntries { entries, missed })
    }
}

/// Repeats a call until Ctrl-C or SIGTERM. A server that does not answer is tried again.
pub fn follow(
    target: Target,
    every: u64,
    mut each: impl FnMut(&Target) -> std::result::Result<(), CommandError>,
) -> std::result::Result<ExitCode, CommandError> {
    let interruption = Interruption::watch();
    let mut failures = 0;
    loop {
        if interruption.within(Duration::from_secs(every)) {
            // Closed before the process ends.
            drop(target);
            return Ok(ExitCode::from(INTERRUPTED));
        }
        match each(&target) {
            Ok(()) => failures = 0,
            Err(CommandError::Error(error)) if passes(&error) && failures < MAX_FAILURES => {
                if failures == 0 {
                    note(&printable(&format!("haldir: {}: asking again", error.message)));
                }
                failures += 1;
            }
            Err(stop) => return Err(stop),
        }
    }
}

/// Whether asking again may do.
fn passes(error: &Error) -> bool {
    matches!(error.code, Code::Unavailable | Code::RateLimited)
}
