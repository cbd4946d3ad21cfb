//! Who uses the processors, and how much memory a process holds: from `/proc`,
//! and therefore on Linux only. Elsewhere there is nothing to tell.

use std::time::Duration;

/// Processor time at one moment, of those whose share in it matters.
pub struct Snapshot {
    server: Duration,
    generator: Duration,
    machine: Duration,
}

/// Processor time between two moments.
pub struct Usage {
    pub server: Duration,
    pub generator: Duration,
    /// What everything else on the machine took, and so took from us.
    pub others: Duration,
}

impl Snapshot {
    pub fn take(server: u32) -> Option<Self> {
        Some(Self {
            server: process_time(server)?,
            generator: process_time(std::process::id())?,
            machine: machine_time()?,
        })
    }

    pub fn since(&self, before: &Self) -> Usage {
        let server = self.server.saturating_sub(before.server);
        let generator = self.generator.saturating_sub(before.generator);
        let machine = self.machine.saturating_sub(before.machine);
        Usage { server, generator, others: machine.saturating_sub(server + generator) }
    }
}

/// `proc_pid_stat(5)`: utime and stime are the fields 14 and 15.
fn process_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, the second field, may contain spaces; its bracket ends it.
    let (_, fields) = stat.rsplit_once(") ")?;
    ticks(fields.split(' ').skip(11).take(2))
}

/// `proc_stat(5)`: user, nice, system, idle, iowait, irq, softirq, steal.
fn machine_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<&str> = stat.lines().next()?.split_whitespace().collect();
    let busy = [1, 2, 3, 6, 7, 8];
    ticks(busy.iter().filter_map(|index| fields.get(*index).copied()))
}

fn ticks<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Duration> {
    let mut sum = 0_u64;
    for field in fields {
        sum = sum.checked_add(field.parse().ok()?)?;
    }
    Some(Duration::from_millis(sum.checked_mul(1000)? / ticks_per_second()?))
}

#[cfg(unix)]
fn ticks_per_second() -> Option<u64> {
    Some(rustix::param::clock_ticks_per_second()).filter(|ticks| *ticks > 0)
}

#[cfg(not(unix))]
fn ticks_per_second() -> Option<u64> {
    None
}

/// The resident memory of a process in the kernel's kB of 1024 bytes.
pub fn resident_kb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
