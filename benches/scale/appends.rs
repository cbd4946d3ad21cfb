//! Appends to a log of 1,000 entries and to the long one, by turns.

use std::time::{Duration, Instant};

use haldir::error::Result;
use tokio::runtime::Runtime;

use super::{Filler, Log, Stores, key, median};

/// Entries of the short log.
const SHORT: i64 = 1_000;
/// Entries that are appended in one transaction: about what a batch of the server holds under load.
const AT_A_TIME: i64 = 50;
const TURNS: i64 = 60;
/// What is to be kept of the rate.
const GOAL: f64 = 0.9;

/// The long log is left with a few thousand entries more.
pub fn measure(runtime: &Runtime, stores: &Stores, large: &Log) -> Result<()> {
    Log::of(runtime, stores, SHORT)?.haldir.close();
    let short = Filler::open(stores, SHORT, &key()?)?;
    let long = Filler::open(stores, large.entries, &key()?)?;
    let wal = stores.wal_bytes()?;
    let (mut fast, mut slow) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        for (filler, entries, times) in [(&short, SHORT, &mut fast), (&long, large.entries, &mut slow)] {
            let first = entries + 1 + turn * AT_A_TIME;
            let began = Instant::now();
            filler.append(runtime, first, first + AT_A_TIME, entries)?;
            times.push(began.elapsed());
        }
    }
    if let (Some(before), Some(after)) = (wal, stores.wal_bytes()?) {
        let entries = (2 * TURNS * AT_A_TIME).unsigned_abs();
        println!(
            "{} bytes of write-ahead log for each entry, {AT_A_TIME} in a transaction",
            (after - before) / entries
        );
    }
    short.store.close();
    long.store.close();
    let rate = |time: Duration| f64::from(i32::try_from(AT_A_TIME).unwrap_or(0)) / time.as_secs_f64();
    let (short, long) = (rate(median(&mut fast)), rate(median(&mut slow)));
    println!(
        "appends: {short:.0} a second at {SHORT} entries, {long:.0} at {}: {:.2} of the rate; the goal is at least {GOAL}",
        large.entries,
        long / short
    );
    Ok(())
}
