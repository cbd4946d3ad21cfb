//! Children that take their time to start, and those that do not start at all.

use std::fs;

use serde_json::Value;

use super::{BOTH, call, scripted, told};
use crate::support::{
    House, Server, json,
    program::{Lines, upstream_program},
    until,
};

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}})
}

#[test]
fn a_child_that_is_slow_to_start_is_waited_for_and_not_killed() {
    let house = House::new();
    let program = upstream_program().display();
    // It starts once the file is there, and each start is a line.
    let script = format!("echo x >> starts; while [ ! -e go ]; do sleep 0.05; done; exec '{program}' --stdio");
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", scripted(&house, &script, "limits = { start_timeout = 1 }"));
    let server = Server::start(command);
    let operator = server.first_key();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    for _ in 0..3 {
        let said = told(&call(&operator, &session, "up.echo"));
        assert_eq!(said["code"], "upstream_starting", "{said}");
    }
    fs::write(house.folder().join("go"), "").unwrap();
    until("the child answers", || call(&operator, &session, "up.echo")["isError"] == false);
    assert_eq!(fs::read_to_string(house.folder().join("starts")).unwrap(), "x\n");
}

#[test]
fn a_child_that_dies_at_its_start_is_answered_for_with_its_last_words() {
    let house = House::new();
    let script = "echo 'a module is missing' >&2; exit 3";
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", scripted(&house, script, ""));
    let server = Server::start(command);
    let operator = server.first_key();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let answer = operator.send("POST", "/mcp/up", &[BOTH], &initialize().to_string());
    assert!(answer.text.contains("a module is missing") && answer.text.contains("exit status: 3"), "{}", answer.text);
    assert!(answer.text.contains("\"id\":7"), "{}", answer.text);
    let says_why = || told(&call(&operator, &session, "up.echo"))["error"].to_string().contains("a module is missing");
    until("a call says why", says_why);
    until("the log says so", || server.process.errors().contains("a child is not there"));
    assert!(!server.process.errors().contains("a module is missing"), "what a child says may hold secrets");
}

#[test]
fn what_is_told_of_a_childs_end_has_no_secret_in_it() {
    let house = House::new();
    let script = "echo \"the token $TOKEN is wrong\" >&2; exit 3";
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", scripted(&house, script, "env = { TOKEN = \"{{secret:token}}\" }"));
    let server = Server::start(command);
    let operator = server.first_key();
    let secret = json!({"name": "token", "value": "tok-12345678", "upstreams": ["up"], "disclosure": "inject"});
    assert_eq!(operator.post("/v1/secrets", &secret).status, 201);
    let answer = operator.send("POST", "/mcp/up", &[BOTH], &initialize().to_string());
    assert!(answer.text.contains("the token") && !answer.text.contains("tok-1234"), "{}", answer.text);
    let session = operator.session(&json!({"scopes": ["execute", "read"]}));
    let says_why = || told(&call(&operator, &session, "up.echo"))["error"].to_string().contains("the token");
    until("a call says why", says_why);
    let said = call(&operator, &session, "up.echo").to_string();
    assert!(!said.contains("tok-1234"), "{said}");
}

#[test]
fn a_wrapped_server_that_dies_at_its_start_answers_the_handshake() {
    let house = House::new();
    let mut command = house.program();
    command.args(["wrap", "--name", "up", "--", "/bin/sh", "-c", "echo 'a module is missing' >&2; exit 3"]);
    let mut client = Lines::start(command);
    client.write(&initialize().to_string());
    let answer: Value = serde_json::from_str(&client.line()).unwrap();
    assert_eq!(answer["id"], 7, "{answer}");
    assert!(answer["error"]["message"].to_string().contains("a module is missing"), "{answer}");
    // It is tried a few times more, and then the program says so.
    let (well, errors) = client.leave();
    assert!(well || errors.contains("does not keep running"), "{errors}");
}
