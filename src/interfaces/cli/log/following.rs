//! `haldir log --follow`: events as they happen, each on a line of its own.

use std::{
    collections::{HashMap, HashSet},
    process::ExitCode,
};

use serde_json::Value;

use super::{
    super::{
        CommandError, GlobalOptions,
        output::{line, note, row},
        target::Target,
        trail::{MAX_FRESH, NewEntries, Trail, follow},
    },
    HEADER, LogOptions, json_of, row_of,
};
use crate::interfaces::history::{Entry, Event, History};

/// Calls in flight whose arguments are kept until they end.
const MAX_RUNNING: usize = 1_000;
/// Columns of the fields of a line; a longer one moves those behind it. At a terminal, times are shorter.
const WIDTHS: [usize; 7] = [27, 20, 14, 28, 12, 0, 0];
const SHORT_TIME: usize = 8;

pub fn run(
    options: &LogOptions,
    mut trail: Trail,
    before: &[Event],
    target: Target,
    global: &GlobalOptions,
) -> Result<ExitCode, CommandError> {
    let screen = global.screen();
    let mut calls = Calls { are_alone: options.filter.flagged, ..Calls::default() };
    let (from, mut widths) = (usize::from(!options.ids), WIDTHS);
    if screen.is_terminal() {
        widths[1] = SHORT_TIME;
    }
    let widths = &widths[from..];
    let show = |event: &Event| -> Result<(), CommandError> {
        if options.refused && !event.is_refused() {
            return Ok(());
        }
        if screen.json { line(&json_of(event).to_string()) } else { row(&row_of(event, options.ids), widths) }
    };
    if screen.is_terminal() && !screen.json {
        note("new events appear at the bottom; Ctrl-C leaves");
        row(&HEADER[from..].iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), widths)?;
    }
    for event in before {
        calls.remember(event);
        show(event)?;
    }
    follow(target, options.every, |target| {
        let NewEntries { entries, missed } = trail.new_entries(target)?;
        if missed {
            note(&format!("haldir: more than {MAX_FRESH} new entries: older ones are passed over"));
        }
        calls.events(entries).iter().try_for_each(show)
    })
}

/// Calls that have begun, so that the line of an end has their arguments.
#[derive(Default)]
struct Calls {
    running: HashMap<String, Value>,
    /// Whether no beginnings are read.
    are_alone: bool,
}

impl Calls {
    /// The events of new entries, oldest first. A call that has begun and ended among them is one; one that goes on is
    /// shown as running, and once more when it ends.
    fn events(&mut self, entries: Vec<Entry>) -> Vec<Event> {
        let begun: HashSet<_> = entries.iter().filter(|entry| is_begin(entry)).filter_map(call_id).collect();
        let (mut history, mut alone) = (History::new(self.are_alone), History::new(true));
        let mut events = Vec::new();
        for mut entry in entries.into_iter().rev() {
            let began_before = is_end(&entry) && call_id(&entry).is_none_or(|id| !begun.contains(&id));
            if began_before {
                if let Some(arguments) = call_id(&entry).and_then(|id| self.running.remove(&id)) {
                    entry.details["arguments"] = arguments;
                }
                events.extend(alone.read(entry));
            } else {
                events.extend(history.read(entry));
            }
        }
        events.reverse();
        for event in &events {
            self.remember(event);
        }
        events
    }

    fn remember(&mut self, event: &Event) {
        if event.outcome != "running" {
            return;
        }
        if self.running.len() >= MAX_RUNNING {
            self.running.clear();
        }
        if let Some(id) = call_id(&event.entry) {
            self.running.insert(id, event.arguments());
        }
    }
}

fn call_id(entry: &Entry) -> Option<String> {
    entry.details["call_id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned)
}

fn is_begin(entry: &Entry) -> bool {
    entry.action == "proxyCall.begin"
}

/// Whether the entry is the end of a call that had begun.
fn is_end(entry: &Entry) -> bool {
    let stage = entry.action.strip_prefix("proxyCall.").filter(|_| entry.unreadable.is_none());
    stage.is_some_and(|stage| !matches!(stage, "begin" | "denied" | "held" | "asked"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(action: &str, details: &Value) -> Entry {
        let entry = json!({
            "entry_id": "e", "seq": 1, "kind": "governance", "action": action, "agent_id": "bot", "session_id": "s", "tool": "t.x",
            "timestamp": 1, "details": details, "flag_reason": "",
        });
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn a_call_is_one_line_or_one_when_it_begins_and_one_when_it_ends_with_its_arguments() {
        let begin = |id: &str| entry("proxyCall.begin", &json!({"call_id": id, "arguments": {"n": id}}));
        let end = |id: &str| entry("proxyCall.ok", &json!({"call_id": id, "milliseconds": 7}));
        let mut calls = Calls::default();
        let mut shown = |entries: Vec<Entry>| -> Vec<_> {
            calls.events(entries).iter().map(|event| (event.outcome.clone(), event.arguments()["n"].clone())).collect()
        };
        let line = |outcome: &str, id: &str| (outcome.to_owned(), json!(id));
        assert_eq!(shown(vec![begin("a"), end("a")]), [line("ok, 7 ms", "a")]);
        assert_eq!(shown(vec![begin("b"), begin("c"), end("c")]), [line("running", "b"), line("ok, 7 ms", "c")]);
        assert_eq!(shown(vec![entry("proxyCall.denied", &json!({}))]), [("refused".to_owned(), Value::Null)]);
        assert_eq!(shown(vec![end("b")]), [line("ok, 7 ms", "b")]);
        // Its beginning was not read.
        assert_eq!(shown(vec![end("z")]), [("ok, 7 ms".to_owned(), Value::Null)]);
        let many = (0..3 * MAX_RUNNING).map(|id| begin(&id.to_string())).collect();
        assert_eq!(calls.events(many).len(), 3 * MAX_RUNNING);
        assert!(calls.running.len() <= MAX_RUNNING);
    }
}
