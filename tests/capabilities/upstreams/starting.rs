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

#[test]
fn one_child_that_hangs_keeps_no_other_from_the_first_list() {
    let house = House::new();
    let program = json!(upstream_program().display().to_string());
    let good = format!("[upstreams.good]\ncommand = {program}\nargs = [\"--stdio\"]\n");
    let config = house.folder().join("good.toml");
    fs::write(&config, &good).unwrap();
    let client = |config: &std::path::Path| {
        let mut command = house.program();
        command.env("HALDIR_CONFIG", config);
        Lines::begun(command)
    };
    let lists_it = |client: &mut Lines| client.ask("tools/list", &json!({})).last().unwrap().contains("good__echo");
    let mut first = client(&config);
    until("the child is known", || lists_it(&mut first));
    drop(first);
    // A day is allowed it to start, and it never does.
    let hangs = "while true; do sleep 1; done";
    let config = scripted(&house, hangs, &format!("limits = {{ start_timeout = \"1d\" }}\n{good}"));
    let mut client = client(&config);
    assert!(lists_it(&mut client));
    assert!(client.call("getSpend", &json!({}))["result"]["content"][0]["text"].is_string());
}

#[test]
fn what_is_no_message_is_passed_over_and_stands_in_the_childs_log() {
    let script = |noise: &str| {
        let list = r#"result="{\"tools\":[$tool]}""#;
        // A mark of the byte order before the first line, and noise before every answer.
        format!(
            "printf '\\357\\273\\277'; {}",
            super::server_script(list).replace("printf '{", &format!("{noise}printf '{{"))
        )
    };
    let noise = "echo '[info] ready'; echo \"token $TOKEN\"; echo '{ no: json }'; ";
    let is_logged = |house: &House| {
        let (code, out, errors) = house.terminal(&["upstreams", "logs", "up"]);
        assert_eq!(code, 0, "{errors}");
        for line in ["[info] ready", "{ no: json }"] {
            assert!(out.contains(&format!("[standard output, no message of MCP] {line}")), "{line}: {out}");
        }
        out
    };
    let house = House::new();
    let mut command = house.serving();
    let more = "env = { TOKEN = \"{{secret:token}}\" }";
    command.env("HALDIR_CONFIG", scripted(&house, &script(noise), more));
    let server = Server::start(command);
    let operator = server.first_key();
    let secret = json!({"name": "token", "value": "tok-12345678", "upstreams": ["up"], "disclosure": "inject"});
    assert_eq!(operator.post("/v1/secrets", &secret).status, 201);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    until("the child answers", || call(&operator, &session, "up.echo")["isError"] == false);
    let log = is_logged(&house);
    assert!(log.contains("token [redacted: token]") && !log.contains("tok-1234"), "{log}");
    let told = server.process.errors();
    assert_eq!(told.matches("no messages of MCP").count(), 1, "{told}");
    drop(server);
    // The same in front of a wrapped server.
    let house = House::new();
    let mut command = house.program();
    command.args(["wrap", "--name", "up", "--", "/bin/sh", "-c", &script(noise)]);
    let mut client = Lines::begun(command);
    assert_eq!(client.call("echo", &json!({}))["result"]["content"][0]["text"], "called");
    is_logged(&house);
}

#[test]
fn a_line_of_a_client_that_is_no_json_is_answered_and_a_mark_of_the_byte_order_is_none() {
    let house = House::new();
    let mut wrapped = house.program();
    wrapped.args(["wrap", "--name", "up", "--"]).arg(upstream_program()).arg("--stdio");
    for command in [house.program(), wrapped] {
        let mut client = Lines::start(command);
        client.write(&format!("\u{feff}{}", initialize()));
        let answer: Value = serde_json::from_str(&client.line()).unwrap();
        assert_eq!((&answer["id"], &answer["result"]["serverInfo"].is_object()), (&json!(7), &true), "{answer}");
        for line in ["hello", "[info] ready", "{\"jsonrpc\":\"2.0\",", "\u{fffe}\u{0}{\u{0}}"] {
            client.write(line);
            let answer: Value = serde_json::from_str(&client.line()).unwrap();
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(null), &json!(-32_700)), "{line}: {answer}");
        }
        client.write(r#"{"jsonrpc":"2.0","id":8,"method":"ping"}"#);
        assert_eq!(serde_json::from_str::<Value>(&client.line()).unwrap()["id"], 8);
    }
}
