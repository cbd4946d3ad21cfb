//! What the process has used, as Linux tells it.

use std::{fs, time::Duration};

/// A tick of `/proc/self/stat`, on every Linux that there is.
const TICK: Duration = Duration::from_millis(10);

/// The time that cores have spent on this process, for it and in the kernel.
pub fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which is in parentheses, the 12th and 13th field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).map(|ticks| TICK * ticks).sum()
}

/// Forgets how much memory was in use at most.
pub fn forget_peak_memory() {
    // Without it, the peak is the one of the whole run: too much rather than too little.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The memory in use, and how much there was at most, in kilobytes.
pub fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    (field("VmRSS:"), field("VmHWM:"))
}
