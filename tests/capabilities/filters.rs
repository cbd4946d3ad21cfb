//! Filters return what a scan of every entry returns, for every filter, fold position and appending process.

use std::path::PathBuf;

use haldir::{
    call::AnomalyThresholds,
    crypto::Key,
    model::{Credential, TenantId},
};
use serde_json::{Map, Value};

use crate::support::{House, InProcess, Random, at_once, integer, json, start_of_time, text};

const DAY: i64 = 86_400;
const ROUNDS: usize = 12;
const QUERIES: usize = 14;
const TENANTS: usize = 3;
/// Values that are like one another, and some that are seldom.
const AGENTS: [&str; 6] = ["a", "A", "a:a", "system", "\u{e9}", "e\u{301}"];
const TOOLS: [&str; 10] = ["", "t", "T", "t ", "t:", "t%", "haldir", "\u{1f680}", "line\nbreak", "odd"];

/// Two processes on one store.
struct Processes {
    path: PathBuf,
    key: Key,
    running: [Option<InProcess>; 2],
}

impl Processes {
    fn get(&self, which: usize) -> &InProcess {
        self.running[which].as_ref().unwrap()
    }

    /// The time of both, which differ by a little.
    fn restart(&mut self, which: usize, seconds: i64) {
        self.running[which] = None;
        let haldir = InProcess::open_with(&self.path, &self.key, AnomalyThresholds::default());
        haldir.clock.advance_seconds(seconds);
        self.running[which] = Some(haldir);
    }
}

/// A tenant, its sessions, and how many entries its log has.
struct Log {
    tenant: TenantId,
    sessions: Vec<String>,
    size: i64,
}

impl Log {
    fn owner(&self) -> Credential {
        Credential::LocalOperator(self.tenant.clone())
    }

    fn call(&self, haldir: &InProcess, name: &str, input: &Value) -> Value {
        haldir.call_as(&self.owner(), name, input).unwrap_or_else(|error| panic!("{name} {input}: {error}"))
    }

    /// A page of what passes, and where the next one begins.
    fn page(&self, haldir: &InProcess, query: &Value) -> (Vec<Value>, Value) {
        let mut answer = self.call(haldir, "getAuditTrail", query);
        let Value::Array(entries) = answer["entries"].take() else { panic!("{answer}") };
        assert_eq!(answer["count"], entries.len());
        (entries, answer["next_cursor"].take())
    }

    fn append(&mut self, haldir: &InProcess, random: &mut Random) {
        let times = if random.below(4) == 0 { 1 + random.below(120) } else { 1 };
        let session = &self.sessions[pick(random, self.sessions.len())];
        let (tool, dear) = (TOOLS[pick(random, TOOLS.len())], random.below(9) == 0);
        let (this, owner) = (&*self, self.owner());
        match random.below(6) {
            0 => drop(this.call(haldir, "storeSecret", &json!({"name": "s", "value": "v"}))),
            1 => {
                let payment = json!({"session_id": session, "amount": 1});
                assert!(haldir.call_as(&owner, "authorizePayment", &payment).is_err(), "it may not spend");
            }
            _ => {
                let cost = if dear { 300 } else { 0 };
                let input = json!({
                    "session_id": session, "action": "do", "tool": tool, "cost_usd": cost, "details": {"n": self.size}
                });
                let times = usize::try_from(times).unwrap();
                at_once(times.min(12), |first| {
                    (first..times).step_by(12).for_each(|_| drop(this.call(haldir, "logAction", &input)));
                });
                self.size += times.cast_signed() as i64;
                return;
            }
        }
        self.size += 1;
    }
}

fn pick(random: &mut Random, length: usize) -> usize {
    usize::try_from(random.below(length as u64)).unwrap()
}

/// Some filters, in any combination.
fn filter(random: &mut Random, logs: &[Log], now: i64) -> Value {
    let mut filter = Map::new();
    // A session of another tenant is asked for as well.
    let sessions: Vec<&String> = logs.iter().flat_map(|log| &log.sessions).collect();
    let mut with = |random: &mut Random, name: &str, value: Value| {
        if random.below(5) < 2 {
            filter.insert(name.to_owned(), value);
        }
    };
    let session = json!(sessions[pick(random, sessions.len())]);
    with(random, "session_id", session);
    let agent = json!(AGENTS[pick(random, AGENTS.len())]);
    with(random, "agent_id", agent);
    let tool = json!(TOOLS[pick(random, TOOLS.len())]);
    with(random, "tool", tool);
    let flagged = json!(random.below(2) == 0);
    with(random, "flagged", flagged);
    for name in ["since", "until"] {
        let seconds = start_of_time().as_seconds() - 100 + random.below(now.unsigned_abs() + 200).cast_signed();
        with(random, name, json!(seconds));
    }
    Value::Object(filter)
}

fn passes(entry: &Value, filter: &Value) -> bool {
    let at = entry["timestamp"].as_f64().unwrap();
    filter.as_object().unwrap().iter().all(|(name, value)| match name.as_str() {
        "since" => at >= value.as_f64().unwrap(),
        "until" => at < value.as_f64().unwrap(),
        field => entry[field] == *value,
    })
}

#[test]
fn any_filters_find_what_looking_at_every_entry_finds() {
    let mut random = Random::new("filters");
    let house = House::new();
    let mut processes = Processes { path: house.db(), key: Key::generate().unwrap(), running: [None, None] };
    processes.restart(0, 0);
    processes.restart(1, 7);
    let mut tenants = vec![TenantId::local()];
    tenants.extend((1..TENANTS).map(|_| processes.get(0).another_tenant()));
    let mut logs: Vec<Log> = tenants.into_iter().map(|tenant| Log { tenant, sessions: Vec::new(), size: 0 }).collect();
    for log in &mut logs {
        let sessions = AGENTS.iter().filter(|agent| **agent != "system").chain([&"a"]).map(|agent| {
            let made = log.call(processes.get(0), "createSession", &json!({"agent_id": agent, "ttl": 0}));
            text(&made, "session_id")
        });
        log.sessions = sessions.collect();
        log.size = integer(&log.call(processes.get(0), "verifyAuditTrail", &json!({})), "entries_checked");
    }
    let mut now = 0;
    for round in 0..ROUNDS {
        for _ in 0..random.below(25) {
            // The first grows most; the last one hardly begins to be folded.
            let which = pick(&mut random, TENANTS * TENANTS * 2).isqrt().min(TENANTS - 1);
            let process = pick(&mut random, 2);
            logs[TENANTS - 1 - which].append(processes.get(process), &mut random);
        }
        if random.below(4) == 0 {
            let seconds = random.below(3 * DAY.unsigned_abs()).cast_signed();
            now += seconds;
            processes.running.iter().flatten().for_each(|haldir| haldir.clock.advance_seconds(seconds));
        }
        if random.below(4) == 0 {
            let log = &mut logs[pick(&mut random, TENANTS)];
            let haldir = processes.get(pick(&mut random, 2));
            log.call(haldir, "setAuditRetention", &json!({"retain_days": 1 + random.below(3)}));
            log.call(haldir, "pruneAuditDetails", &json!({"confirm": true}));
            log.size = integer(&log.call(haldir, "verifyAuditTrail", &json!({})), "entries_total");
        }
        if random.below(4) == 0 {
            let which = pick(&mut random, 2);
            processes.restart(which, now + random.below(60).cast_signed());
        }
        let which = pick(&mut random, TENANTS);
        let process = pick(&mut random, 2);
        let all = logs[which].page(processes.get(process), &json!({"limit": 1_000})).0;
        let all = if all.len() < 1_000 { all } else { whole(&logs[which], processes.get(process)) };
        assert_eq!(all.len().cast_signed() as i64, logs[which].size, "round {round}");
        for _ in 0..QUERIES {
            look(&mut logs, which, &processes, &all, &mut random, now);
            if logs[which].size != all.len().cast_signed() as i64 {
                break;
            }
        }
    }
    for log in &logs {
        let report = log.call(processes.get(0), "verifyAuditTrail", &json!({}));
        assert_eq!((&report["verified"], &report["entries_total"]), (&json!(true), &json!(log.size)), "{report}");
    }
}

/// Every entry, by no filter.
fn whole(log: &Log, haldir: &InProcess) -> Vec<Value> {
    let (mut all, mut query) = (Vec::new(), json!({"limit": 1_000}));
    loop {
        let (mut page, next) = log.page(haldir, &query);
        all.append(&mut page);
        if next.is_null() {
            return all;
        }
        query["cursor"] = next;
    }
}

/// Asks for what passes some filters, by pages from the newest, while the log grows now and then, or oldest first.
fn look(logs: &mut [Log], which: usize, processes: &Processes, all: &[Value], random: &mut Random, now: i64) {
    let given = filter(random, logs, now);
    let haldir = processes.get(pick(random, 2));
    let right: Vec<&Value> = all.iter().filter(|entry| passes(entry, &given)).collect();
    if which == 0 && random.below(4) == 0 {
        // Streams are the local tenant's in this test.
        let exported = haldir.streamed("exportAudit", &given).unwrap();
        let lines = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut ids: Vec<Value> = lines.map(|mut line| line["entry_id"].take()).collect();
        assert_eq!(ids.pop(), Some(Value::Null), "the manifest is the last");
        assert!(ids.iter().eq(right.iter().rev().map(|entry| &entry["entry_id"])), "{given} exported");
        return;
    }
    let mut query = given.clone();
    let most = [3, 40, 1_000][pick(random, 3)];
    query["limit"] = (1 + random.below(most)).into();
    let mut from = i64::MAX;
    if random.below(3) == 0 {
        from = [1, 2, 256, 257, 258, 512, 513, logs[which].size + 1, 999_999_999_999_999_999][pick(random, 9)];
        query["cursor"] = from.to_string().into();
    }
    let mut left = right.into_iter().filter(|entry| integer(entry, "seq") < from);
    let grows = random.below(6) == 0;
    loop {
        let (page, next) = logs[which].page(haldir, &query);
        for entry in &page {
            // Details may be erased meanwhile, and nothing else.
            let expected = left.next().unwrap_or_else(|| panic!("{query} finds too much: {entry}"));
            assert_eq!(entry, expected, "{query}");
        }
        assert!(page.len() <= query["limit"].as_u64().unwrap().try_into().unwrap(), "{query}");
        if next.is_null() {
            break;
        }
        assert!(!page.is_empty(), "{query} ends a page for nothing: {next}");
        query["cursor"] = next;
        if grows && random.below(3) == 0 {
            logs[which].append(processes.get(pick(random, 2)), random);
        }
    }
    assert_eq!(left.next(), None, "{query} misses it");
}
