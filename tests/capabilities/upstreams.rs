//! Upstream servers as they are: slow to start, started again, dying, with odd answers and odd lists, of both kinds of
//! revisions. Each costs its own call, and the call says why at once.

mod answers;
mod both_revisions;
mod limits;
mod lists;
mod starting;
mod streams;
mod subscriptions;
#[cfg(unix)]
mod tls;

use serde_json::Value;

use crate::support::{Client, House, json};

/// The `Accept` header of a client that reads JSON and event streams.
const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");

/// A call by REST: the result.
fn call(client: &Client, session: &str, tool: &str) -> Value {
    let input = json!({"session_id": session, "tool": tool, "arguments": {"n": 1}});
    client.post("/v1/proxy/call", &input).json()
}

/// What a failed call by REST tells.
fn told(result: &Value) -> Value {
    assert_eq!(result["isError"], true, "{result}");
    serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap()
}

/// A config file of one upstream, `up`: this shell script, and more lines.
fn scripted(house: &House, script: &str, more: &str) -> std::path::PathBuf {
    let path = house.folder().join("haldir.toml");
    let (script, folder) = (json!(script), json!(house.folder()));
    let text = format!("[upstreams.up]\ncommand = \"/bin/sh\"\nargs = [\"-c\", {script}]\nfolder = {folder}\n{more}\n");
    std::fs::write(&path, text).unwrap();
    path
}

/// A server on standard input and output, as a shell script: it answers a handshake, and lists its tools with the commands
/// of `list`, which set `result`; `$id` is the request's id.
fn server_script(list: &str) -> String {
    const SCRIPT: &str = r#"
        while IFS= read -r line; do
            id=$(printf '%s' "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9][0-9]*\).*/\1/p')
            [ -n "$id" ] || continue
            tool='{"name":"echo","description":"echoes","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}'
            result='{}'
            case "$line" in
                *'"method":"initialize"'*)
                    result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"odd","version":"1"}}' ;;
                *'"method":"tools/list"'*) LIST ;;
                *'"method":"tools/call"'*) result='{"content":[{"type":"text","text":"called"}]}' ;;
            esac
            printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
        done"#;
    SCRIPT.replace("LIST", list)
}
