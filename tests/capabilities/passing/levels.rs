//! The levels of log messages that clients set reach upstreams, and each client hears what it asked for.

use super::*;

const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The levels of the log messages among these.
fn levels(messages: &[Value]) -> Vec<&str> {
    let logs = messages.iter().filter(|message| message["method"] == "notifications/message");
    logs.map(|log| log["params"]["level"].as_str().unwrap()).collect()
}

/// What the child has heard of levels, in order.
fn told(house: &House) -> Vec<String> {
    let (_, said, _) = house.terminal(&["upstreams", "logs", "up"]);
    let told = said.lines().filter_map(|line| line.split_once("the level is ")).map(|(_, level)| level.to_owned());
    told.collect()
}

#[test]
fn a_level_that_is_set_on_standard_input_reaches_the_child_and_a_wrong_one_does_not() {
    let house = House::new();
    let mut lines = local(&house, OLD);
    let heard = |lines: &mut Lines| parsed(&lines.ask("tools/call", &json!({"name": "up.test_levels"})));
    assert_eq!(heard(&mut lines).len(), 1, "no client asked for any");
    let answer = parsed(&lines.ask("logging/setLevel", &json!({"level": "debug"})));
    assert_eq!(answer[0]["result"], json!({}), "{answer:?}");
    let messages = heard(&mut lines);
    assert_eq!(levels(&messages), LEVELS, "{messages:?}");
    assert!(messages[..8].iter().all(|log| log["params"]["logger"] == "up"), "{messages:?}");
    for level in ["loud", "Debug", ""] {
        let refused = parsed(&lines.ask("logging/setLevel", &json!({"level": level})));
        assert_eq!(refused[0]["error"]["code"], -32602, "{refused:?}");
    }
    assert_eq!(levels(&heard(&mut lines)), LEVELS, "the level that was set stands");
    // Less at once, though the child need not hear of it yet.
    lines.ask("logging/setLevel", &json!({"level": "error"}));
    assert_eq!(levels(&heard(&mut lines)), LEVELS[4..]);
    assert_eq!(told(&house), ["\"debug\""]);
    assert!(lines.leave().0);
}

#[test]
fn clients_of_one_connection_hear_each_what_they_asked_for() {
    let house = House::new();
    let (server, operator, session) = serving(&house, OLD);
    let _web = registered(&operator, &["--old"]);
    let (one, other, third) =
        (begin(&operator, &json!({})), begin(&operator, &json!({})), begin(&operator, &json!({})));
    let set = |mcp: &str, level: &str| {
        let message = json!({"jsonrpc": "2.0", "id": 3, "method": "logging/setLevel", "params": {"level": level}});
        let answer = operator.send("POST", "/mcp", &[BOTH, ("Mcp-Session-Id", mcp), REVISION], &message.to_string());
        assert!(answer.status == 200 && answer.text.contains("\"result\""), "{}", answer.text);
    };
    set(&one, "error");
    eventually("the child hears of it", || (told(&house) == ["\"error\""]).then_some(()));
    set(&other, "debug");
    eventually("the child hears of it", || (told(&house) == ["\"error\"", "\"debug\""]).then_some(()));
    for upstream in ["up", "web"] {
        let tool = format!("{upstream}.test_levels");
        for (mcp, least) in [(&one, 4), (&other, 0), (&third, 8)] {
            let headers = [("Mcp-Session-Id", mcp.as_str()), REVISION];
            let mut stream = Events::listen(&server, operator.key(), "/mcp", &headers);
            let mut heard = call(&server, &operator, mcp, &session, 5, &tool, &json!({})).up_to(5);
            assert_eq!(answered(&heard), "Said.", "{heard:?}");
            heard.extend((levels(&heard).len()..LEVELS.len() - least).map(|_| stream.next()).collect::<Vec<_>>());
            assert_eq!(levels(&heard), LEVELS[least..], "{upstream}: {heard:?}");
        }
    }
    assert_eq!(told(&house), ["\"error\"", "\"debug\""]);
}

#[test]
fn a_level_of_one_request_reaches_upstreams_of_either_revision() {
    let house = House::new();
    let (server, operator, session) = serving(&house, OLD);
    let ask = |tool: &str, level: &Value| {
        let mut asked = json!({"name": tool, "arguments": {}, "_meta": {"io.modelcontextprotocol/logLevel": level}});
        if level.is_null() {
            asked["_meta"] = json!({});
        }
        modern(&server, &operator, &session, 6, &asked).up_to(6)
    };
    let refused = ask("up.test_levels", &json!("loud"));
    assert_eq!(refused[0]["error"]["code"], -32602, "{refused:?}");
    assert_eq!(told(&house), [] as [&str; 0]);
    let each = |tool: &str| {
        for (level, least) in [(json!("critical"), 5), (json!("info"), 1), (Value::Null, 8), (json!("alert"), 6)] {
            let heard = ask(tool, &level);
            assert_eq!((levels(&heard), answered(&heard)), (LEVELS[least..].to_vec(), "Said."), "{tool}: {heard:?}");
        }
    };
    each("up.test_levels");
    assert_eq!(told(&house), ["\"critical\"", "\"info\""]);
    for flag in ["--old", "--new"] {
        let _web = registered(&operator, &[flag]);
        each("web.test_levels");
        assert_eq!(operator.delete("/v1/proxy/upstreams/web").status, 200);
    }
}

#[test]
fn a_level_passes_to_an_upstream_that_is_served_by_itself() {
    let house = House::new();
    let (server, operator, session) = serving(&house, OLD);
    let _old = registered(&operator, &["--old"]);
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let each = |path: &str| {
        let begun = operator.send("POST", path, &[BOTH], &hello.to_string());
        assert!(begun.text.contains("\"logging\""), "{}", begun.text);
        let mcp = begun.header("mcp-session-id").unwrap().to_owned();
        let headers = [BOTH, ("Mcp-Session-Id", mcp.as_str()), ("X-Session-ID", session.as_str())];
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
        assert_eq!(operator.send("POST", path, &headers, &initialized).status, 202);
        let ask = |method: &str, params: &Value| {
            let message = json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params});
            Events::post(&server, operator.key(), path, &headers[1..], &message).up_to(5)
        };
        assert_eq!(ask("logging/setLevel", &json!({"level": "notice"})).pop().unwrap()["result"], json!({}), "{path}");
        let refused = ask("logging/setLevel", &json!({"level": "loud"})).pop().unwrap();
        assert!(refused["error"]["code"].is_i64(), "{path}: {refused}");
        let mut stream = Events::listen(&server, operator.key(), path, &headers[1..]);
        let mut heard = ask("tools/call", &json!({"name": "test_levels", "arguments": {}}));
        heard.extend((levels(&heard).len()..6).map(|_| stream.next()).collect::<Vec<_>>());
        assert_eq!(levels(&heard), LEVELS[2..], "{path}: {heard:?}");
    };
    each("/mcp/up");
    each("/mcp/web");
    let mut wrapped = house.program();
    wrapped.args(["wrap", "--name", "alone", "--"]).arg(upstream_program()).args(["--stdio", "--old"]);
    let mut lines = Lines::begun(wrapped);
    lines.ask("logging/setLevel", &json!({"level": "notice"}));
    let heard = parsed(&lines.ask("tools/call", &json!({"name": "test_levels", "arguments": {}})));
    assert_eq!(levels(&heard), LEVELS[2..], "{heard:?}");
    assert!(lines.leave().0);
}
