//! A log that grows over several days, for tests of what follows from its entries.

use haldir::{call::AnomalyThresholds, crypto::Key};
use serde_json::{Value, json};

use super::{Folder, InProcess};

const DAY: i64 = 86_400;

/// A log in which several agents do several things on several days; it grows to a size when it is asked to.
pub struct Growing {
    pub haldir: InProcess,
    pub sessions: Vec<String>,
    pub size: usize,
}

impl Growing {
    pub fn open(folder: &Folder) -> Self {
        Self::of(InProcess::open(&folder.db()))
    }

    /// In a store that is opened again.
    pub fn open_with(folder: &Folder, key: &Key) -> Self {
        Self::of(InProcess::open_with(&folder.db(), key, AnomalyThresholds::default()))
    }

    fn of(haldir: InProcess) -> Self {
        let agents = ["one", "two", "three"];
        let sessions: Vec<_> =
            agents.map(|agent| haldir.session(&json!({"agent_id": agent, "ttl": 30 * DAY}))).to_vec();
        Self { haldir, size: sessions.len(), sessions }
    }

    pub fn grow(&mut self, size: usize) {
        for number in self.size + 1..=size {
            let cost = if number % 97 == 0 { 200.5 } else { 0.25 };
            let input = json!({
                "session_id": self.sessions[number % 7 % 3], "action": format!("do {}", number % 11),
                "tool": format!("tool {}", number % 5), "cost_usd": cost, "details": {"n": number},
            });
            if number % 13 == 0 {
                self.haldir.ok("storeSecret", &json!({"name": "s", "value": "v"}));
            } else {
                self.haldir.ok("logAction", &input);
            }
            if number % 250 == 0 {
                self.haldir.clock.advance_seconds(DAY / 2);
            }
        }
        self.size = size;
    }

    /// Every entry that passes, newest first, by pages of this many.
    pub fn trail(&self, filter: &Value, page: usize) -> Vec<Value> {
        let (mut all, mut query) = (Vec::new(), filter.clone());
        query["limit"] = page.into();
        loop {
            let answer = self.haldir.ok("getAuditTrail", &query);
            all.extend(answer["entries"].as_array().unwrap().iter().cloned());
            query["cursor"] = answer["next_cursor"].clone();
            if query["cursor"].is_null() {
                return all;
            }
        }
    }

    pub fn export(&self, filter: &Value) -> Vec<Value> {
        let text = self.haldir.streamed("exportAudit", filter).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.pop();
        lines
    }
}
