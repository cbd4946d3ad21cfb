#!/usr/bin/env bash
# LangChain.js shows the model an argument without a type wherever an MCP server's schema says that it may be null.
#
# Seen with @langchain/mcp-adapters 1.1.4 and @langchain/core 1.4.0. The adapter simplifies schemas for models: anyOf and oneOf are merged if
# their alternatives are objects. One would expect that alternatives that are not objects stay, since every model interface takes
# `anyOf: [{"type": "integer"}, {"type": "null"}]`, or that the first is taken. They are dropped, so that of an optional number its
# description is left: the model has to guess. A plain {"type": "integer"} beside it keeps its type.
#
# Output seen: {"limit":{"description":"How many."},"page":{"type":"integer"}}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --prefix . @langchain/mcp-adapters@1.1.4 @langchain/core@1.4.0
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
cat >try.mjs <<'JS'
import { MultiServerMCPClient } from '@langchain/mcp-adapters';

const client = new MultiServerMCPClient({ mcpServers: { demo: { transport: 'stdio', command: 'python3', args: ['server.py'], env: process.env } } });
const [tool] = await client.getTools();
console.log(JSON.stringify(tool.schema.properties));
await client.close();
JS
limit='{"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "How many."}'
export TOOLS='[{"name": "list", "description": "a", "inputSchema": {"type": "object", "properties": {"limit": '$limit', "page": {"type": "integer"}}}}]'
node try.mjs | tee out
grep -qx '{"limit":{"description":"How many."},"page":{"type":"integer"}}' out
