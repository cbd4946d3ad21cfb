//! The end of the audit log, read on and on: what `--follow` shows, and what `haldir top` counts.

use std::{process::ExitCode, time::Duration};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    Stop,
    interruption::{INTERRUPTED, Interruption},
    output::{note, printable},
    target::Target,
};
use crate::error::{Code, Error, Result};

/// Entries that are asked for at first, and if there are more.
const FIRST_PAGE: usize = 50;
const PAGE: usize = 1_000;
/// Entries that are read at a time; older ones are passed over, which is said.
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

/// What was read: entries as haldir answers them, oldest first.
pub struct Fresh {
    pub entries: Vec<Box<RawValue>>,
    /// Whether there were more than are read at a time.
    pub missed: bool,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Box<RawValue>>,
    next_cursor: Option<Value>,
}

#[derive(Deserialize)]
struct Numbered {
    seq: i64,
}

impl Trail {
    /// The log behind the entry of this number, 0 for all of it.
    pub fn behind(newest: i64, filter: Value) -> Self {
        Self { filter, newest }
    }

    /// What came since.
    pub fn fresh(&mut self, target: &Target) -> Result<Fresh> {
        let (mut entries, mut cursor, mut newest) = (Vec::new(), Value::Null, self.newest);
        let missed = loop {
            let mut input = self.filter.clone();
            let page = if entries.is_empty() { FIRST_PAGE } else { PAGE };
            input["limit"] = page.min(MAX_FRESH - entries.len()).into();
            input["cursor"] = cursor;
            let reply = target.call("getAuditTrail", &input.to_string())?;
            let page: Page = serde_json::from_str(&reply.body).map_err(Error::internal)?;
            let before = entries.len();
            let count = page.entries.len();
            for entry in page.entries {
                let Numbered { seq } = serde_json::from_str(entry.get()).map_err(Error::internal)?;
                // One that was altered may have lost its number.
                if seq != 0 && seq <= self.newest {
                    break;
                }
                newest = newest.max(seq);
                entries.push(entry);
            }
            let is_fresh = entries.len() == before + count;
            // The place where the page ended: behind it may be nothing new, also where a filter leaves much out.
            let more = page.next_cursor.filter(|next| is_fresh && place(next).is_none_or(|at| at > self.newest + 1));
            match more {
                Some(next) if entries.len() < MAX_FRESH => cursor = next,
                more => break more.is_some(),
            }
        };
        self.newest = newest;
        entries.reverse();
        Ok(Fresh { entries, missed })
    }
}

/// The number in front of which an answer ended.
fn place(cursor: &Value) -> Option<i64> {
    cursor.as_str()?.parse().ok()
}

/// Does something again and again until Ctrl-C or SIGTERM ends it. A server that does not answer is asked again.
pub fn follow(
    target: Target,
    every: u64,
    mut each: impl FnMut(&Target) -> std::result::Result<(), Stop>,
) -> std::result::Result<ExitCode, Stop> {
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
            Err(Stop::Error(error)) if passes(&error) && failures < MAX_FAILURES => {
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
