// Drives the dashboard with headless Chromium. Started by `run`, with the program and a folder for screenshots.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

const [binary, pictures] = process.argv.slice(2);
const load = createRequire(`${process.env.PACKAGES}/`);
const { chromium } = load('playwright-core');
const axe = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');
const everything = load.resolve('@modelcontextprotocol/server-everything/dist/index.js');

const home = mkdtempSync(join(tmpdir(), 'haldir-dashboard-'));
const database = join(home, 'haldir.db');
const env = { PATH: process.env.PATH, HOME: home, HALDIR_DB: database };
const haldir = (...args) => JSON.parse(execFileSync(join(dirname(binary), 'haldir'), ['--json', ...args], { env, stdio: ['ignore', 'pipe', 'ignore'] }));
const call = (name, input) => haldir('call', name, '--json-input', JSON.stringify(input));
const sql = (statement) => execFileSync('python3', ['-c', 'import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], timeout=30) as db: db.execute(sys.argv[2])', database, statement]);

const children = [];
let passed = 0;
let failed = 0;
async function check(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${String(error?.message ?? error).replaceAll('\n', ' ').slice(0, 600)}`);
  }
}

async function started(args) {
  const server = spawn(binary, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: server.stdout })) {
    const found = line.match(/^haldir listening on (http:\/\/\S+)$/);
    if (found) return { server, url: found[1] };
  }
  throw new Error('the server did not start');
}

// An MCP client of a wrapped server, over standard input and output.
class Wrapped {
  constructor() {
    const args = ['--approve-by', 'operator', 'wrap', '--name', 'everything', '--', process.execPath, everything];
    this.child = spawn(binary, args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
    children.push(this.child);
    this.waiting = new Map();
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const message = JSON.parse(line);
      this.waiting.get(message.id)?.(message);
    });
    this.next = 1;
  }

  ask(method, params) {
    const id = this.next++;
    const answer = new Promise((resolve) => this.waiting.set(id, resolve));
    this.child.stdin.write(JSON.stringify({ jsonrpc: '2.0', id, method, params }) + '\n');
    return answer;
  }

  async begin() {
    await this.ask('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'check', version: '1' } });
    this.child.stdin.write(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }) + '\n');
  }

  async echo(message) {
    const answer = await this.ask('tools/call', { name: 'echo', arguments: { message } });
    const text = answer.result?.content?.map((part) => part.text).join('\n') ?? JSON.stringify(answer.error);
    return { text, refused: answer.error !== undefined || answer.result.isError === true };
  }
}

const operator = haldir('keys', 'create', '--role', 'operator', '--name', 'operator').key;
const session = call('create-session', { agent_id: 'research-bot', scopes: ['read', 'spend'], spend_limit: 50 }).session_id;
call('create-session', { agent_id: 'helper', scopes: ['read'], parent_session_id: session });
for (const cost of [1.5, 2.25, 500]) {
  call('log-action', { session_id: session, action: 'query', tool: 'db.query', cost_usd: cost, details: { sql: 'select 1' } });
}
call('authorize-payment', { session_id: session, amount: 12.5 });
call('store-secret', { name: 'stripe_key', value: 'sk_live_123' });
call('add-proxy-policy', { type: 'deny_list', tools: ['github.delete_repo'] });
call('log-action', { session_id: session, action: '<script>alert(1)</script>', tool: 'x"onmouseover="alert(1)', details: { text: '\u202e' } });
const hostile = call('create-session', { agent_id: '<img src=x onerror=alert(1)>', scopes: ['read'] });
assert.ok(hostile.session_id);

const { server, url } = await started(['serve', '--listen', '127.0.0.1:0']);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
const problems = [];

async function context(options = {}) {
  const made = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  made.on('request', (request) => { if (!request.url().startsWith(url)) problems.push(`a request left the origin: ${request.url()}`); });
  made.on('page', (page) => {
    page.on('pageerror', (error) => problems.push(`an error of the script: ${error.message}`));
    page.on('dialog', (dialog) => { problems.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on('console', (message) => {
      // Chromium reports the status of a page that was refused on purpose.
      if (message.type() === 'error' && !/status of (400|401|403|404)/.test(message.text())) problems.push(`on the console: ${message.text()}`);
    });
  });
  return made;
}

async function signIn(page, key) {
  await page.goto(`${url}/`);
  await page.fill('input[name=key]', key);
  await page.click('main button[type=submit]');
}

const wide = await context();
const page = await wide.newPage();
await check('a wrong key is refused', async () => {
  await signIn(page, 'hld_0123456789012345678901234567890123456789');
  assert.match(await page.textContent('.alert'), /There is no such key/);
});
await check('an operator signs in, and / leads to the dashboard', async () => {
  await signIn(page, operator);
  await page.waitForURL(`${url}/dashboard`);
  assert.equal(await page.textContent('h1'), 'Now');
});

await check('an approval in the browser releases a held call of a wrapped server, and a denial ends it', async () => {
  call('add-approval-rule', { type: 'tool_blocked', tools: ['everything.echo'] });
  const client = new Wrapped();
  await client.begin();
  let first = await client.echo('approved by a person');
  // The server behind haldir may take a while to list its tools.
  for (let tries = 0; tries < 60 && first.text.includes('has not listed its tools'); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    first = await client.echo('approved by a person');
  }
  assert.ok(first.refused && first.text.includes('apr_'), first.text);
  // The page shows it without being loaded again.
  await page.waitForSelector('#waiting tbody tr:has-text("approved by a person")', { timeout: 20_000 });
  await page.click('#waiting tr:has-text("approved by a person") button:has-text("Approve")');
  await page.waitForSelector('#state:has-text("Approved:")');
  const again = await client.echo('approved by a person');
  assert.ok(!again.refused && again.text.includes('approved by a person'), again.text);
  const other = await client.echo('denied by a person');
  assert.ok(other.refused && other.text.includes('apr_'), other.text);
  await page.waitForSelector('#waiting tbody tr:has-text("denied by a person")', { timeout: 20_000 });
  await page.click('#waiting tr:has-text("denied by a person") a:has-text("Review")');
  await page.fill('form[action$="denyRequest"] input[name=note]', 'not today');
  await page.click('form[action$="denyRequest"] button');
  await page.waitForSelector('.pill:has-text("denied")');
  const denied = await client.echo('denied by a person');
  assert.ok(denied.refused && denied.text.includes('not today'), denied.text);
  client.child.stdin.end();
});

await check('the trail follows the log', async () => {
  await page.goto(`${url}/dashboard/trail`);
  call('log-action', { session_id: session, action: 'seen live', tool: 'live.tool' });
  await page.waitForSelector('#trail tbody tr:has-text("live.tool")', { timeout: 20_000 });
});

await check('filters stand in the address', async () => {
  await page.goto(`${url}/dashboard/trail`);
  await page.fill('input[name=tool]', 'db.query');
  await page.click('form[method=get] button');
  assert.match(page.url(), /tool=db\.query/);
  assert.equal(await page.locator('#trail tbody tr').count(), 3);
});

await check('the browser verifies the proof of an entry', async () => {
  await page.click('#trail tbody tr:nth-child(2) a[href*="/trail/"]');
  await page.click('[data-verify]');
  await page.waitForSelector('.result[data-ok]');
  assert.match(await page.textContent('.result'), /^Verified: this entry is number /);
});

await check('an altered entry is shown as broken, also by the browser', async () => {
  // So many that this entry is in a part of the tree that is stored.
  for (let count = 0; count < 260; count += 1) {
    const body = JSON.stringify({ session_id: session, action: 'filler', tool: 'filler' });
    const headers = { authorization: `Bearer ${operator}`, 'content-type': 'application/json' };
    assert.equal((await fetch(`${url}/v1/audit`, { method: 'POST', headers, body })).status, 201);
  }
  const place = (await page.textContent('h1')).match(/\d+/)[0];
  sql(`UPDATE audit_entries SET cost = cost + 1 WHERE place = ${place}`);
  await page.reload();
  assert.match(await page.textContent('.alert'), /altered outside haldir/);
  await page.click('[data-verify]');
  await page.waitForSelector('.result[data-ok=false]');
  assert.match(await page.textContent('.result'), /^Broken: the entry on this page is not the one that was recorded/);
  await page.goto(`${url}/dashboard/trail?tool=db.query`);
  assert.equal(await page.locator('#trail .pill:has-text("ALTERED")').count(), 1);
  sql(`UPDATE audit_entries SET cost = cost - 1 WHERE place = ${place}`);
});

await check('a form without its token is refused', async () => {
  await page.goto(`${url}/dashboard/agents`);
  await page.evaluate(() => document.querySelectorAll('input[name=_token]').forEach((input) => { input.value = 'wrong'; }));
  await page.click('#sessions tr:has-text("helper") summary');
  await page.click('#sessions tr:has-text("helper") button');
  assert.match(await page.textContent('.alert'), /does not come from a page that is signed in/);
});

await check('a session is revoked after its consequence was shown', async () => {
  await page.goto(`${url}/dashboard/agents`);
  await page.click('#sessions tr:has-text("helper") summary');
  assert.match(await page.textContent('#sessions tr:has-text("helper") details p'), /Ends this session now/);
  await page.click('#sessions tr:has-text("helper") button');
  await page.waitForSelector('#sessions tr:has-text("helper") .pill:has-text("revoked")');
});

await check('a policy is tried before it is added', async () => {
  await page.goto(`${url}/dashboard/policies`);
  await page.selectOption('select[name=type]', 'deny_list');
  await page.fill('input[name=tools]', 'everything.echo');
  await page.click('button:has-text("Try on recorded calls")');
  assert.match(await page.textContent('#outcome'), /[1-9]\d* of the [1-9]\d* newest recorded calls would have been refused; [1-9]\d* of these were made/);
  assert.ok(await page.isHidden('input[name=max]'), 'a field of another kind is shown');
  assert.equal(await page.inputValue('input[name=tools]'), 'everything.echo');
  await page.screenshot({ path: join(pictures, 'wide-trial.png'), fullPage: true });
  await page.click('button:has-text("Add policy")');
  await page.waitForSelector('#policies tr:has-text("refuses calls of everything.echo")');
  await page.click('#policies tr:has-text("everything.echo") summary');
  await page.click('#policies tr:has-text("everything.echo") button');
  await page.waitForSelector('#policies:not(:has-text("everything.echo"))');
});

await check('a form that fails is shown again, and a new key once, with a button that copies it', async () => {
  await page.goto(`${url}/dashboard/keys`);
  await page.fill('#keys input[name=name]', 'made on the page');
  await page.fill('#keys input[name=scopes]', 'audit:wrong');
  await page.click('button:has-text("Make key")');
  await page.waitForSelector('#keys .alert');
  await page.screenshot({ path: join(pictures, 'wide-failed.png'), fullPage: true });
  assert.equal(await page.inputValue('#keys input[name=name]'), 'made on the page');
  await page.fill('#keys input[name=scopes]', 'audit:read');
  await page.click('button:has-text("Make key")');
  await page.waitForSelector('#once [data-copy]');
  await page.screenshot({ path: join(pictures, 'wide-new-key.png'), fullPage: true });
  const key = await page.textContent('#once pre');
  assert.match(key, /^hld_\S+$/);
  await page.reload();
  assert.ok(!(await page.content()).includes(key));
  assert.equal(await page.locator('#keys tr:has-text("made on the page")').count(), 1);
});

await check('the whole log is verified', async () => {
  await page.goto(`${url}/dashboard/settings`);
  await page.click('#verify button');
  await page.waitForSelector('#state:has-text("The whole log is verified")');
  await page.screenshot({ path: join(pictures, 'wide-verified.png'), fullPage: true });
});

await check('a tool is labelled on its page', async () => {
  await page.goto(`${url}/dashboard/servers`);
  await page.click('#tools a:has-text("everything.echo")');
  await page.selectOption('select[name=sink]', 'true');
  await page.click('#labels button');
  await page.waitForSelector('#state:has-text("The labels of echo were changed.")');
  assert.equal(await page.inputValue('select[name=sink]'), 'true');
});

await check('the keyboard alone is enough to sign in and to decide', async () => {
  const { request_id: request } = call('request-approval', { session_id: session, tool: 'keys.only', action: 'do' });
  const other = await (await context()).newPage();
  await other.goto(`${url}/`);
  const focusOn = async (selector) => {
    for (let step = 0; step < 200; step += 1) {
      await other.keyboard.press('Tab');
      if (await other.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
    }
    throw new Error(`${selector} is not reached`);
  };
  await focusOn('input[name=key]');
  await other.keyboard.type(operator);
  await other.keyboard.press('Enter');
  await other.waitForURL(`${url}/dashboard`);
  await focusOn(`#waiting tr:has(a[href$="${request}"]) form[action$="approveRequest"] button`);
  await other.keyboard.press('Enter');
  await other.waitForSelector('#state:has-text("Approved:")');
  assert.equal(await other.evaluate(() => document.activeElement.id), 'state', 'the keyboard is elsewhere');
  assert.equal(call('get-approval', { request_id: request }).status, 'approved');
});

await check('a browser is signed out when its key is revoked', async () => {
  const key = haldir('keys', 'create', '--role', 'operator', '--name', 'short').key;
  const other = await (await context()).newPage();
  await signIn(other, key);
  await other.waitForURL(`${url}/dashboard`);
  haldir('keys', 'revoke', key.slice(0, 12));
  await other.reload();
  assert.match(other.url(), /sign-in/);
});

await check('a browser is signed out when it was idle for too long', async () => {
  const short = await started(['serve', '--listen', '127.0.0.1:0', '--dashboard-idle', '2s']);
  children.push(short.server);
  const other = await (await browser.newContext()).newPage();
  await other.goto(`${short.url}/`);
  await other.fill('input[name=key]', operator);
  await other.click('main button[type=submit]');
  await other.waitForURL(`${short.url}/dashboard`);
  // The open page asks the server by itself meanwhile: that is no click.
  await other.waitForTimeout(3_000);
  await other.click('nav a:has-text("Agents")');
  await other.waitForURL(/sign-in\?next=%2Fdashboard%2Fagents/);
  short.server.kill();
});

// Every page, wide and on a phone in the dark: a screenshot, nothing wider than the screen, nothing that axe-core finds.
call('request-approval', { session_id: session, tool: 'github.create_issue', action: 'call', reason: 'a person decides', details: { title: 'x' } });
for (const [name, options] of [['wide', {}], ['phone', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }]]) {
  const own = await (await context(options)).newPage();
  await own.goto(`${url}/dashboard/sign-in`);
  await own.screenshot({ path: join(pictures, `${name}-sign-in.png`), fullPage: true });
  await signIn(own, operator);
  await own.waitForURL(`${url}/dashboard`);
  const hrefs = async (selector) => own.locator(selector).evaluateAll((links) => links.map((link) => link.getAttribute('href')));
  const paths = await hrefs('nav a');
  for (const kind of ['#waiting a[href*="/approvals/"]', '#calls a[href*="/trail/"]', '#agents a[href*="/agents/"]', '#agents a[href*="/sessions/"]']) {
    paths.push((await hrefs(kind))[0]);
  }
  await own.goto(`${url}/dashboard/servers`);
  paths.push((await hrefs('#tools a[href*="/servers/"]'))[0]);
  for (const path of paths) {
    const label = path.split('/').slice(2, 3).concat(path.split('/').length > 3 ? ['one'] : []).join('-') || 'now';
    await check(`${name}: ${label}`, async () => {
      await own.goto(url + path);
      await own.screenshot({ path: join(pictures, `${name}-${label}.png`), fullPage: true });
      const beyond = await own.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(beyond <= 0, `wider than the screen by ${beyond} px`);
      // In a world of its own, which the page's content security policy does not bind.
      const client = await own.context().newCDPSession(own);
      const { frameTree } = await client.send('Page.getFrameTree');
      const { executionContextId } = await client.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
      await client.send('Runtime.evaluate', { expression: axe, contextId: executionContextId });
      const { result } = await client.send('Runtime.evaluate', {
        expression: 'axe.run().then((found) => JSON.stringify(found.violations.map((one) => `${one.id}: ${one.nodes[0].html}`)))',
        contextId: executionContextId, awaitPromise: true, returnByValue: true,
      });
      assert.equal(result.value, '[]');
      await client.detach();
    });
  }
}
await check('no request left the origin, and no page had an error', () => assert.deepEqual(problems, []));

await browser.close();
server.kill();
children.forEach((child) => child.kill());
rmSync(home, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
// Children of a check that failed half-way keep nothing waiting.
process.exit(failed > 0 ? 1 : 0);
