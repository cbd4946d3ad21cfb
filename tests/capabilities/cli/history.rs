//! `haldir log`, `haldir sessions`, `haldir agents` and `haldir spend`.

use serde_json::json;

use super::Terminal;
use crate::support::{
    House,
    program::{Lines, upstream_program},
};

/// A wrapped server whose agent has called a tool, and one that it may not.
fn wrapped(house: &House) {
    let (code, _, errors) = house.terminal(&["policy", "add", "block_tool", "--tool", "test.test_image_content"]);
    assert_eq!(code, 0, "{errors}");
    let mut command = house.program();
    command.args(["wrap", "--name", "test", "--agent", "bot", "--"]).arg(upstream_program()).arg("--stdio");
    let mut wrapped = Lines::begun(command);
    wrapped.call("test_simple_text", &json!({"path": "/tmp/a"}));
    wrapped.call("test_image_content", &json!({}));
    assert!(wrapped.leave().0);
}

#[test]
fn the_log_says_for_people_what_was_called_and_what_came_of_it() {
    let house = House::new();
    wrapped(&house);
    let log = |options: &[&str]| {
        let (code, output, errors) = house.terminal(&[&["log"], options].concat());
        assert_eq!(code, 0, "{errors}");
        output
    };
    let all = log(&[]);
    let lines: Vec<_> = all.lines().collect();
    let place = |parts: &[&str]| {
        let found = lines.iter().position(|line| parts.iter().all(|part| line.contains(part)));
        found.unwrap_or_else(|| panic!("{parts:?} in {all}"))
    };
    assert!(lines[0].starts_with("TIME") && lines[0].ends_with("WHY"), "{all}");
    // One line for a call, with its arguments and its end; the newest at the bottom.
    let called = place(&["bot", "test.test_simple_text", "ok, ", " ms", r#"{"path":"/tmp/a"}"#]);
    let refused = place(&["bot", "test.test_image_content", "refused", "policy"]);
    assert!(place(&["session.create"]) < called && called < refused, "{all}");
    assert_eq!(all.matches("test.test_simple_text").count(), 1, "{all}");
    let only_refused = log(&["--refused", "--agent", "bot", "--since", "1h"]);
    assert_eq!(only_refused.lines().count(), 2, "{only_refused}");
    assert!(only_refused.contains("test.test_image_content"), "{only_refused}");
    assert_eq!(log(&["--until", "2020-01-01"]), "nothing of the kind is in the log\n");
    assert_eq!(log(&["-n", "1"]).lines().count(), 2);
    let entries: serde_json::Value =
        serde_json::from_str(&log(&["--json", "--tool", "test.test_simple_text"])).unwrap();
    let entry = &entries["entries"][0];
    assert_eq!((&entry["agent_id"], &entry["arguments"]), (&json!("bot"), &json!({"path": "/tmp/a"})), "{entries}");
    assert!(entry["outcome"].as_str().unwrap().starts_with("ok"), "{entries}");
    // The policy that refused it, and all of the entry by its id.
    let (_, policies, _) = house.terminal(&["policy", "list", "--json"]);
    let policies: serde_json::Value = serde_json::from_str(&policies).unwrap();
    let policy = policies["policies"][0]["policy_id"].as_str().unwrap();
    assert!(only_refused.contains(&format!("({policy})")), "{only_refused}");
    let by_id = log(&["--ids", "--refused"]);
    let entry = by_id.lines().last().unwrap().split(' ').next().unwrap();
    let shown = log(&["show", entry]);
    for part in
        ["bot", "test.test_image_content", "HOW IT WAS DECIDED", "stopped the call", policy, "place in the log", "hash"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let json: serde_json::Value = serde_json::from_str(&log(&["show", entry, "--json"])).unwrap();
    assert_eq!((&json["entry_id"], &json["agent_id"]), (&json!(entry), &json!("bot")), "{json}");
    let (code, _, errors) = house.terminal(&["log", "show", "aud_none"]);
    assert!(code != 0 && errors.contains("haldir log --ids"), "{errors}");
    let (code, _, errors) = house.terminal(&["log", "--since", "soon"]);
    assert!(code == 2 && errors.contains("since"), "{errors}");
}

#[test]
fn sessions_are_listed_shown_with_those_below_them_and_ended() {
    let (terminal, _) = Terminal::with_store();
    let top = terminal.session();
    let create =
        ["call", "create-session", "--agent-id", "helper", "--scopes", "read", "--ttl", "10m", "--parent-session-id"];
    let below = terminal.done(&[&create[..], &[&top]].concat()).json()["session_id"].as_str().unwrap().to_owned();
    let listed = terminal.done(&["sessions", "list"]).stdout;
    assert!(listed.lines().count() == 3 && listed.contains(&top) && listed.contains("$ 0.00 of $ 5.00"), "{listed}");
    assert_eq!(terminal.done(&["sessions", "list", "--agent", "helper"]).stdout.lines().count(), 2);
    // So much of an id as names one session alone.
    let shown = terminal.done(&["sessions", "show", &below[..20]]).stdout;
    assert!(shown.contains("helper") && shown.contains("active") && shown.contains(&top), "{shown}");
    let ambiguous = terminal.refused(&["sessions", "show", "ses_"], 2).stderr;
    assert!(ambiguous.contains("more than one"), "{ambiguous}");
    let unknown = terminal.refused(&["sessions", "show", "ses_none"], 1).stderr;
    assert!(unknown.contains("haldir sessions list"), "{unknown}");
    let tree = terminal.done(&["sessions", "tree", &top]).stdout;
    let lines: Vec<_> = tree.lines().collect();
    assert!(lines[0].starts_with(&top) && lines[1].starts_with(&format!("  {below}")), "{tree}");
    let ended = terminal.done(&["sessions", "revoke", &top]).stdout;
    assert_eq!(ended, format!("ended {top}, and one session below it\n"));
    assert!(terminal.done(&["sessions", "list"]).stdout.contains("--all"));
    let all = terminal.done(&["sessions", "list", "--all"]).stdout;
    // Its state, and in place of the end that it would have had.
    assert_eq!((all.matches("revoked").count(), all.matches("was revoked").count()), (4, 2), "{all}");
    let json = terminal.done(&["sessions", "list", "--all", "--json"]).json();
    assert_eq!((json["sessions"].as_array().unwrap().len(), &json["more"]), (2, &json!(false)));
}

#[test]
fn agents_and_what_they_spent_are_added_up() {
    let (terminal, _) = Terminal::with_store();
    assert_eq!(terminal.done(&["agents"]).stdout, "no agent has had a session\n");
    let session = terminal.session();
    let other = terminal.done(&["call", "create-session", "--agent-id", "=helper"]).json();
    let other = other["session_id"].as_str().unwrap();
    for (session, tool, cost) in
        [(session.as_str(), "search", "1.10"), (&session, "mail", "0.05"), (other, "search", "2")]
    {
        let log = ["call", "log-action", "--session-id", session, "--tool", tool, "--action", "x", "--cost-usd", cost];
        terminal.done(&log);
    }
    terminal.done(&["sessions", "revoke", other]);
    let agents = terminal.done(&["agents"]).stdout;
    let row = |table: &str, name: &str| {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {table}"));
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row(&agents, "bot")[..6], ["bot", "1", "1", "2", "$", "1.15"], "{agents}");
    assert_eq!(row(&agents, "=helper")[..6], ["=helper", "0", "1", "1", "$", "2.00"], "{agents}");
    assert_eq!(terminal.done(&["agents", "--active"]).stdout.lines().count(), 2);
    let json = terminal.done(&["agents", "--json"]).stdout;
    assert!(json.contains(r#""agent_id":"bot","active":1,"sessions":1,"actions":2,"logged_cost_usd":1.15"#), "{json}");
    let spend = terminal.done(&["spend"]).stdout;
    let lines: Vec<_> = spend.lines().collect();
    assert!(lines[0].starts_with("AGENT") && lines[1].starts_with("=helper"), "the most first: {spend}");
    assert_eq!(lines[3], "$ 3.15 logged in 3 actions; $ 0.00 of payments authorized");
    let of_bot = terminal.done(&["spend", "--by", "tool", "--agent", "bot"]).stdout;
    assert!(of_bot.contains("search") && of_bot.contains("$ 1.15 logged in 2 actions"), "{of_bot}");
    let csv = terminal.done(&["spend", "--csv"]).stdout;
    assert_eq!(csv, "agent,usd\n'=helper,2\nbot,1.15\n", "what a spreadsheet takes for a formula is none");
    // By day and by month, from the counters of the log.
    let by_day = terminal.done(&["spend", "--by", "day", "--since", "2d", "--agent", "bot", "--json"]).json();
    let days = by_day["lines"].as_array().unwrap();
    assert_eq!((days.len(), &days[2]["usd"], &by_day["total_usd"]), (3, &json!(1.15), &json!(1.15)), "{by_day}");
    assert!(days[2]["name"].as_str().unwrap().len() == 10 && by_day["authorized_usd"].is_null(), "{by_day}");
    let by_month = terminal.done(&["spend", "--by", "month"]).stdout;
    assert!(by_month.lines().count() == 14 && by_month.ends_with("\n$ 3.15 logged\n"), "{by_month}");
    let one = terminal.done(&["spend", "--by", "day", "--session", &session, "--csv", "--since", "1d"]).stdout;
    assert!(one.starts_with("day,usd\n") && one.ends_with(",1.15\n") && one.lines().count() == 3, "{one}");
    let today = terminal.done(&["spend", "--by", "tool", "--since", "today"]).stdout;
    assert!(today.contains("search") && today.contains("$ 3.15 logged in 3 actions"), "{today}");
    let yesterday = terminal.done(&["spend", "--since", "yesterday", "--until", "today"]).stdout;
    assert_eq!(yesterday, "$ 0.00 logged in 0 actions; $ 0.00 of payments authorized\n");
    let by_day = terminal.done(&["spend", "--by", "day", "--since", "yesterday", "--until", "today"]).stdout;
    assert!(by_day.lines().count() == 3 && by_day.ends_with("\n$ 0.00 logged\n"), "today is not in it: {by_day}");
    assert!(terminal.refused(&["spend", "--by", "day", "--since", "1970-01-01"], 2).stderr.contains("ask for less"));
    assert!(terminal.refused(&["spend", "--by", "day", "--since", "soon"], 2).stderr.contains("since"));
}
