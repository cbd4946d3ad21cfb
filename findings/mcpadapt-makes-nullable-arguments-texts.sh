#!/usr/bin/env bash
# mcpadapt makes a text of every argument whose schema is anyOf, so that smolagents refuses the value that the server wants.
#
# Seen with mcpadapt 0.1.19, smolagents 1.26.0 and mcp 1.30.0. `anyOf: [{"type": "array", ...}, {"type": "null"}]` is how Pydantic writes
# Optional[list[str]]. One would expect the array to be shown to the model, or any value to be let through. The adapter adds
# "type": "string" beside anyOf, the model is told to give a text, and a list is refused before it is sent: such an argument can
# only be left out, and a server that Pydantic describes gets no optional list from smolagents.
#
# Output seen: string, then "Argument words has type 'array' but should be 'string'".
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
from smolagents.tools import validate_tool_arguments

with MCPClient(StdioServerParameters(command=sys.executable, args=["server.py"], env=dict(os.environ)), structured_output=False) as (tool,):
    print(tool.inputs["words"]["type"])
    try:
        validate_tool_arguments(tool, {"words": ["a", "b"]})
    except Exception as error:
        print(error)
PYTHON
words='{"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "default": null}'
export TOOLS='[{"name": "count", "description": "a", "inputSchema": {"type": "object", "properties": {"words": '$words'}}}]'
v/bin/python -W ignore try.py | tee out
printf '%s\n' string "Argument words has type 'array' but should be 'string'" | cmp - out
