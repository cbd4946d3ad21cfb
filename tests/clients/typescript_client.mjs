// The official TypeScript SDK over stdio and streamable HTTP, in its two major versions. Started by server.py.
// `client` (2.x) probes server/discover and speaks 2026-07-28; `sdk` (1.x) shakes hands and speaks 2025-11-25.
// Both check structuredContent against the outputSchema; the first does so even when isError is true, and throws.
import assert from 'node:assert/strict';
import * as h from './checks.mjs';

const v2 = { ...h.load('@modelcontextprotocol/client'), ...h.load('@modelcontextprotocol/client/stdio') };
const v1 = {
  ...h.load('@modelcontextprotocol/sdk/client/index.js'),
  ...h.load('@modelcontextprotocol/sdk/client/stdio.js'),
  ...h.load('@modelcontextprotocol/sdk/client/streamableHttp.js'),
};

/** A JSON-RPC error with one of these codes. */
async function rejected(promise, ...codes) {
  const outcome = await promise.then(
    result => ({ problem: `not rejected: ${JSON.stringify(result)}` }),
    error => ({ code: error.code, problem: `the code is ${error.code}: ${error.message}` }),
  );
  assert.ok(codes.includes(outcome.code), outcome.problem);
}

function connection({ label, client, version }) {
  const check = (name, run) => h.check(`${label}: ${name}`, run);
  const call = (name, args) => client.callTool({ name, arguments: args });
  const open = async args => {
    const wanted = { agent_id: 'typescript', scopes: ['read', 'spend'], ttl: 600, spend_limit: 50, ...args };
    return h.good(await call('createSession', wanted)).session_id;
  };
  const read = async uri => {
    const { contents } = await client.readResource({ uri });
    assert.equal(contents.length, 1);
    h.fits(contents[0], { uri, mimeType: 'application/json' });
    return JSON.parse(contents[0].text);
  };
  const prompt = async (name, args) => {
    const { messages } = await client.getPrompt({ name, arguments: args });
    return messages.map(message => message.content.text).join('\n');
  };

  async function gate() {
    await check('lists the ten tools', async () => {
      assert.equal(client.getServerVersion()?.name, 'haldir');
      const { tools } = await client.listTools();
      assert.deepEqual(tools.map(tool => tool.name).sort(), h.TOOLS);
      for (const tool of tools) assert.equal(tool.outputSchema?.type, 'object', `the outputSchema of ${tool.name}`);
    });
    if (version !== '2026-07-28') await check('ping is answered', () => client.ping());
    await check('a session is opened, shown and checked', async () => {
      const made = h.good(
        await call('createSession', { agent_id: 'bot', scopes: ['read'], ttl: 60, spend_limit: 1.5 }),
      );
      h.fits(made, { agent_id: 'bot', scopes: ['read'], ttl: 60, spend_limit: 1.5 });
      assert.ok(Math.abs(made.expires_at - (Date.now() / 1000 + 60)) < 30, `expires at ${made.expires_at}`);
      const { session_id } = made;
      const shown = h.good(await call('getSession', { session_id }));
      h.fits(shown, { session_id, agent_id: 'bot', spent: 0, remaining_budget: 1.5, is_valid: true });
      for (const [scope, allowed] of [
        ['read', true],
        ['write', false],
      ]) {
        h.fits(h.good(await call('checkPermission', { session_id, scope })), { allowed, scope, session_id });
      }
      const none = { session_id: h.UNKNOWN_SESSION, scope: 'read' };
      h.fits(h.good(await call('checkPermission', none)), { allowed: false });
    });
    await check('the session made last is the default', async () => {
      const other = await open();
      const session_id = await open();
      for (const args of [{}, { session_id: null }, { session_id: '' }]) {
        h.fits(h.good(await call('getSession', args)), { session_id, agent_id: 'typescript' });
        const allowed = h.good(await call('checkPermission', { scope: 'spend', ...args }));
        h.fits(allowed, { allowed: true, scope: 'spend', session_id });
      }
      h.fits(h.good(await call('revokeSession', {})), { revoked: true, session_id });
      h.fits(h.good(await call('getSession', { session_id })), { is_valid: false });
      h.fits(h.good(await call('getSession', { session_id: other })), { is_valid: true });
    });
    await check('a revoked session and its child stay revoked', async () => {
      const parent = await open();
      const child = await open({ parent_session_id: parent, spend_limit: 5, ttl: 60 });
      h.fits(h.good(await call('revokeSession', { session_id: parent })), { revoked: true, session_id: parent });
      for (const session_id of [parent, child]) {
        h.fits(h.good(await call('getSession', { session_id })), { is_valid: false });
      }
    });
  }

  async function vault() {
    await check('a secret comes back as it was stored', async () => {
      const [name, value] = [`secret-${Date.now()}`, 'ü "quoted" 🔑\n'];
      h.fits(h.good(await call('storeSecret', { name, value })), { stored: true, name });
      h.fits(h.good(await call('getSecret', { name, session_id: await open() })), { name, value });
    });
    await check('three dimes fit thirty cents and a fourth does not', async () => {
      const session_id = await open({ spend_limit: 0.3 });
      for (const remaining_budget of [0.2, 0.1, 0]) {
        const paid = h.good(await call('authorizePayment', { session_id, amount: 0.1 }));
        h.fits(paid, { authorized: true, amount: 0.1, currency: 'USD', remaining_budget, session_id });
      }
      h.refusedPayment(await call('authorizePayment', { session_id, amount: 0.1 }));
    });
  }

  async function watch() {
    await check('actions are logged, found again and summed', async () => {
      const session_id = await open();
      const made = [];
      for (const details of ['plain', { hits: [1, null, 'ü'] }]) {
        const action = { session_id, action: 'search', tool: 'web', details, cost_usd: 0.1 };
        const entry = h.good(await call('logAction', action));
        h.fits(entry, { logged: true, flagged: false, flag_reason: '' });
        made.unshift(entry.entry_id);
      }
      const trail = h.good(await call('getAuditTrail', { session_id, tool: 'web' }));
      assert.deepEqual(
        trail.entries.map(entry => entry.entry_id),
        made,
      );
      h.fits(trail.entries[1], { action: 'search', tool: 'web', details: 'plain', cost_usd: 0.1, session_id });
      const spend = h.good(await call('getSpend', { session_id }));
      h.fits(spend, { total_usd: 0.2 });
      h.fits(spend.by_tool, { web: 0.2 });
    });
    await check('a cost of ten decimals is rounded to nine', async () => {
      const session_id = await open();
      const entry = h.good(await call('logAction', { session_id, action: 'use', cost_usd: 0.1234567891 }));
      h.fits(entry, { logged: true, cost_usd: 0.123456789, cost_rounded: true });
      h.fits(h.good(await call('getSpend', { session_id })), { total_usd: 0.123456789 });
    });
    await check('resources are read as JSON', async () => {
      const { resources } = await client.listResources();
      assert.ok(resources.some(resource => resource.uri === 'haldir://audit/tree-head'));
      const { resourceTemplates } = await client.listResourceTemplates();
      const templates = resourceTemplates.map(template => template.uriTemplate).sort();
      assert.deepEqual(templates, ['haldir://audit/{entry_id}', 'haldir://sessions/{session_id}']);
      const session_id = await open();
      h.fits(await read(`haldir://sessions/${session_id}`), { session_id, is_valid: true });
      const entry = h.good(await call('logAction', { session_id, action: 'look' })).entry_id;
      h.fits(await read(`haldir://audit/${entry}`), { entry_id: entry, action: 'look', session_id });
      assert.match((await read('haldir://audit/tree-head')).root_hash, /^[0-9a-f]{64}$/);
      const missing = client.readResource({ uri: 'haldir://audit/aud_none' });
      await rejected(missing, version === '2026-07-28' ? -32602 : -32002);
    });
  }

  async function prompts() {
    await check('prompts bring the facts', async () => {
      const names = (await client.listPrompts()).prompts.map(item => item.name).sort();
      assert.deepEqual(names, ['budget-check', 'security-audit']);
      const session_id = await open();
      await call('authorizePayment', { session_id, amount: 12.34 });
      const text = await prompt('budget-check', { session_id });
      for (const fact of [session_id, '12.34', '37.66']) assert.ok(text.includes(fact), `${fact} is not in ${text}`);
      await call('logAction', { session_id, action: 'behind the curtain' });
      assert.ok((await prompt('security-audit', { session_id })).includes('behind the curtain'));
      assert.ok((await prompt('security-audit')).includes('behind the curtain'));
      await rejected(client.getPrompt({ name: 'budget-check' }), -32602);
    });
    await check('completion offers the newest session', async () => {
      const session_id = await open();
      const prefix = session_id.slice(0, 12);
      for (const ref of [
        { type: 'ref/prompt', name: 'budget-check' },
        { type: 'ref/resource', uri: 'haldir://sessions/{session_id}' },
      ]) {
        const { completion } = await client.complete({ ref, argument: { name: 'session_id', value: prefix } });
        assert.ok(completion.values.includes(session_id));
        assert.ok(completion.values.every(value => value.startsWith(prefix)));
      }
    });
    await check('an unknown tool is a protocol error', () => rejected(call('transferAllFunds', {}), -32602));
  }

  async function refusals() {
    const revoked = await open();
    await call('revokeSession', { session_id: revoked });
    for (const secret of [
      { name: 'kept' },
      { name: 'injected', value: 'injected-1', disclosure: 'inject' },
      { name: 'guarded', scope_required: 'treasury' },
    ]) {
      await call('storeSecret', { value: 'v', ...secret });
    }
    const session_id = await open();
    const names = {
      $session: session_id,
      $reader: await open({ scopes: ['read'], spend_limit: null }),
      $revoked: revoked,
      $unknown: h.UNKNOWN_SESSION,
      $huge: 'x'.repeat(1_000_000),
      $nan: NaN,
    };
    for (const [tool, cases] of Object.entries(h.REFUSALS)) {
      for (const bad of cases) {
        await check(`${tool} refuses ${bad.what}, and the next call works`, async () => {
          h.refused(await call(tool, h.placeholders(bad.with, names)), bad);
          const after = h.good(await call('getSession', { session_id }));
          h.fits(after, { session_id, is_valid: true, spent: 0, remaining_budget: 50 });
        });
      }
    }
  }

  return {
    run: async () => {
      for (const part of [gate, vault, watch, prompts, refusals]) await part();
    },
  };
}

async function drive(label, sdk, options, version, transport) {
  const client = new sdk.Client({ name: 'haldir-clients', version: '1' }, options);
  const connected = await h.check(`${label}: connects with ${version}`, async () => {
    let spoken; // the first SDK tells the version to the transport only
    const inner = transport.setProtocolVersion;
    transport.setProtocolVersion = value => {
      spoken = value;
      inner?.call(transport, value);
    };
    await client.connect(transport);
    assert.equal(client.getNegotiatedProtocolVersion?.() ?? spoken, version);
  });
  if (!connected) return;
  await connection({ label, client, version }).run();
  if (!transport.pid) return client.close();
  await h.check(`${label}: the server leaves when its input ends`, async () => {
    const begin = Date.now();
    await client.close(); // both SDKs send SIGTERM after two seconds
    assert.ok(Date.now() - begin < 1900, `it took ${Date.now() - begin} ms`);
  });
}

for (const [name, sdk, options, version] of [
  ['client 2.x', v2, { versionNegotiation: { mode: 'auto' } }, '2026-07-28'],
  ['client 2.x legacy', v2, {}, '2025-11-25'],
  ['sdk 1.x', v1, {}, '2025-11-25'],
]) {
  const store = `${h.SCRATCH}/typescript ${name}.db`;
  const process = { command: h.SERVER_BIN, env: { HALDIR_DB: store }, stderr: 'ignore' };
  await drive(`${name} stdio`, sdk, options, version, new sdk.StdioClientTransport(process));
  const url = new URL(`${h.SERVER_URL}/mcp`);
  const requestInit = { headers: { Authorization: `Bearer ${h.SERVER_KEY}` } };
  await drive(`${name} HTTP`, sdk, options, version, new sdk.StreamableHTTPClientTransport(url, { requestInit }));
}
