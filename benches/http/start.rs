//! How soon a stdio server answers, and how much memory it holds by then.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Result, haldir,
    process::{self, Guard},
    report::{self, Starts},
    usage,
};

/// Starts of each server; the median is reported.
pub const STARTS: usize = 20;

/// What a client has to say before it can use a tool, all at once.
const WORDS: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","#,
    r#""capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
    "\n",
);

/// Measures the bare server and, if there is a store for it, the real one,
/// turn by turn.
pub fn measure(store: Option<&Path>) -> Result<Vec<Starts>> {
    let bare = || -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare-stdio");
        Ok(command)
    };
    let ours = |store: &Path| {
        let mut command = Command::new(haldir::PROGRAM);
        process::without_settings(&mut command).env("HALDIR_DB", store);
        command
    };
    // Once unmeasured: the programs come from memory, not from the disk.
    once(bare()?)?;
    if let Some(store) = store {
        once(ours(store))?;
    }
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        found[0].push(once(bare()?)?);
        if let Some(store) = store {
            found[1].push(once(ours(store))?);
        }
    }
    let [bare, ours] = found;
    let mut starts = vec![summary("bare rmcp, stdio", &bare)];
    if store.is_some() {
        starts.push(summary("haldir-mcp, stdio", &ours));
    }
    Ok(starts)
}

fn summary(name: &'static str, found: &[(Duration, Option<u64>)]) -> Starts {
    let times = found.iter().map(|(time, _)| time.as_secs_f64() * 1e3);
    let memory = found.iter().filter_map(|(_, memory)| memory.map(report::float));
    Starts {
        name,
        milliseconds: report::median(times.collect()).unwrap_or_default(),
        resident_kb: report::median(memory.collect()),
    }
}

/// One start: from the spawn until the tools are listed.
fn once(mut command: Command) -> Result<(Duration, Option<u64>)> {
    command.stderr(Stdio::null());
    let spawned = Instant::now();
    let mut guard = Guard::spawn(&mut command)?;
    guard.input()?.write_all(WORDS.as_bytes())?;
    let lines = guard.lines()?;
    let listed = tools_listed(&lines)?;
    let resident = usage::resident_kb(guard.id());
    let status = guard.end()?;
    if !status.success() {
        return Err(format!("the stdio server ended with {status}").into());
    }
    Ok((listed.duration_since(spawned), resident))
}

/// The moment at which the second request was answered, and answered well.
fn tools_listed(lines: &Receiver<(Instant, String)>) -> Result<Instant> {
    loop {
        let (moment, line) =
            lines.recv_timeout(Duration::from_secs(10)).map_err(|_| "the stdio server did not list its tools")?;
        let message: Value = serde_json::from_str(&line)?;
        if message.get("id") != Some(&Value::from(2)) {
            continue;
        }
        let tools = message.pointer("/result/tools").and_then(Value::as_array);
        return match tools {
            Some(tools) if !tools.is_empty() => Ok(moment),
            _ => Err(format!("no tools in {line}").into()),
        };
    }
}
