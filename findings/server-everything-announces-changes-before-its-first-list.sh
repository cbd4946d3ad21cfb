#!/usr/bin/env bash
# The reference server says that its tools have changed before it has ever listed them, once for each tool that depends on the client.
#
# Seen with @modelcontextprotocol/server-everything 2026.8.31. notifications/tools/list_changed reads as news for a client that knows an
# earlier list. One would expect none at the handshake, or a single one for several tools. Instead the server registers the tools that
# depend on the client's capabilities after `initialized`, and each registration is announced by itself: 1 notification for a client
# without capabilities, 4 for one with roots, sampling and elicitation, all of them in front of the answer to the tools/list that the
# client sent together with `initialized`. The answer that follows has all tools already, as a second list shows. A client or proxy that
# throws a list away when it hears of a change, and asks again only when it needs one, waits for an answer that it has just ignored.
#
# Output seen:
#   {}: ["initialized","changed","13 tools","13 tools"]
#   {"roots":{},"sampling":{},"elicitation":{}}: ["initialized","changed","changed","changed","changed","16 tools","16 tools"]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-fund --no-audit --loglevel=error @modelcontextprotocol/server-everything@2026.8.31 >&2
cat >client.mjs <<'JAVASCRIPT'
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const capabilities = JSON.parse(process.argv[2]);
const server = spawn('node', ['node_modules/@modelcontextprotocol/server-everything/dist/index.js'], { stdio: ['pipe', 'pipe', 'ignore'] });
const send = (message) => server.stdin.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n');
const seen = [];
createInterface({ input: server.stdout }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.method === 'notifications/tools/list_changed') seen.push('changed');
  if (message.method === 'roots/list') send({ id: message.id, result: { roots: [] } });
  if (message.id === 1 && message.result) {
    seen.push('initialized');
    send({ method: 'notifications/initialized' });
    send({ id: 2, method: 'tools/list' });
  }
  if (message.result?.tools) seen.push(`${message.result.tools.length} tools`);
  if (message.id === 2) setTimeout(() => send({ id: 3, method: 'tools/list' }), 1_500);
  if (message.id === 3) {
    console.log(`${process.argv[2]}: ${JSON.stringify(seen)}`);
    server.kill();
  }
});
send({ id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'client', version: '1' } } });
JAVASCRIPT
for capabilities in '{}' '{"roots":{},"sampling":{},"elicitation":{}}'; do
  timeout 30 node client.mjs "$capabilities"
done | tee output
cat >expected <<'TEXT'
{}: ["initialized","changed","13 tools","13 tools"]
{"roots":{},"sampling":{},"elicitation":{}}: ["initialized","changed","changed","changed","changed","16 tools","16 tools"]
TEXT
diff expected output && echo "as described"
