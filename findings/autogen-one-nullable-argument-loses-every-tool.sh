#!/usr/bin/env bash
# One argument with a list of types makes AutoGen's mcp_server_tools fail for the whole server.
#
# Seen with autogen-ext 0.7.5 and mcp 1.30.0. `"type": ["integer", "null"]` is plain JSON Schema, and what several generators write for
# an optional value. One would expect that the tool is offered as it is, or left out with a warning. Instead the conversion to a
# Pydantic model looks the list up in a dictionary, and the TypeError ends the listing: the tools beside it, which have no such argument,
# are lost too. McpWorkbench of the same package passes schemas on as they are and has no such trouble.
#
# Output seen: "TypeError: unhashable type: 'list'", then ['plain', 'other'] of the workbench.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check "autogen-ext[mcp]==0.7.5" mcp==1.30.0
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
from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams, mcp_server_tools

server = StdioServerParams(command=sys.executable, args=["server.py"], env=dict(os.environ), read_timeout_seconds=60)


async def workbench():
    async with McpWorkbench(server) as opened:
        return [tool["name"] for tool in await opened.list_tools()]


try:
    print([tool.name for tool in asyncio.run(mcp_server_tools(server))])
except Exception as error:
    print(f"{type(error).__name__}: {error}")
print(asyncio.run(workbench()))
PYTHON
plain='{"name": "plain", "description": "a", "inputSchema": {"type": "object", "properties": {}}}'
other='{"name": "other", "description": "b", "inputSchema": {"type": "object", "properties": {"limit": {"type": ["integer", "null"]}}}}'
export TOOLS="[$plain, $other]"
v/bin/python -W ignore try.py | tee out
printf '%s\n' "TypeError: unhashable type: 'list'" "['plain', 'other']" | cmp - out
