//! `examples/human-in-the-loop`, with the very files that stand there.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    proxy::entries,
    support::{House, json, program::Lines, refusal_in, text},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/human-in-the-loop")
}

/// A shell's search path with our programs in front.
fn search_path() -> std::ffi::OsString {
    let ours = Path::new(env!("CARGO_BIN_EXE_haldir")).parent().unwrap().to_owned();
    let theirs = env::var_os("PATH").unwrap();
    env::join_paths([ours].into_iter().chain(env::split_paths(&theirs))).unwrap()
}

#[test]
fn the_demo_plays_through_a_call_that_waits_for_a_person() {
    let home = tempfile::tempdir().unwrap();
    let mut demo = Command::new("/bin/sh");
    demo.arg(folder().join("demo.sh")).env_clear().env("PATH", search_path()).env("HOME", home.path());
    let output = demo.stdin(Stdio::null()).output().unwrap();
    let (said, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}\n{errors}");
    let told: Vec<Value> = said
        .lines()
        .filter_map(|line| line.strip_prefix("  is told "))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let results: Vec<_> = told.iter().map(|answer| &answer["result"]).collect();
    let texts: Vec<_> = results.iter().map(|result| text(&result["content"][0], "text")).collect();
    let waits = |result: &Value| {
        let held = refusal_in(result);
        assert_eq!(held["status"], "approval_required", "{held}");
    };
    assert_eq!(texts.len(), 7, "{said}");
    assert_eq!(texts[0], "draft minutes thesis ");
    waits(results[1]);
    assert_eq!(texts[2], "deleted minutes", "the repeated call was not made: {said}");
    waits(results[3]);
    waits(results[4]);
    assert_eq!(texts[5], "deleted draft", "the call was not made as the person changed it: {said}");
    let changed = &told[5]["result"]["_meta"]["io.haldir/edited_arguments"];
    assert_eq!((&changed["decided_by"], &changed["changed"]), (&json!("ann"), &json!(["name"])), "{said}");
    assert_eq!(texts[6], "thesis ", "{said}");
    assert_eq!(said.lines().filter(|line| *line == "approval.use").count(), 2, "{said}");
}

#[test]
fn the_example_for_a_client_puts_the_call_before_the_person_in_a_dialog() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let rule = ["call", "add-approval-rule", "--type", "tool_blocked", "--tools", "notes.delete_note"];
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    assert!(readme.contains(&format!("$ haldir {}\n", rule.join(" "))), "{readme}");
    assert_eq!(house.terminal(&rule).0, 0);
    let config: Value = serde_json::from_str(&fs::read_to_string(folder().join("mcp.json")).unwrap()).unwrap();
    let server = &config["mcpServers"]["notes"];
    assert_eq!(server["command"], "haldir-mcp");
    let arguments = server["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    let mut command = house.program();
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("PATH", search_path());
    let mut client = Lines::begun(command);
    let call = json!({"name": "delete_note", "arguments": {"name": "draft"}});
    client.write(&json!({"jsonrpc": "2.0", "id": 90, "method": "tools/call", "params": call}).to_string());
    let dialog: Value = serde_json::from_str(&client.line()).unwrap();
    assert!(text(&dialog["params"], "message").contains("\"name\" = \"draft\""), "{dialog}");
    let yes = json!({"action": "accept", "content": {"decision": "approve"}});
    client.write(&json!({"jsonrpc": "2.0", "id": dialog["id"], "result": yes}).to_string());
    let answer: Value = serde_json::from_str(&client.line()).unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], "deleted draft", "{answer}");
    assert_eq!(entries(&operator, "approval.approve")[0]["actor"], "elicitation");
}
