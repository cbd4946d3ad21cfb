import assert from "node:assert/strict";
import { test } from "node:test";
import { governed, GovernedSession, HaldirClient, HaldirError, ToolDenied, verifyInclusionProof } from "@haldir/client";
import { house } from "./house.ts";

const { haldir, client, url } = await house();
const options = { agent_id: "agent", scopes: ["execute:search", "spend"], spend_limit: "10" };
const never = () => assert.fail("the tool ran");

async function denied(call: Promise<unknown>): Promise<ToolDenied> {
  const error = await call.then(() => assert.fail("the call was not denied"), (error: unknown) => error);
  assert.ok(error instanceof ToolDenied, String(error));
  return error;
}

/** The entries of a session that an agent wrote, oldest first, as "action tool". */
async function trail(session: GovernedSession): Promise<string[]> {
  const { entries } = await haldir.getAuditTrail({ session_id: session.sessionId });
  return entries.filter(({ kind }) => kind === "action").map(({ action, tool }) => `${action} ${tool}`).reverse();
}

const isRevoked = async (session: GovernedSession) => (await haldir.getSession({ session_id: session.sessionId })).revoked;

test("a tool within its scope runs and is logged, with proofs that hold", async () => {
  const { result, session } = await governed(haldir, options, (session) => session.runTool("search", { query: "book" }, () => "found"));
  assert.equal(result, "found");
  assert.deepEqual(await trail(session), ["call search"]);
  const { entries } = await haldir.getAuditTrail({ session_id: session.sessionId, tool: "search" });
  assert.deepEqual(entries[0]!.details, { arguments: { query: "book" } });
  const proofs = await session.proofs();
  assert.deepEqual(proofs.map(({ entry_id }) => entry_id), session.entries);
  const { public_key } = await haldir.getTreeHead();
  assert.equal(await verifyInclusionProof(proofs[0]!, public_key), true);
  assert.equal(await isRevoked(session), true);
});

test("a tool beyond its scope does not run, and the reason names scope and scopes", async () => {
  const { result, session } = await governed(haldir, options, (session) => denied(session.runTool("delete", {}, never)));
  assert.match(result.message, /delete.*execute:delete.*execute:search, spend/);
  assert.deepEqual(session.denied, [{ tool: "delete", reason: result.reason }]);
  assert.deepEqual(await trail(session), ["denied delete"]);
});

test("the session is revoked when the run fails, and the error is the run's", async () => {
  let seen: GovernedSession;
  const run = governed(haldir, options, async (session) => {
    seen = session;
    throw new Error("out of ideas");
  });
  await assert.rejects(run, /out of ideas/);
  assert.equal(await isRevoked(seen!), true);
});

test("the session is revoked as soon as the signal is aborted, and no tool runs afterwards", async () => {
  const stop = new AbortController();
  let seen: GovernedSession;
  const run = governed(haldir, { ...options, signal: stop.signal }, async (session) => {
    seen = session;
    stop.abort(new Error("stopped"));
    const { reason } = await denied(session.runTool("search", {}, never));
    assert.equal(reason, "the run has ended");
    while (!(await isRevoked(session))) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.signal.throwIfAborted();
  });
  await assert.rejects(run, /stopped/);
  assert.equal(await isRevoked(seen!), true);
  await assert.rejects(governed(haldir, { ...options, signal: AbortSignal.abort() }, never), { name: "AbortError" });
});

test("a run that is aborted while its session is created leaves none behind", async () => {
  const stop = new AbortController();
  const late: typeof fetch = async (url, init) => {
    const response = await fetch(url, init);
    stop.abort(new Error("stopped")); // the server has created the session
    init?.signal?.throwIfAborted();
    return response;
  };
  await assert.rejects(governed(client({ fetch: late }), { ...options, agent_id: "early", signal: stop.signal }, never), /stopped/);
  const { sessions } = await haldir.listSessions({ agent_id: "early" });
  assert.deepEqual(sessions.map(({ revoked }) => revoked), [true]);
});

test("a run that is aborted while a call is logged does not make it, and gives its payment back", async () => {
  const stop = new AbortController();
  let seen: GovernedSession;
  const late: typeof fetch = async (url, init) => {
    const response = await fetch(url, init);
    if (String(url).endsWith("/v1/audit")) stop.abort(new Error("stopped"));
    return response;
  };
  const run = governed(client({ fetch: late }), { ...options, signal: stop.signal }, async (session) => {
    seen = session;
    const { reason } = await denied(session.runTool("buy", {}, never, { scope: "spend", amount: () => "4" }));
    assert.equal(reason, "the run has ended");
  });
  await assert.rejects(run, /stopped/);
  assert.equal((await haldir.getSession({ session_id: seen!.sessionId })).remaining_budget, "10");
});

test("an aborted run rejects, also where it goes on to its end", async () => {
  const stop = new AbortController();
  const run = governed(haldir, { ...options, signal: stop.signal }, () => stop.abort(new Error("stopped")));
  await assert.rejects(run, /stopped/);
});

test("an aborted run rejects with the signal's reason, not with the denial that follows", async () => {
  const stop = new AbortController();
  const run = governed(haldir, { ...options, signal: stop.signal }, (session) => {
    stop.abort(new Error("stopped"));
    return session.runTool("search", {}, never);
  });
  await assert.rejects(run, { name: "Error", message: "stopped" });
});

test("a session that an operator revokes stops the next tool and the next model call", async () => {
  await governed(haldir, options, async (session) => {
    await haldir.revokeSession({ session_id: session.sessionId });
    assert.equal((await denied(session.runTool("search", {}, never))).reason, "the session was revoked");
    const call = session.logModelCall("model", { input: 1, output: 1 }, { input: "1", output: "1" });
    await assert.rejects(call, { name: "HaldirError", code: "session_invalid" });
  });
});

test("a payment is deducted before the tool runs, and given back if it fails", async () => {
  const rule = { scope: "spend", amount: ({ price }: { price: string }) => price };
  const { session } = await governed(haldir, options, async (session) => {
    const left = async () => (await haldir.getSession({ session_id: session.sessionId })).remaining_budget;
    await session.runTool("buy", { price: "6" }, async () => assert.equal(await left(), "4"), rule);
    assert.equal(await left(), "4");
    const { reason } = await denied(session.runTool("buy", { price: "4.000000001" }, never, rule));
    assert.match(reason, /4\.000000001 USD is more than the 4 USD/);
    await assert.rejects(session.runTool("buy", { price: "3" }, () => Promise.reject(new Error("sold out")), rule), /sold out/);
    assert.equal(await left(), "4");
    const bad = await denied(session.runTool("buy", { price: "free" }, never, rule));
    assert.match(bad.reason, /"free" is no amount/);
    return left();
  });
  assert.deepEqual(await trail(session), ["call buy", "denied buy", "call buy", "failed buy", "denied buy"]);
});

test("parallel payments cannot overdraw the budget", async () => {
  let ran = 0;
  await governed(haldir, options, async (session) => {
    const calls = Array.from({ length: 6 }, () => session.runTool("buy", {}, () => void ran++, { scope: "spend", amount: () => "4" }));
    const outcomes = await Promise.allSettled(calls);
    assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 4);
  });
  assert.equal(ran, 2);
});

test("without an answer of the server no tool runs", async () => {
  let isDown = false;
  const failing: typeof fetch = (...request) => (isDown ? Promise.reject(new TypeError("fetch failed")) : fetch(...request));
  const session = await GovernedSession.open(client({ fetch: failing, retries: 0 }), options);
  isDown = true;
  const error = await denied(session.runTool("search", {}, never));
  assert.match(error.reason, /no answer from http/);
  assert.ok(error.cause instanceof HaldirError);
  assert.equal(session.unlogged.length, 1, "the denial could not be logged either");
  const failed = governed(client({ fetch: (...request) => (isDown ? Promise.reject(new TypeError("gone")) : fetch(...request)), retries: 0 }), options, () => {});
  await assert.rejects(failed, { code: "connection" });
});

test("a call that cannot be logged is not made", async () => {
  const silent: typeof fetch = (url, init) => (String(url).endsWith("/v1/audit") ? Promise.reject(new TypeError("disk full")) : fetch(url, init));
  const session = await GovernedSession.open(client({ fetch: silent, retries: 0 }), options);
  const error = await denied(session.runTool("buy", {}, never, { scope: "spend", amount: () => "4" }));
  assert.match(error.reason, /disk full/);
  assert.equal((await haldir.getSession({ session_id: session.sessionId })).remaining_budget, "10", "the payment was not given back");
  await session.end();
});

test("the run's error and that of the revocation are both told", async () => {
  const stuck: typeof fetch = (url, init) => (init?.method === "DELETE" ? Promise.reject(new TypeError("gone")) : fetch(url, init));
  const run = governed(client({ fetch: stuck, retries: 0 }), options, () => Promise.reject(new Error("out of ideas")));
  const error: unknown = await run.catch((error: unknown) => error);
  assert.ok(error instanceof AggregateError);
  assert.match(error.message, /out of ideas.*could not be revoked/);
  assert.equal(error.errors.length, 2);
  await assert.rejects(governed(client({ fetch: stuck, retries: 0 }), options, () => "done"), { code: "connection" });
});

test("await using ends a session", async () => {
  let seen: GovernedSession;
  {
    await using session = await GovernedSession.open(haldir, options);
    seen = session;
    assert.equal(await isRevoked(session), false);
  }
  assert.equal(await isRevoked(seen), true);
});

test("details are the caller's choice, and bounded", async () => {
  const { session } = await governed(haldir, options, async (session) => {
    await session.runTool("search", { password: "hunter2" }, () => {}, { details: () => ({ kept: true }) });
    await session.runTool("search", { text: "ä".repeat(100_000) }, () => {});
    await session.runTool("search", undefined, () => {});
  });
  const { entries } = await haldir.getAuditTrail({ session_id: session.sessionId, tool: "search" });
  assert.deepEqual(entries[2]!.details, { kept: true });
  assert.equal((entries[1]!.details as { truncated?: boolean }).truncated, true);
  assert.equal(entries.length, 3);
});

test("a session stays within the limits of an agent's key", async () => {
  const { key } = await haldir.createApiKey({ name: "agent", tier: "free", role: "agent", max_spend: "5", max_ttl: 600 });
  const agent = new HaldirClient({ baseUrl: url, apiKey: key });
  await assert.rejects(governed(agent, { ...options, ttl: 600 }, never), { code: "ceiling_exceeded" });
  const { session } = await governed(agent, { ...options, spend_limit: "5", ttl: 600 }, (session) => session.runTool("search", {}, () => "found"));
  assert.equal((await session.proofs()).length, 1);
  const rule = { scope: "spend", amount: () => "3" };
  await governed(agent, { ...options, spend_limit: "5", ttl: 600 }, async (session) => {
    await assert.rejects(session.runTool("buy", {}, () => Promise.reject(new Error("sold out")), rule), /sold out/);
    assert.equal((await haldir.getSession({ session_id: session.sessionId })).remaining_budget, "2"); // only an operator gives back
    assert.ok(session.unlogged.some((error) => error instanceof HaldirError && error.code === "operator_required"));
  });
  assert.equal(await isRevoked(session), true);
});
