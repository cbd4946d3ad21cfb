// What the JavaScript suites share: checks that are counted, and the shapes of a tool's answers (as in checks.py).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Loads a package from the folder that `run` installs into. */
export const load = createRequire(`${process.env.CLIENT_PACKAGES}/`);
export const REFUSALS = JSON.parse(readFileSync(new URL('refusals.json', import.meta.url), 'utf8'));
export const TOOLS = Object.keys(REFUSALS).sort();
export const UNKNOWN_SESSION = 'ses_' + 'A'.repeat(32);
export const { SERVER_BIN, SERVER_URL, SERVER_KEY, SCRATCH } = process.env;

const TIMEOUT = 15_000;
const shorten = text => (text.length < 400 ? text : text.slice(0, 400) + '…');

/** Runs one check, prints `ok NAME` or `FAILED NAME: why`; true if it went well. */
export async function check(name, run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${TIMEOUT} ms`)), TIMEOUT);
  });
  try {
    await Promise.race([run(), late]);
    console.log(`ok ${name}`);
    return true;
  } catch (error) {
    process.exitCode = 1;
    console.log(`FAILED ${name}: ${shorten(String(error?.message ?? error).replaceAll('\n', ' '))}`);
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** Every wanted field is there with exactly that value. */
export function fits(got, wanted) {
  for (const [name, value] of Object.entries(wanted)) {
    assert.deepEqual(got?.[name], value, `${name} is ${JSON.stringify(got?.[name])}, not ${JSON.stringify(value)}`);
  }
}

/** Arguments from refusals.json with the names like $session filled in. */
export function placeholders(value, names) {
  if (Array.isArray(value)) return value.map(item => placeholders(item, names));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, placeholders(item, names)]));
  }
  return Object.hasOwn(names, value) ? names[value] : value;
}

/**
 * The JSON in a tool result; the text and structuredContent are the same.
 * A refusal's text has a sentence for people before it, on a line of its own, which tells the error.
 */
function bodyOf(result) {
  assert.equal(result.content.length, 1, `one content, not ${result.content.length}`);
  assert.equal(result.content[0].type, 'text');
  let { text } = result.content[0];
  let sentence;
  if (result.isError) {
    const end = text.indexOf('\n');
    assert.notEqual(end, -1, `a sentence alone, no JSON on the next line: ${text}`);
    [sentence, text] = [text.slice(0, end), text.slice(end + 1)];
    assert.match(sentence, /^\w\S* .*\S[.!?]$/);
  }
  const body = JSON.parse(text);
  if (sentence !== undefined) {
    const told = body.error || body.reason;
    assert.ok(typeof told === 'string', `no error text in ${text}`);
    assert.ok(sentence.includes(told.replace(/\.+$/, '')), `${told} is not told in ${sentence}`);
  }
  if (result.structuredContent !== undefined) assert.deepEqual(result.structuredContent, body);
  return body;
}

export function good(result) {
  const body = bodyOf(result);
  assert.ok(!result.isError, `refused: ${JSON.stringify(body)}`);
  assert.ok(result.structuredContent, 'no structuredContent');
  return body;
}

export function refusedPayment(result) {
  const body = bodyOf(result);
  assert.equal(result.isError, true, `not refused: ${JSON.stringify(body)}`);
  assert.ok(result.structuredContent, 'no structuredContent');
  assert.equal(body.authorized, false);
  assert.ok(typeof body.reason === 'string' && body.reason, `no reason in ${JSON.stringify(body)}`);
  return body;
}

/** isError, and either {error, code} or, of a payment, {authorized: false, reason}. */
export function refused(result, { field, says } = {}) {
  const body = bodyOf(result);
  assert.equal(result.isError, true, `not refused: ${JSON.stringify(body)}`);
  if (field === undefined && 'authorized' in body) return refusedPayment(result);
  assert.ok(typeof body.error === 'string' && body.error, `no error text in ${JSON.stringify(body)}`);
  assert.ok(typeof body.code === 'string', `no machine code in ${JSON.stringify(body)}`);
  assert.match(body.code, /^[a-z][a-z0-9_]*$/);
  if (field !== undefined) fits(body, { field });
  if (says !== undefined) assert.ok(body.error.includes(says), `${says} is not named in ${body.error}`);
  return body;
}
