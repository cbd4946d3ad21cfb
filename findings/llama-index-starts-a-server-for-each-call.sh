#!/usr/bin/env bash
# LlamaIndex starts an MCP server on standard input and output anew for each call, and reads an error's text as a Python object.
#
# Seen with llama-index-tools-mcp 0.6.0, llama-index-core 0.14.25 and mcp 2.3.0. A BasicMCPClient is made once, and one would expect that it holds
# one process, as other frameworks do: servers keep state, such as a session, between calls. One listing and three calls start four
# processes. And where a result has `isError: true`, the tool's output says is_error=False, and its content is the Python
# representation of the whole result, which is what the model reads.
#
# Output seen: "4 starts", "is_error: False", and content that begins with "meta=None content=[TextContent(type='text'".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check llama-index-tools-mcp==0.6.0 llama-index-core==0.14.25 mcp==2.3.0
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
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


async def main():
    client = BasicMCPClient(sys.executable, args=["server.py"], env=dict(os.environ), timeout=60)
    (tool,) = await McpToolSpec(client=client).to_tool_list_async()
    for _ in range(3):
        output = await tool.acall()
    print(len(open("starts").readlines()), "starts")
    print("is_error:", output.is_error)
    print(output.content)


asyncio.run(main())
PYTHON
export TOOLS='[{"name": "fail_pay", "description": "a", "inputSchema": {"type": "object", "properties": {}}}]'
v/bin/python -W ignore try.py | tee out
grep -qx '4 starts' out
grep -qx 'is_error: False' out
grep -q "^meta=None content=\[TextContent(type='text'" out
