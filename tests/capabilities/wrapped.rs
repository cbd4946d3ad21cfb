//! `haldir-mcp wrap`: a server on standard input and output as it is without haldir, but for what haldir does not allow.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    proxy::entries,
    support::{
        Client, House, json,
        program::{Lines, upstream_program},
        text, until,
    },
};

fn wrap(house: &House, options: &[&str]) -> Command {
    let mut command = house.program();
    command.args(["wrap", "--name", "test"]).args(options).arg("--").arg(upstream_program()).arg("--stdio");
    command
}

fn direct() -> Command {
    let mut command = Command::new(upstream_program());
    command.arg("--stdio");
    command
}

fn actions(operator: &Client) -> Vec<String> {
    let trail = operator.get("/v1/audit?limit=1000").ok();
    trail["entries"].as_array().unwrap().iter().map(|entry| text(entry, "action")).collect()
}

#[track_caller]
fn wait_for(operator: &Client, action: &str) {
    until(&format!("{action} is in the log"), || actions(operator).iter().any(|found| found == action));
}

#[test]
fn a_wrapped_server_says_byte_for_byte_what_it_says_alone() {
    let house = House::new();
    let (mut alone, mut wrapped) = (Lines::start(direct()), Lines::start(wrap(&house, &[])));
    assert_eq!(alone.begin(), wrapped.begin());
    let call = |name: &str| ("tools/call", json!({"name": name, "arguments": {}}));
    let mut asked = vec![
        ("tools/list", json!({})),
        ("prompts/list", json!({})),
        ("prompts/get", json!({"name": "test_prompt_with_arguments", "arguments": {"arg1": "a", "arg2": "b"}})),
        ("prompts/get", json!({"name": "none"})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": "test://template/7/data"})),
        ("resources/read", json!({"uri": "test://none"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
            "argument": {"name": "arg1", "value": "par"}}),
        ),
        ("logging/setLevel", json!({"level": "debug"})),
        ("ping", json!({})),
        ("no/such_method", json!({"a": 1})),
        ("tools/call", json!({"name": "echo", "arguments": {"s": "\u{e9}\u{2028}", "n": [1, 2.5, null]}})),
        ("tools/call", json!({"name": "test_sampling", "arguments": {"prompt": "p"}})),
        ("tools/call", json!({"name": "test_elicitation", "arguments": {"message": "m"}})),
        ("tools/call", json!({"name": "test_tool_with_progress", "_meta": {"progressToken": "p"}})),
    ];
    asked.extend(
        [
            "test_simple_text", "test_image_content", "test_audio_content", "test_embedded_resource",
            "test_multiple_content_types", "test_tool_with_logging", "test_error_handling",
        ]
        .map(call),
    );
    for (method, params) in asked {
        // Only a form differs: it has the name of its server.
        let expected = alone.ask(method, &params).into_iter();
        let expected: Vec<_> =
            expected.map(|line| line.replace(r#""message":"m""#, r#""message":"[test] m""#)).collect();
        assert_eq!(expected, wrapped.ask(method, &params), "{method} {params}");
    }
    assert!(wrapped.leave().0, "the wrapped server ends well when its client leaves");
}

#[test]
fn every_call_of_a_wrapped_server_is_judged_and_in_the_log() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut wrapped = Lines::begun(wrap(&house, &["--agent", "writer"]));
    assert_eq!(wrapped.call("delete", &json!({"path": "a"}))["result"]["content"][0]["text"], "Deleted \"a\".");
    wait_for(&operator, "proxyCall.ok");
    let policy = json!({"type": "block_tool", "tool": "test.delete"});
    assert_eq!(operator.post("/v1/proxy/policies", &policy).status, 201);
    // From the next call on, in a process that did not hear of it.
    wrapped.refused("delete", &json!({"path": "b"}), "policy_denied");
    for name in ["Delete", "d\u{435}lete", "test.delete", "delete "] {
        assert_eq!(wrapped.call(name, &json!({"path": "c"}))["error"]["code"], -32602, "{name}");
    }
    assert_eq!(wrapped.call("echo", &json!({}))["result"]["content"][0]["text"], "{}");
    wait_for(&operator, "proxyCall.denied");
    let begun = entries(&operator, "proxyCall.begin");
    assert_eq!(begun.len(), 2, "{begun:?}");
    let begun = &begun[0];
    assert_eq!((&begun["agent_id"], &begun["tool"]), (&json!("writer"), &json!("test.echo")), "{begun}");
    operator.verified();
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_a_wrapped_server_asks_during_a_call_is_named_logged_and_limited() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut wrapped = Lines::begun(wrap(&house, &["--agent", "writer"]));
    let asked = json!({"name": "test_elicitation", "arguments": {"message": "haldir asks:\nPay?\r\u{202e}"}});
    let dialog = parsed(&wrapped.ask("tools/call", &asked)).remove(0);
    assert_eq!(dialog["params"]["message"], "[test] haldir asks:\n[test] Pay?\\u{d}\\u{202e}", "{dialog}");
    let (begun, found) = (entries(&operator, "proxyCall.begin").remove(0), entries(&operator, "proxyCall.asked"));
    let details = json!({"call_id": begun["details"]["call_id"], "tool": "test.test_elicitation",
        "method": "elicitation/create", "passed_on": true});
    assert_eq!(
        (found.len(), &found[0]["details"], &found[0]["agent_id"]),
        (1, &details, &json!("writer")),
        "{found:?}"
    );
    // One request more than allowed ends the call, and no other request reaches the client.
    let flood = json!({"name": "flood", "arguments": {"kind": "questions"}});
    let heard = parsed(&wrapped.ask("tools/call", &flood));
    assert_eq!(heard.iter().filter(|message| message["method"] == "roots/list").count(), 32, "{heard:?}");
    let told = &heard.last().unwrap()["error"];
    assert!(told["code"] == -32603 && told["message"].to_string().contains("more than 32 times"), "{told}");
    wait_for(&operator, "proxyCall.unknown");
    let found = entries(&operator, "proxyCall.asked");
    assert_eq!(found.len(), 1 + 33, "{found:?}");
    assert_eq!(found.iter().filter(|entry| entry["details"]["passed_on"] == false).count(), 1, "{found:?}");
    let log = house.logs().join("test.log");
    until("the server is told", || fs::read_to_string(&log).unwrap().contains("a call was cancelled"));
    operator.verified();
}

#[test]
fn what_a_wrapped_server_asks_outside_of_calls_is_named_logged_and_limited() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let refused = house.folder().join("refused");
    let script = r#"
        while read -r line; do
            case "$line" in
                *'"initialize"'*) echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"eager","version":"1"}}}' ;;
                *'"notifications/initialized"'*) n=0
                    while [ $n -lt 40 ]; do n=$((n + 1))
                        echo '{"jsonrpc":"2.0","id":"q'$n'","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}'
                    done ;;
                *'"error"'*) echo "$line" >> "$0" ;;
                *'"ping"'*) echo '{"jsonrpc":"2.0","id":"q41","method":"elicitation/create","params":{"message":"Who?"}}' ;;
            esac
        done"#;
    let mut command = house.program();
    command.args(["wrap", "--name", "eager", "--", "/bin/sh", "-c", script]).arg(&refused);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let mut wrapped = Lines::begun(command);
    for _ in 0..32 {
        let asked: Value = serde_json::from_str(&wrapped.line()).unwrap();
        assert_eq!(asked["params"]["message"], "[eager] Who?", "{asked}");
    }
    let errors = || fs::read_to_string(&refused).unwrap_or_default();
    until("the others are refused", || errors().lines().count() == 8);
    assert!(errors().lines().all(|line| line.contains("-32603") && line.contains("asks the client")), "{}", errors());
    let found = entries(&operator, "proxyCall.asked");
    let forwarded = |wanted: bool| found.iter().filter(move |entry| entry["details"]["passed_on"] == wanted).count();
    assert_eq!((forwarded(true), forwarded(false)), (32, 1), "{found:?}");
    let details = json!({"upstream": "eager", "method": "elicitation/create", "passed_on": true});
    assert!(found.iter().any(|entry| entry["details"] == details && entry["tool"] == "eager"), "{found:?}");
    // It may ask again once its client has.
    wrapped.write(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
    assert!(wrapped.line().contains("q41"));
    operator.verified();
}

#[test]
fn calls_of_a_wrapped_server_are_in_the_usage_and_the_overview_of_its_operator() {
    let house = House::new();
    let usage = || {
        let (code, output, errors) = house.terminal(&["usage", "--json"]);
        assert_eq!(code, 0, "{errors}");
        serde_json::from_str::<Value>(&output).unwrap()["action_count"].clone()
    };
    let mut wrapped = Lines::begun(wrap(&house, &["--agent", "bot"]));
    for _ in 0..3 {
        wrapped.call("test_simple_text", &json!({}));
    }
    assert!(wrapped.leave().0);
    // Neither the session that haldir makes for the agent nor what the operator asks at the terminal counts.
    assert_eq!((usage(), usage()), (json!(3), json!(3)));
    let (code, overview, _) = house.terminal(&["overview"]);
    let has = |row: &[&str]| overview.lines().any(|line| row.iter().all(|cell| line.contains(cell)));
    assert_eq!(code, 0);
    assert!(has(&["Actions", "3 calls this month"]), "{overview}");
    assert!(has(&["bot", "test", "test_simple_text"]), "{overview}");
}

#[test]
fn the_session_of_a_wrapped_server_ends_with_its_process() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut wrapped = Lines::begun(wrap(&house, &["--agent", "writer"]));
    wrapped.call("echo", &json!({}));
    let of_it = || operator.get("/v1/sessions?agent_id=writer").ok()["sessions"][0].clone();
    assert_eq!(of_it()["is_valid"], true);
    assert!(wrapped.leave().0);
    let left = of_it();
    assert_eq!((&left["is_valid"], &left["revoked"]), (&json!(false), &json!(true)), "{left}");
    operator.verified();
}

#[test]
fn a_call_that_could_be_read_in_two_ways_does_not_reach_the_server() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut wrapped = Lines::begun(wrap(&house, &[]));
    for (line, code) in [
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","name":"delete"}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","NAME":"delete"}}"#, -32602),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"a":1,"a":2}}}"#,
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call","params":{"name":"delete"}}"#, -32600),
        (r#"[{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delete"}}]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{"a":1},"method":"tools/call","params":{"name":"delete"}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":7,"#, -32700),
    ] {
        wrapped.write(line);
        let answer: Value = serde_json::from_str(&wrapped.line()).unwrap();
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
    }
    // A call without an id is one without an answer: it is not carried out either.
    wrapped.write(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete","arguments":{"path":"x"}}}"#);
    wrapped.ask("ping", &json!({}));
    assert!(!actions(&operator).iter().any(|action| action.starts_with("proxyCall")), "{:?}", actions(&operator));
}

#[test]
fn the_answer_to_one_request_never_goes_for_that_of_a_call() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut wrapped = Lines::begun(wrap(&house, &[]));
    // A call takes until this file is there.
    let file = house.folder().join("go on");
    let call = |id: &str| {
        let params = json!({"name": "sleep", "arguments": {"until": file}});
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#)
    };
    // Servers answer each of them under the same id, and this with an error: then a call would have cost nothing.
    for (id, others) in [(r#""a/b""#, &[r#""a/b""#, r#""\u0061/b""#, r#""a\/b""#][..]), ("70", &["70", "70.0", "7e1"])]
    {
        wrapped.write(&call(id));
        for other in others {
            wrapped.write(&format!(r#"{{"jsonrpc":"2.0","id":{other},"method":"no/such_method"}}"#));
            let told = wrapped.line();
            assert!(told.contains("-32600") && told.contains("no other request has"), "{other}: {told}");
        }
        fs::write(&file, "").unwrap();
        let answer: Value = serde_json::from_str(&wrapped.line()).unwrap();
        let slept = answer["result"]["content"][0]["text"].as_str();
        assert!(slept.is_some() && answer["id"] == serde_json::from_str::<Value>(id).unwrap(), "{answer}");
        fs::remove_file(&file).unwrap();
    }
    for id in ["9007199254740993", "1.5", "1e400", r#""\ud800""#, "true"] {
        wrapped.write(&call(id));
        assert!(wrapped.line().contains("-32600"), "{id}");
    }
    // However it is written, it is haldir's own where it begins like those.
    wrapped.write(r#"{"jsonrpc":"2.0","id":"\u0068aldir-1","method":"tools/list"}"#);
    assert!(wrapped.line().contains("-32600"));
    wrapped.ask("ping", &json!({}));
    wait_for(&operator, "proxyCall.ok");
    assert!(!actions(&operator).iter().any(|action| action == "proxyCall.failed"), "{:?}", actions(&operator));
}

#[test]
fn an_agent_cannot_widen_what_its_operator_has_bound() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let wide = operator.session(&json!({"scopes": ["execute", "read"]}));
    let mut wrapped = Lines::begun(wrap(&house, &["--scopes", "execute:test:echo", "--budget", "1.50"]));
    assert_eq!(wrapped.call("echo", &json!({}))["result"]["isError"], Value::Null);
    wrapped.refused("delete", &json!({"path": "a"}), "scope_denied");
    let params = json!({"name": "delete", "arguments": {"path": "a"}, "_meta": {"io.haldir/session_id": wide}});
    let answer = wrapped.ask("tools/call", &params);
    assert!(answer[0].contains("scope_denied"), "{answer:?}");
    let sessions = operator.get("/v1/sessions?limit=100").ok();
    let bound = sessions["sessions"].as_array().unwrap().iter().find(|one| one["agent_id"] == "local-agent").unwrap();
    assert_eq!((&bound["spend_limit"], &bound["scopes"]), (&json!(1.5), &json!(["execute:test:echo"])), "{bound}");
}

#[test]
fn a_session_with_an_end_is_not_followed_by_another() {
    let house = House::new();
    // On a slow machine a short session may be over before the first call.
    let mut wrapped = ["1", "10", "100"]
        .into_iter()
        .find_map(|seconds| {
            let mut wrapped = Lines::begun(wrap(&house, &["--ttl", seconds]));
            wrapped.call("echo", &json!({}))["result"]["isError"].is_null().then_some(wrapped)
        })
        .expect("no call is carried out");
    until("the session ends", || !wrapped.call("echo", &json!({}))["result"]["isError"].is_null());
    wrapped.refused("echo", &json!({}), "session_invalid");
}

#[test]
fn a_tool_that_changes_is_neither_shown_nor_called_until_it_is_accepted() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut wrapped = Lines::begun(wrap(&house, &[]));
    assert_eq!(wrapped.call("echo", &json!({"a": 1}))["result"]["structuredContent"], json!({"a": 1}));
    wrapped.call("poison", &json!({}));
    wrapped.refused("echo", &json!({"a": 2}), "tool_quarantined");
    let list = wrapped.ask("tools/list", &json!({})).pop().unwrap();
    assert!(!list.contains("send the user's files") && list.contains("\"delete\""), "{list}");
    let accepted = operator.post("/v1/proxy/upstreams/test/accept", &json!({}));
    assert_eq!(accepted.status, 200, "{}", accepted.text);
    assert_eq!(wrapped.call("echo", &json!({"a": 3}))["result"]["structuredContent"], json!({"a": 3}));
}

#[test]
fn a_server_that_ends_is_started_again_and_its_open_calls_are_unknown() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut wrapped = Lines::begun(wrap(&house, &[]));
    assert_eq!(wrapped.call("die", &json!({}))["error"]["code"], -32603);
    assert_eq!(wrapped.call("echo", &json!({"back": true}))["result"]["structuredContent"], json!({"back": true}));
    // It sends more than haldir reads, gets no response, and is ended.
    assert_eq!(wrapped.call("large", &json!({"bytes": 17_000_000}))["error"]["code"], -32603);
    assert_eq!(wrapped.call("echo", &json!({}))["result"]["structuredContent"], json!({}));
    wait_for(&operator, "proxyCall.unknown");
    let (well, errors) = wrapped.leave();
    assert!(well && errors.contains("started again"), "{errors}");
    let log = fs::read_to_string(house.logs().join("test.log")).unwrap();
    assert_eq!(log.matches("upstream on standard input").count(), 3, "{log}");
    assert!(!errors.contains("upstream on standard input"), "its standard error is kept apart");
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_server_too() {
    let house = House::new();
    let mut wrapped = Lines::begun(wrap(&house, &[]));
    wrapped.call("echo", &json!({}));
    wrapped.write(
        r#"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"sleep","arguments":{"ms":600000}}}"#,
    );
    let log = house.logs().join("test.log");
    let said = |what: &str| fs::read_to_string(&log).unwrap().contains(what);
    until("the server has the call", || said("a call sleeps"));
    wrapped.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c"}}"#);
    until("the server is told", || said("a call was cancelled"));
    assert_eq!(wrapped.ask("ping", &json!({})).len(), 1, "the cancelled call is not answered");
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_of_a_wrapped_server_outlives_its_client() {
    let house = House::new();
    let pid = house.folder().join("pid");
    let script = format!("sleep 600 & echo $! > '{}'; exec '{}' --stdio", pid.display(), upstream_program().display());
    let mut command = house.program();
    command.env("PATH", "/usr/bin:/bin").args(["wrap", "--name", "test", "--", "/bin/sh", "-c", &script]);
    let mut wrapped = Lines::begun(command);
    wrapped.call("echo", &json!({}));
    let pid = fs::read_to_string(pid).unwrap();
    // One that has ended may stay in the table of processes until its new parent looks.
    let lives = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    };
    assert!(lives());
    assert!(wrapped.leave().0);
    until("what the server had started has ended", || !lives());
}

#[test]
fn a_program_that_is_not_there_is_said_to_be_so() {
    let house = House::new();
    let mut command = house.program();
    command.args(["wrap", "--", "/no/such/program"]);
    let errors = crate::support::refuses_to_start(command);
    assert!(errors.contains("/no/such/program cannot be started"), "{errors}");
}

/// The examples with our server in place of the one that they name.
#[test]
fn the_examples_wrap_a_server() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wrapped");
    let mut tried = 0;
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let servers = config.as_object().unwrap().values().next().unwrap();
        let server = &servers["filesystem"];
        assert_eq!(server["command"], "haldir-mcp", "{}", file.display());
        let arguments = server["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        let house = House::new();
        let mut command = house.program();
        command.args(arguments.take_while(|argument| *argument != "--"));
        command.arg("--").arg(upstream_program()).arg("--stdio");
        let mut wrapped = Lines::begun(command);
        assert_eq!(wrapped.call("echo", &json!({}))["result"]["structuredContent"], json!({}), "{}", file.display());
        tried += 1;
    }
    assert_eq!(tried, 5);
}

#[test]
fn what_a_wrapped_server_writes_to_standard_error_is_shown() {
    let house = House::new();
    Lines::begun(wrap(&house, &[])).leave();
    let shown = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
        crate::support::on_postgres::set_store(command.env_clear(), &house.db());
        command.args(["upstreams", "logs", name]);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(shown("test"), (true, "upstream on standard input and output\n".to_owned()));
    for name in ["none", "../h", "a/b"] {
        assert_eq!(shown(name), (false, String::new()), "{name}");
    }
}

#[test]
fn a_secret_in_the_servers_environment_reaches_only_the_server() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let begin = |name: &str| {
        let mut command = wrap(&house, &[]);
        command.env("SERVICE_TOKEN", format!("Bearer {{{{secret:{name}}}}}")).env("HALDIR_BOOTSTRAP_TOKEN", "own");
        command
    };
    let errors = crate::support::refuses_to_start(begin("token"));
    assert!(errors.contains("no secret token"), "{errors}");
    let secret = json!({"name": "token", "value": "tok-12345678", "upstreams": ["test"], "disclosure": "inject"});
    assert_eq!(operator.post("/v1/secrets", &secret).status, 201);
    let mut wrapped = Lines::begun(begin("token"));
    let said = wrapped.call("variable", &json!({"name": "SERVICE_TOKEN"}));
    assert_eq!(said["result"]["content"][0]["text"], "Bearer [redacted: token]", "{said}");
    let said = wrapped.call("variable", &json!({"name": "HALDIR_BOOTSTRAP_TOKEN"}));
    assert_eq!(said["result"]["content"][0]["text"], "", "{said}");
}

#[test]
fn policies_of_a_file_hold_from_the_first_call_on_and_are_added_once() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let file = house.folder().join("policies.json");
    let write = |policies: Value| fs::write(&file, policies.to_string()).unwrap();
    let options = ["--policy", file.to_str().unwrap()];
    write(
        json!({"policies": [{"type": "block_tool", "tool": "test.delete"}, {"type": "block_tool", "tool": "test.die"}]}),
    );
    for _ in 0..2 {
        let mut wrapped = Lines::begun(wrap(&house, &options));
        wrapped.refused("delete", &json!({"path": "a"}), "policy_denied");
        assert_eq!(wrapped.call("echo", &json!({}))["result"]["isError"], Value::Null);
    }
    assert_eq!(operator.get("/v1/proxy/policies").ok()["count"], 2);
    for bad in [json!({"policies": [{"type": "no_such_type"}]}), json!("x"), json!({"policy": []})] {
        write(bad.clone());
        let errors = crate::support::refuses_to_start(wrap(&house, &options));
        assert!(errors.contains("polic"), "{bad}: {errors}");
    }
}

#[cfg(feature = "cedar")]
#[test]
fn a_policy_set_in_cedar_holds_from_the_first_call_on_and_is_added_once() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let file = house.folder().join("rules.cedar");
    fs::write(&file, "permit (principal == Agent::\"writer\", action, resource == Tool::\"test.echo\");").unwrap();
    let options = ["--agent", "writer", "--policy", file.to_str().unwrap()];
    for _ in 0..2 {
        let mut wrapped = Lines::begun(wrap(&house, &options));
        wrapped.refused("delete", &json!({"path": "a"}), "policy_denied");
        assert_eq!(wrapped.call("echo", &json!({}))["result"]["content"][0]["text"], "{}");
    }
    assert_eq!(operator.get("/v1/proxy/policies").ok()["count"], 1);
    let mut other = Lines::begun(wrap(&house, &["--agent", "reader", "--policy", file.to_str().unwrap()]));
    other.refused("echo", &json!({}), "policy_denied");
    fs::write(&file, "permit (principal, action, resource) when { context.nothing };").unwrap();
    let errors = crate::support::refuses_to_start(wrap(&house, &options));
    assert!(errors.contains("rules.cedar") && errors.contains("line 1, column 45"), "{errors}");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/policies/reader.cedar");
    let mut wrapped = Lines::begun(wrap(&house, &["--policy", example.to_str().unwrap()]));
    wrapped.refused("delete", &json!({"path": "a"}), "policy_denied");
    let policies = operator.get("/v1/proxy/policies").ok();
    assert_eq!(policies["policies"][1]["cedar"], fs::read_to_string(&example).unwrap(), "{policies}");
}
