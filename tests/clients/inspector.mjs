// MCP Inspector's command line: one process, so one connection, per request. Started by server.py.
// Over stdio it shakes hands (its default), over HTTP it speaks 2026-07-28 (`--protocol-era modern`).
// What one stdio process wrote the next one has to find, so this also proves that the store is on disk at the answer.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as h from './checks.mjs';

const LAUNCHER = `${process.env.CLIENT_PACKAGES}/@modelcontextprotocol/inspector/clients/launcher/build/index.js`;
const EXIT = { ok: 0, failed: 1, authRequired: 3, toolError: 5 };
const ENVIRONMENT = { PATH: process.env.PATH, HOME: h.SCRATCH }; // nobody's own Inspector settings
const BAD_INPUTS_PER_TOOL = 2; // of refusals.json; the SDK suites send all of them

function start(args) {
  return new Promise((resolve, reject) => {
    const command = [LAUNCHER, '--cli', '--format', 'json', '--quiet', '--stored-auth-only', ...args];
    const child = spawn(process.execPath, command, { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', data => (out += data));
    child.stderr.on('data', data => (err += data));
    child.on('error', reject);
    child.on('close', code => resolve({ code, out, err }));
  });
}

function inspector(label, target) {
  const check = (name, run) => h.check(`${label}: ${name}`, run);

  /** One request; the result of an answer with the expected exit code. */
  async function ask(method, args = [], expected = EXIT.ok) {
    const { code, out, err } = await start([...target, '--method', method, ...args]);
    assert.equal(code, expected, `exit code ${code}: ${err}${out}`);
    return out ? JSON.parse(out).result : JSON.parse(err).error;
  }
  const call = (name, args, expected) =>
    ask('tools/call', ['--tool-name', name, '--tool-args-json', JSON.stringify(args)], expected);
  const good = async (name, args) => h.good(await call(name, args));

  async function lists() {
    await check('tools/list gives the ten, with schemas that every model vendor takes', async () => {
      const { tools } = await ask('tools/list', ['--strict']);
      assert.deepEqual(tools.map(tool => tool.name).sort(), h.TOOLS);
      for (const tool of tools) assert.equal(tool.outputSchema.type, 'object');
    });
    await check('prompts/list gives both', async () => {
      const names = (await ask('prompts/list')).prompts.map(prompt => prompt.name).sort();
      assert.deepEqual(names, ['budget-check', 'security-audit']);
    });
    await check('resources/list gives the tree head', async () => {
      const uris = (await ask('resources/list')).resources.map(resource => resource.uri);
      assert.ok(uris.includes('haldir://audit/tree-head'), `got ${uris}`);
    });
    await check('resources/templates/list gives sessions and entries', async () => {
      const templates = (await ask('resources/templates/list')).resourceTemplates.map(item => item.uriTemplate).sort();
      assert.deepEqual(templates, ['haldir://audit/{entry_id}', 'haldir://sessions/{session_id}']);
    });
  }

  async function tools(names) {
    await check('createSession takes what a person types', async () => {
      const typed = ['agent_id=inspector', 'ttl=600', 'spend_limit=50', 'scopes=["read","spend"]'];
      const made = h.good(await ask('tools/call', ['--tool-name', 'createSession', '--tool-arg', ...typed]));
      h.fits(made, { agent_id: 'inspector', ttl: 600, spend_limit: 50, scopes: ['read', 'spend'] });
      names.$session = made.session_id;
    });
    const session_id = names.$session;
    await check('getSession shows the session that another process opened', async () => {
      const shown = await good('getSession', { session_id });
      h.fits(shown, { session_id, agent_id: 'inspector', spent: 0, remaining_budget: 50, is_valid: true });
    });
    await check('checkPermission knows its scopes', async () => {
      h.fits(await good('checkPermission', { session_id, scope: 'spend' }), { allowed: true, scope: 'spend' });
      h.fits(await good('checkPermission', { session_id, scope: 'admin' }), { allowed: false });
    });
    await check('storeSecret and getSecret agree', async () => {
      h.fits(await good('storeSecret', { name: 'kept', value: 'ü "v"' }), { stored: true, name: 'kept' });
      h.fits(await good('getSecret', { name: 'kept', session_id }), { name: 'kept', value: 'ü "v"' });
    });
    await check('authorizePayment takes from the budget', async () => {
      const paid = await good('authorizePayment', { session_id, amount: 12.34, description: 'a book' });
      h.fits(paid, { authorized: true, amount: 12.34, remaining_budget: 37.66, currency: 'USD' });
      h.refusedPayment(await call('authorizePayment', { session_id, amount: 37.67 }, EXIT.toolError));
    });
    await check('logAction, getAuditTrail and getSpend agree', async () => {
      const action = { session_id, action: 'search', tool: 'web', details: { n: 1 }, cost_usd: 0.25 };
      const { entry_id, logged } = await good('logAction', action);
      assert.equal(logged, true);
      names.$entry = entry_id;
      const { count, entries } = await good('getAuditTrail', { session_id, tool: 'web' });
      assert.equal(count, 1);
      h.fits(entries[0], { entry_id, session_id, agent_id: 'inspector', action: 'search', cost_usd: 0.25 });
      const spend = await good('getSpend', { session_id });
      h.fits(spend, { total_usd: 0.25, authorized_usd: 12.34 });
    });
    await check('revokeSession ends a session for the next process too', async () => {
      const doomed = (await good('createSession', { agent_id: 'inspector' })).session_id;
      h.fits(await good('revokeSession', { session_id: doomed }), { revoked: true, session_id: doomed });
      h.fits(await good('getSession', { session_id: doomed }), { is_valid: false });
    });
  }

  async function facts(names) {
    const session_id = names.$session;
    await check('prompts/get brings the facts', async () => {
      const of = async args => (await ask('prompts/get', args)).messages.map(item => item.content.text).join('\n');
      const budget = await of(['--prompt-name', 'budget-check', '--prompt-args', `session_id=${session_id}`]);
      for (const fact of [session_id, '12.34', '37.66']) assert.ok(budget.includes(fact), `no ${fact} in ${budget}`);
      const audit = await of(['--prompt-name', 'security-audit']);
      assert.ok(audit.includes('search'), `the last action is not in ${audit}`);
    });
    await check('prompts/get refuses a budget-check of nothing', () =>
      ask('prompts/get', ['--prompt-name', 'budget-check'], EXIT.failed),
    );
    await check('resources/read gives a session, an entry and the tree head', async () => {
      for (const [uri, wanted] of [
        [`haldir://sessions/${session_id}`, { session_id, spent: 12.34 }],
        [`haldir://audit/${names.$entry}`, { entry_id: names.$entry, action: 'search' }],
        ['haldir://audit/tree-head', { algorithm: 'Ed25519-over-canonical-sth' }],
      ]) {
        const { contents } = await ask('resources/read', ['--uri', uri]);
        h.fits(contents[0], { uri, mimeType: 'application/json' });
        h.fits(JSON.parse(contents[0].text), wanted);
      }
    });
    await check('resources/read of an unknown entry fails', () =>
      ask('resources/read', ['--uri', 'haldir://audit/aud_none'], EXIT.failed),
    );
  }

  async function refusals(names) {
    for (const [tool, cases] of Object.entries(h.REFUSALS)) {
      await Promise.all(
        cases
          .slice(0, BAD_INPUTS_PER_TOOL)
          .map(bad =>
            check(`${tool} refuses ${bad.what}`, async () =>
              h.refused(await call(tool, h.placeholders(bad.with, names), EXIT.toolError), bad),
            ),
          ),
      );
    }
    await check('the refusals spent nothing and ended nothing', async () =>
      h.fits(await good('getSession', { session_id: names.$session }), { is_valid: true, spent: 12.34 }),
    );
  }

  return async () => {
    const names = { $unknown: h.UNKNOWN_SESSION };
    await lists();
    await tools(names);
    await facts(names);
    await refusals(names);
  };
}

const url = `${h.SERVER_URL}/mcp`;
const http = key => [
  url,
  '--transport',
  'http',
  '--protocol-era',
  'modern',
  '--header',
  `Authorization: Bearer ${key}`,
];
const stdio = [h.SERVER_BIN, '-e', `HALDIR_DB=${h.SCRATCH}/inspector.db`];
await Promise.all([inspector('stdio', stdio)(), inspector('HTTP', http(h.SERVER_KEY))()]);
await h.check('HTTP: a wrong key is told to authorize', async () => {
  const { code, err } = await start([...http('hld_wrong'), '--method', 'tools/list']);
  assert.equal(code, EXIT.authRequired, `exit code ${code}: ${err}`);
});
