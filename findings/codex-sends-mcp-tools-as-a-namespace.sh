#!/usr/bin/env bash
# Codex sends the tools of an MCP server to the model as one tool of type "namespace", not as functions.
#
# Seen with @openai/codex 0.171.0. The documents of OpenAI's responses interface that servers in its likeness are written after know tools of type
# "function", with a name of at most 64 letters, digits, `_` and `-`. One would expect functions such as mcp__demo__greet, as other agents send.
# Codex nests them: {"type": "namespace", "name": "mcp__demo", "tools": [{"type": "function", "name": "greet"}]}. A model server, proxy or
# test that reads functions alone sees none of an MCP server's tools, and no error.
#
# Output seen: functions without "greet"; namespace mcp__demo: ['greet'].
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $model 2>/dev/null || true; rm -rf "$folder"' EXIT
model=
cd "$folder"
npm install --silent --no-fund --no-audit --prefix . @openai/codex@0.171.0
cat >server.py <<'PYTHON'
# An MCP server on standard input and output with one tool.
import json, sys

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        answer["result"] = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
    elif message["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": "greet", "description": "Greets.", "inputSchema": {"type": "object", "properties": {}}}]}
    else:
        answer["error"] = {"code": -32601, "message": "no such method"}
    print(json.dumps(answer), flush=True)
PYTHON
cat >model.py <<'PYTHON'
# A model on loopback that keeps what it is sent, and answers with one word.
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open("requests", "ab") as file:
            file.write(body + b"\n")
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(ANSWER.encode())

    def log_message(self, *_):
        pass


ANSWER = open("answer").read()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
python3 - >answer <<'PYTHON'
import json
message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "done", "annotations": []}]}
response = {"id": "r", "object": "response", "status": "completed", "output": [message], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}
for event in ({"type": "response.created", "response": response | {"output": []}}, {"type": "response.output_item.done", "output_index": 0, "item": message},
              {"type": "response.completed", "response": response}):
    print(f"event: {event['type']}\ndata: {json.dumps(event)}\n")
PYTHON
python3 model.py >port & model=$!
until [[ -s port ]]; do sleep 0.1; done
mkdir home
cat >home/config.toml <<TOML
model = "gpt-5"
model_provider = "loopback"
[model_providers.loopback]
name = "loopback"
base_url = "http://127.0.0.1:$(cat port)/v1"
wire_api = "responses"
env_key = "KEY"
[mcp_servers.demo]
command = "python3"
args = ["$folder/server.py"]
TOML
CODEX_HOME=$folder/home KEY=none timeout 120 node_modules/.bin/codex exec --skip-git-repo-check --sandbox read-only hello </dev/null >log 2>&1 || { cat log; exit 1; }
python3 - <<'PYTHON'
import json
request = json.loads(open("requests").readline())
functions = [tool["name"] for tool in request["tools"] if tool["type"] == "function"]
spaces = {tool["name"]: [inner["name"] for inner in tool["tools"]] for tool in request["tools"] if tool["type"] == "namespace"}
print("functions:", functions)
print("namespace mcp__demo:", spaces.get("mcp__demo"))
assert not any("greet" in name for name in functions) and spaces["mcp__demo"] == ["greet"]
PYTHON
