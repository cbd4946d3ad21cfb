//! What agents did in the last while, counted from the entries of the log as they come.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    interfaces::history::Entry,
    model::{Money, UnixMicros},
};

/// Entries that are kept; with more, the oldest are left out.
pub const MAX_ENTRIES: usize = 20_000;

/// What begins the actions of entries that only agents cause.
const PARTS: [&str; 4] = ["proxyCall.", "payment.authorize", "secret.read", "secret.inject"];
/// The entry of an agent that was stopped.
const STOP: &str = "agent.stop";

/// What an entry counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryClass {
    Call,
    Refusal,
    Held,
    /// What belongs to a call, a payment or a use of a secret.
    Part,
    /// What an operator may have done: it is no activity of the agent's.
    Other,
}

struct Counted {
    at: UnixMicros,
    agent: String,
    kind: EntryClass,
    cost: Money,
}

/// The figures of an agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub calls: u64,
    pub refusals: u64,
    pub held: u64,
    pub cost: Money,
    pub last: UnixMicros,
}

/// The entries.
#[derive(Default)]
pub struct Window {
    entries: VecDeque<Counted>,
    /// Agents that were stopped, by when; those that did so within the window.
    stopped: BTreeMap<String, UnixMicros>,
}

/// The agent that an operator stopped.
fn stopped(entry: &Entry) -> Option<String> {
    entry.details["agent_id"].as_str().filter(|_| entry.action == STOP).map(str::to_owned)
}

fn counts_as(entry: &Entry) -> EntryClass {
    match entry.action.as_str() {
        action if action.ends_with(".denied") => EntryClass::Refusal,
        "proxyCall.held" => EntryClass::Held,
        "proxyCall.begin" => EntryClass::Call,
        _ if entry.kind == "action" => EntryClass::Call,
        action if PARTS.iter().any(|part| action.starts_with(part)) => EntryClass::Part,
        _ => EntryClass::Other,
    }
}

impl Window {
    /// Counts new entries, oldest first.
    pub fn add(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if let Some(agent) = stopped(&entry) {
                self.stopped.insert(agent, entry.timestamp);
            }
            // What concerns no agent has the agent `system`.
            if entry.unreadable.is_some() || entry.agent_id.is_empty() || entry.agent_id == "system" {
                continue;
            }
            let kind = counts_as(&entry);
            if self.entries.len() >= MAX_ENTRIES {
                self.entries.pop_front();
            }
            let (at, agent, cost) = (entry.timestamp, entry.agent_id, entry.cost_usd);
            self.entries.push_back(Counted { at, agent, kind, cost });
        }
    }

    /// Forgets what lies before then.
    pub fn begin_at(&mut self, time: UnixMicros) {
        while self.entries.front().is_some_and(|entry| entry.at < time) {
            self.entries.pop_front();
        }
        self.stopped.retain(|_, at| *at >= time);
    }

    /// Whether an operator stopped this agent within the window.
    pub fn was_stopped(&self, agent: &str) -> bool {
        self.stopped.contains_key(agent)
    }

    /// The figures of each agent that did something.
    pub fn by_agent(&self) -> BTreeMap<String, Figures> {
        let mut agents = BTreeMap::<_, Figures>::new();
        for entry in &self.entries {
            let figures = agents.entry(entry.agent.clone()).or_default();
            match entry.kind {
                EntryClass::Call => figures.calls += 1,
                EntryClass::Refusal => figures.refusals += 1,
                EntryClass::Held => figures.held += 1,
                EntryClass::Part | EntryClass::Other => {}
            }
            figures.cost = figures.cost.saturating_add(entry.cost);
            if entry.kind != EntryClass::Other {
                figures.last = figures.last.max(entry.at);
            }
        }
        agents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: i64, agent: &str, kind: &str, action: &str, cost: &str) -> Entry {
        let text = format!(
            r#"{{"kind": "{kind}", "action": "{action}", "agent_id": "{agent}", "timestamp": {at}, "cost_usd": {cost}}}"#
        );
        raw(&text)
    }

    fn raw(text: &str) -> Entry {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn calls_refusals_and_costs_are_counted_for_each_agent_within_the_window() {
        let mut window = Window::default();
        let entries = vec![
            entry(1, "a", "action", "x", "100"),
            entry(10, "a", "governance", "proxyCall.begin", "0.5"),
            entry(11, "a", "governance", "proxyCall.ok", "0"),
            entry(12, "b", "governance", "proxyCall.denied", "0"),
            entry(13, "b", "governance", "proxyCall.held", "0"),
            entry(14, "system", "governance", "key.create", "0"),
            entry(15, "a", "action", "x", "0.25"),
        ];
        window.add(entries);
        window.begin_at(UnixMicros(10_000_000));
        let agents = window.by_agent();
        let cost = "0.75".parse().unwrap();
        assert_eq!(agents["a"], Figures { calls: 2, cost, last: UnixMicros(15_000_000), ..Figures::default() });
        assert_eq!((agents["b"].calls, agents["b"].refusals, agents["b"].held, agents.len()), (0, 1, 1, 2));
        // What an operator did with its session is no activity of the agent's, and a stop is remembered.
        let stop = r#"{"kind": "governance", "action": "agent.stop", "agent_id": "system", "timestamp": 16, "cost_usd": 0,
            "details": {"agent_id": "b", "revoke_keys": false}}"#;
        window.add(vec![entry(16, "b", "governance", "session.revoke", "0"), raw(stop)]);
        assert_eq!(window.by_agent()["b"].last, UnixMicros(13_000_000));
        assert!(window.was_stopped("b") && !window.was_stopped("a"));
        let many = || (0..5_000).map(|at| entry(at + 20, "c", "action", "x", "0")).collect();
        (0..5).for_each(|_| window.add(many()));
        assert_eq!(window.entries.len(), MAX_ENTRIES);
    }
}
