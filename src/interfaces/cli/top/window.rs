//! What agents did in the last while, counted from the entries of the log as they come.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
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
enum Kind {
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
    kind: Kind,
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

#[derive(Deserialize)]
struct Entry {
    kind: String,
    action: String,
    agent_id: String,
    timestamp: UnixMicros,
    cost_usd: Money,
    #[serde(default)]
    unreadable: Option<String>,
    details: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Stopped {
    agent_id: String,
}

impl Entry {
    /// The agent that an operator stopped.
    fn stopped(&self) -> Option<String> {
        let details = self.details.as_ref().filter(|_| self.action == STOP)?;
        serde_json::from_str::<Stopped>(details.get()).ok().map(|stopped| stopped.agent_id)
    }

    fn counts_as(&self) -> Kind {
        match self.action.as_str() {
            action if action.ends_with(".denied") => Kind::Refusal,
            "proxyCall.held" => Kind::Held,
            "proxyCall.begin" => Kind::Call,
            _ if self.kind == "action" => Kind::Call,
            action if PARTS.iter().any(|part| action.starts_with(part)) => Kind::Part,
            _ => Kind::Other,
        }
    }
}

impl Window {
    /// Takes in new entries, as haldir answers them, oldest first.
    pub fn add(&mut self, entries: &[Box<RawValue>]) -> Result<()> {
        for entry in entries {
            let entry: Entry = serde_json::from_str(entry.get()).map_err(Error::internal)?;
            if let Some(agent) = entry.stopped() {
                self.stopped.insert(agent, entry.timestamp);
            }
            // What concerns no agent has the agent `system`.
            if entry.unreadable.is_some() || entry.agent_id.is_empty() || entry.agent_id == "system" {
                continue;
            }
            let kind = entry.counts_as();
            if self.entries.len() >= MAX_ENTRIES {
                self.entries.pop_front();
            }
            let (at, agent, cost) = (entry.timestamp, entry.agent_id, entry.cost_usd);
            self.entries.push_back(Counted { at, agent, kind, cost });
        }
        Ok(())
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
                Kind::Call => figures.calls += 1,
                Kind::Refusal => figures.refusals += 1,
                Kind::Held => figures.held += 1,
                Kind::Part | Kind::Other => {}
            }
            figures.cost = figures.cost.saturating_add(entry.cost);
            if entry.kind != Kind::Other {
                figures.last = figures.last.max(entry.at);
            }
        }
        agents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: i64, agent: &str, kind: &str, action: &str, cost: &str) -> Box<RawValue> {
        let text = format!(
            r#"{{"kind": "{kind}", "action": "{action}", "agent_id": "{agent}", "timestamp": {at}, "cost_usd": {cost}}}"#
        );
        raw(&text)
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn calls_refusals_and_costs_are_counted_for_each_agent_within_the_window() {
        let mut window = Window::default();
        let entries = [
            entry(1, "a", "action", "x", "100"),
            entry(10, "a", "governance", "proxyCall.begin", "0.5"),
            entry(11, "a", "governance", "proxyCall.ok", "0"),
            entry(12, "b", "governance", "proxyCall.denied", "0"),
            entry(13, "b", "governance", "proxyCall.held", "0"),
            entry(14, "system", "governance", "key.create", "0"),
            entry(15, "a", "action", "x", "0.25"),
        ];
        window.add(&entries).unwrap();
        window.begin_at(UnixMicros(10_000_000));
        let agents = window.by_agent();
        let cost = "0.75".parse().unwrap();
        assert_eq!(agents["a"], Figures { calls: 2, cost, last: UnixMicros(15_000_000), ..Figures::default() });
        assert_eq!((agents["b"].calls, agents["b"].refusals, agents["b"].held, agents.len()), (0, 1, 1, 2));
        // What an operator did with its session is no activity of the agent's, and a stop is remembered.
        let stop = r#"{"kind": "governance", "action": "agent.stop", "agent_id": "system", "timestamp": 16, "cost_usd": 0,
            "details": {"agent_id": "b", "revoke_keys": false}}"#;
        window.add(&[entry(16, "b", "governance", "session.revoke", "0"), raw(stop)]).unwrap();
        assert_eq!(window.by_agent()["b"].last, UnixMicros(13_000_000));
        assert!(window.was_stopped("b") && !window.was_stopped("a"));
        let many: Vec<_> = (0..5_000).map(|at| entry(at + 20, "c", "action", "x", "0")).collect();
        (0..5).for_each(|_| window.add(&many).unwrap());
        assert_eq!(window.entries.len(), MAX_ENTRIES);
    }
}
