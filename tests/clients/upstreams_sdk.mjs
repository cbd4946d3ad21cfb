// The TypeScript SDKs with haldir in front of a server that others wrote, and without: upstreams_sdk.mjs BINARY
// Results are compared as the SDKs give them. CLIENT_PACKAGES is where the packages are.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';

const packages = process.env.CLIENT_PACKAGES;
const load = createRequire(`${packages}/x.js`);
const BINARY = process.argv[2];
const SERVER = [`${packages}/@modelcontextprotocol/server-everything/dist/index.js`, 'stdio'];
const env = { PATH: process.env.PATH, HOME: process.env.HOME };
const sdks = {
  'TypeScript SDK 2': { ...load('@modelcontextprotocol/client'), ...load('@modelcontextprotocol/client/stdio') },
  'TypeScript SDK 1': {
    ...load('@modelcontextprotocol/sdk/client/index.js'),
    ...load('@modelcontextprotocol/sdk/client/stdio.js'),
    ...load('@modelcontextprotocol/sdk/client/streamableHttp.js'),
  },
};

const stdio = (sdk, command, args) => new sdk.StdioClientTransport({ command, args, env, stderr: 'ignore' });

async function tour(sdk, transport) {
  const client = new sdk.Client({ name: 'tests', version: '1' }, { capabilities: {} });
  await client.connect(transport);
  const call = (name, given) => client.callTool({ name, arguments: given });
  const seen = {
    tools: await client.listTools(),
    echo: await call('echo', { message: 'ü 1.10' }),
    image: await call('get-tiny-image', {}),
    structured: await call('get-structured-content', { location: 'New York' }),
    'bad arguments': await call('get-sum', { a: 'x' }),
    prompt: await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Paris' } }),
    resources: await client.listResources(),
  };
  await client.close();
  return seen;
}

function compare(label, direct, behind) {
  for (const name of Object.keys(direct)) {
    try {
      assert.deepEqual(behind[name], direct[name]);
      console.log(`ok ${label}: ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${label}: ${name}: ${error.message.slice(0, 500)}`);
    }
  }
}

// The same server as a child of `haldir-mcp serve`.
const folder = mkdtempSync(`${tmpdir()}/upstreams-`);
const children = new URL('children.py', import.meta.url).pathname;
const haldir = spawn('python3', [children, BINARY, packages, process.execPath, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
const base = await new Promise((resolve) => haldir.stdout.once('data', (text) => resolve(String(text).trim())));

let failed = 0;
for (const [label, sdk] of Object.entries(sdks)) {
  const scratch = mkdtempSync(`${tmpdir()}/upstreams-`);
  const wrap = ['--db', `${scratch}/h.db`, 'wrap', '--name', 'everything', '--', process.execPath, ...SERVER];
  const direct = await tour(sdk, stdio(sdk, process.execPath, SERVER));
  compare(label, direct, await tour(sdk, stdio(sdk, BINARY, wrap)));
  rmSync(scratch, { recursive: true, force: true });
  const http = new sdk.StreamableHTTPClientTransport(new URL(`${base}/mcp/everything`));
  compare(`${label}, /mcp/everything`, direct, await tour(sdk, http));
}
haldir.stdin.end();
await new Promise((resolve) => haldir.once('exit', resolve));
rmSync(folder, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
