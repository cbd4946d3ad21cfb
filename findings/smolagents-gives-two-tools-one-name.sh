#!/usr/bin/env bash
# smolagents deletes the characters of a tool's name that Python does not take, so two tools of a server can get one name.
#
# Seen with smolagents 1.26.0, mcpadapt 0.1.19 and mcp 1.30.0. One would expect a replacement such as `_` (which mcpadapt makes for
# other frameworks), a suffix, or an error where two names become one. `files.read` and `filesread` are both offered to the model as
# `filesread`, and nothing is said. Which of the two a call reaches depends on how the caller keeps them: a dictionary by name has one.
#
# Output seen: ['filesread', 'filesread'], then "called files.read" and "called filesread".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check smolagents[mcp]==1.26.0 mcpadapt==0.1.19 mcp==1.30.0
cat >server.py <<'PYTHON'
# An MCP server on standard input and output with the tools that TOOLS lists. A tool whose name begins with "fail" answers isError.
import json, os, sys

with open("starts", "a") as starts:
    starts.write("started\n")
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    params = message.get("params", {})
    if message["method"] == "initialize":
        answer["result"] = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
    elif message["method"] == "tools/list":
        answer["result"] = {"tools": json.loads(os.environ["TOOLS"])}
    elif message["method"] == "tools/call":
        content = [{"type": "text", "text": f"called {params['name']}"}]
        answer["result"] = {"content": content, "isError": params["name"].startswith("fail")}
    else:
        answer["error"] = {"code": -32601, "message": "no such method"}
    print(json.dumps(answer), flush=True)
PYTHON
cat >try.py <<'PYTHON'
import os, sys
from mcp import StdioServerParameters
from smolagents import MCPClient

with MCPClient(StdioServerParameters(command=sys.executable, args=["server.py"], env=dict(os.environ)), structured_output=False) as tools:
    print([tool.name for tool in tools])
    print(*(tool() for tool in tools), sep="\n")
PYTHON
schema='{"type": "object", "properties": {}}'
export TOOLS='[{"name": "files.read", "description": "a", "inputSchema": '$schema'}, {"name": "filesread", "description": "b", "inputSchema": '$schema'}]'
v/bin/python -W ignore try.py | tee out
printf '%s\n' "['filesread', 'filesread']" 'called files.read' 'called filesread' | cmp - out
