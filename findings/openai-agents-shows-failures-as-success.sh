#!/usr/bin/env bash
# The OpenAI Agents SDK drops `isError` of an MCP tool's result: the model is shown a failure in the shape of a success.
#
# Seen with openai-agents 0.24.0 and mcp 2.3.0. MCP has `isError` so that a model sees that its call failed, and the SDK has a way to
# report failures of its own function tools. One would expect that a result with `isError: true` reaches the model marked in some way. It
# gets the text alone, the same as without the flag. A server has to say in words that a call failed.
#
# Output seen: {'type': 'text', 'text': 'called fail_pay'} and {'type': 'text', 'text': 'called pay'}.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check openai-agents==0.24.0 mcp==2.3.0
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
import asyncio, os, sys
from agents import RunContextWrapper
from agents.mcp import MCPServerStdio, MCPUtil


async def main():
    params = {"command": sys.executable, "args": ["server.py"], "env": dict(os.environ)}
    async with MCPServerStdio(params=params, client_session_timeout_seconds=60) as server:
        for tool in await server.list_tools():
            print(await MCPUtil.invoke_mcp_tool(server, tool, RunContextWrapper(None), "{}"))


asyncio.run(main())
PYTHON
schema='{"type": "object", "properties": {}}'
export TOOLS='[{"name": "fail_pay", "description": "a", "inputSchema": '$schema'}, {"name": "pay", "description": "b", "inputSchema": '$schema'}]'
v/bin/python -W ignore try.py | tee out
printf '%s\n' "{'type': 'text', 'text': 'called fail_pay'}" "{'type': 'text', 'text': 'called pay'}" | cmp - out
