import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { test } from "node:test";
import { fromNanos, HaldirClient, HaldirError, toNanos, tokenCost, verifyInclusionProof } from "@haldir/client";
import { house } from "./house.ts";

const { haldir, client, key } = await house();

async function refused(call: Promise<unknown>): Promise<HaldirError> {
  const error = await call.then(() => assert.fail("the call was not refused"), (error: unknown) => error);
  assert.ok(error instanceof HaldirError, inspect(error));
  return error;
}

/** A server that answers as `reply` says, on loopback, for `use`. */
async function withServer(reply: (request: IncomingMessage, response: ServerResponse, body: string) => void, use: (url: string) => Promise<void>) {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part)).on("end", () => reply(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function answer(response: ServerResponse, status: number, body: unknown, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
}

test("a session is created, read, listed and revoked", async () => {
  const session = await haldir.createSession({ agent_id: "shopper", scopes: ["read", "spend"], ttl: 600 });
  assert.deepEqual(session.scopes, ["read", "spend"]);
  const { sessions } = await haldir.listSessions({ agent_id: "shopper" });
  assert.ok(sessions.some(({ session_id }) => session_id === session.session_id));
  await haldir.revokeSession({ session_id: session.session_id });
  assert.equal((await haldir.getSession({ session_id: session.session_id })).is_valid, false);
});

test("every method of the API is there, and calls its operation", async () => {
  assert.equal((await haldir.healthCheck()).status, "ok");
  const { paths } = (await (await fetch(`${haldir.baseUrl}/openapi.json`)).json()) as { paths: Record<string, Record<string, { operationId: string }>> };
  const names = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
  assert.ok(names.length > 70);
  for (const name of names) assert.equal(typeof (haldir as unknown as Record<string, unknown>)[name], "function", name);
});

test("amounts stay exact in both directions", async () => {
  const limit = "9007199254.740993123"; // two digits more than a number of JavaScript holds
  const { session_id, spend_limit } = await haldir.createSession({ agent_id: "exact", scopes: ["spend"], spend_limit: limit });
  assert.equal(spend_limit, limit);
  const paid = await haldir.authorizePayment({ session_id, amount: "0.000000001" });
  assert.equal(paid.amount, "0.000000001");
  assert.equal(paid.remaining_budget, "9007199254.740993122");
  await haldir.authorizePayment({ session_id, amount: 0.25 });
  assert.equal((await haldir.getSession({ session_id })).remaining_budget, "9007199254.490993122");
  await haldir.logAction({ session_id, action: "call", tool: "model", cost_usd: "0.1" });
  await haldir.logAction({ session_id, action: "call", tool: "model", cost_usd: "0.2", details: { amount: 1.5 } });
  const spend = await haldir.getSpend({ session_id });
  assert.deepEqual(spend.by_tool, { model: "0.3" });
  const { entries } = await haldir.getAuditTrail({ session_id, tool: "model" });
  assert.deepEqual(entries.map(({ cost_usd }) => cost_usd), ["0.2", "0.1"]);
  assert.deepEqual(entries[0]!.details, { amount: 1.5 }); // what an agent logs is no amount of the API
});

test("what is no amount is refused before it is sent", async () => {
  const { session_id } = await haldir.createSession({ agent_id: "exact", scopes: ["spend"], spend_limit: "1" });
  for (const amount of [NaN, Infinity, "", "1,5", '1,"x":2', "0x10", "1 USD", " 1"]) {
    const error = await refused(haldir.authorizePayment({ session_id, amount }));
    assert.equal(error.code, "invalid_argument", String(amount));
    assert.equal(error.status, undefined);
  }
  const sum = await refused(haldir.authorizePayment({ session_id, amount: 0.1 + 0.2 }));
  assert.deepEqual([sum.status, sum.field], [400, "amount"]);
});

test("amounts can be calculated with", () => {
  assert.equal(fromNanos(toNanos("0.1") + toNanos("0.2")), "0.3");
  assert.equal(fromNanos(toNanos("9223372036.854775807") - 1n), "9223372036.854775806");
  assert.equal(fromNanos(-1_500_000_000n), "-1.5");
  assert.equal(fromNanos(0n), "0");
  for (const bad of ["1.0000000001", "-1", "1e3", ".5", "abc", NaN]) assert.throws(() => toNanos(bad), RangeError);
});

test("the cost of tokens is exact, and rounded up", () => {
  const prices = { input: "1.25", output: "10", cachedInput: "0.125" };
  assert.equal(tokenCost({ input: 1_000_000, output: 100_000 }, prices), "2.25");
  assert.equal(tokenCost({ input: 1_000, output: 0, cachedInput: 800 }, prices), "0.00035");
  assert.equal(tokenCost({ input: 1, output: 0 }, { input: "0.0000001", output: "0" }), "0.000000001");
  assert.throws(() => tokenCost({ input: -1, output: 0 }, prices), /whole number/);
});

test("a refusal has code, field, status and what the server says about it", async () => {
  const unknown = await refused(haldir.getSession({ session_id: "ses_none" }));
  assert.deepEqual([unknown.code, unknown.status, unknown.retryable], ["not_found", 404, false]);
  assert.ok(unknown.requestId);
  const bad = await refused(haldir.createSession({ agent_id: "x", ttl: -1 }));
  assert.deepEqual([bad.status, bad.field], [400, "ttl"]);
  assert.match(bad.message, /ttl/);
  const { session_id } = await haldir.createSession({ agent_id: "x", scopes: ["spend"], spend_limit: "1.10" });
  const budget = await refused(haldir.authorizePayment({ session_id, amount: "2" }));
  assert.deepEqual([budget.code, budget.body["remaining_budget"]], ["budget_exceeded", "1.1"]);
  const anonymous = await refused(client({ apiKey: "" }).getOverview());
  assert.deepEqual([anonymous.code, anonymous.status], ["unauthorized", 401]);
});

test("an id cannot lead to another operation", async () => {
  for (const session_id of ["", ".", "..", undefined]) {
    const error = await refused(haldir.getSession({ session_id: session_id! }));
    assert.deepEqual([error.code, error.field], ["invalid_argument", "session_id"]);
  }
  assert.equal((await refused(haldir.getSession({ session_id: "../keys" }))).status, 404);
});

test("a field that an operation does not have is refused", async () => {
  const error = await refused(haldir.getSession({ session_id: "ses_x", sesion: 1 } as never));
  assert.deepEqual([error.code, error.field], ["invalid_argument", "sesion"]);
  assert.equal((await refused(haldir.createSession({ agent_id: "x", scope: "read" } as never))).status, 400);
});

test("an answer that is not JSON is handed out to be streamed", async () => {
  const response = await haldir.exportAudit({ format: "jsonl" });
  const lines = (await response.text()).trim().split("\n").map((line) => JSON.parse(line) as { type?: string });
  assert.equal(lines.at(-1)!.type, "manifest");
});

test("an inclusion proof holds for the log's key, and for nothing else", async () => {
  const { session_id } = await haldir.createSession({ agent_id: "prover" });
  const trusted = (await haldir.getTreeHead()).public_key;
  const ids: string[] = [];
  for (let index = 0; index < 6; index++) ids.push((await haldir.logAction({ session_id, action: `step ${index}` })).entry_id);
  for (const entry_id of ids) {
    const proof = await haldir.getInclusionProof({ entry_id });
    assert.equal(await verifyInclusionProof(proof, trusted), true);
    const flipped = (hex: string) => (hex.startsWith("0") ? "1" : "0") + hex.slice(1);
    const forgeries = [
      { ...proof, leaf_hash: flipped(proof.leaf_hash) },
      { ...proof, leaf_index: proof.leaf_index - 1 },
      { ...proof, leaf_index: proof.tree_size },
      { ...proof, audit_path: proof.audit_path.slice(1) },
      { ...proof, audit_path: [...proof.audit_path, proof.leaf_hash] },
      { ...proof, sth: { ...proof.sth, signed_at: proof.sth.signed_at + 1 } },
      { ...proof, sth: { ...proof.sth, root_hash: flipped(proof.root_hash) } },
    ];
    for (const forgery of forgeries) assert.equal(await verifyInclusionProof(forgery, trusted), false);
    assert.equal(await verifyInclusionProof(proof, flipped(trusted)).catch(() => false), false);
  }
});

test("a lost answer to a payment is asked for again, and paid once", async () => {
  const { session_id } = await haldir.createSession({ agent_id: "payer", scopes: ["spend"], spend_limit: "10" });
  let calls = 0;
  const losing: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    if (++calls > 1) return response;
    await response.arrayBuffer();
    throw new TypeError("fetch failed");
  };
  const paid = await client({ fetch: losing }).authorizePayment({ session_id, amount: "4" });
  assert.deepEqual([calls, paid.remaining_budget], [2, "6"]);
  assert.equal((await haldir.getSession({ session_id })).spent, "4");
});

test("an idempotency key of the caller's holds for other calls too", async () => {
  const { session_id } = await haldir.createSession({ agent_id: "payer", scopes: ["spend"], spend_limit: "10" });
  const pay = (amount: string) => haldir.authorizePayment({ session_id, amount }, { idempotencyKey: "order 7" });
  assert.equal((await pay("4")).authorization_id, (await pay("4")).authorization_id);
  assert.equal((await refused(pay("5"))).code, "idempotency_mismatch");
});

test("a rate limit is waited for if that is short, and tries are bounded", async () => {
  const keys: unknown[] = [];
  const limit = { error: "too many calls", code: "rate_limit_exceeded", retryable: true };
  await withServer(
    (request, response) => {
      keys.push(request.headers["idempotency-key"]);
      if (keys.length < 3) answer(response, 429, limit, { "Retry-After": "0" });
      else answer(response, 201, { session_id: "ses_x", spend_limit: 1.5 });
    },
    async (baseUrl) => {
      const session = await new HaldirClient({ baseUrl }).createSession({ agent_id: "x" });
      assert.equal(session.spend_limit, "1.5");
      assert.equal(keys.length, 3);
      assert.equal(new Set(keys).size, 1, "the tries of a call share a key");
    },
  );
  for (const [seconds, tries] of [["0", 3], ["1800", 1]] as const) {
    let calls = 0;
    await withServer(
      (_, response) => answer(response, 429, limit, { "Retry-After": (calls++, seconds) }),
      async (baseUrl) => {
        const error = await refused(new HaldirClient({ baseUrl }).getOverview());
        assert.deepEqual([error.code, error.retryAfter, calls], ["rate_limit_exceeded", Number(seconds), tries]);
      },
    );
  }
});

test("the server's own rate limit has its figures", async () => {
  const { url, stop } = await (await import("../tools/server.mjs")).startServer(process.env["HALDIR_MCP"]!, ["--rate-limits", "free=3"]);
  try {
    const { key } = await new HaldirClient({ baseUrl: url, apiKey: "" }).createApiKey({ name: "x", tier: "free" });
    const limited = new HaldirClient({ baseUrl: url, apiKey: key });
    for (let calls = 0; calls < 3; calls++) await limited.getOverview();
    const error = await refused(limited.getOverview());
    assert.deepEqual([error.code, error.status, error.retryable, error.body["limit"]], ["rate_limit_exceeded", 429, true, 3]);
    assert.ok(error.retryAfter! > 10);
  } finally {
    await stop();
  }
});

test("a call ends by its timeout and by its signal", async () => {
  let calls = 0;
  await withServer(
    () => void calls++, // and no answer
    async (baseUrl) => {
      const slow = new HaldirClient({ baseUrl, timeout: 50, retries: 1 });
      const error = await refused(slow.getOverview());
      assert.deepEqual([error.code, error.retryable, calls], ["timeout", true, 2]);
      const stopped = new AbortController();
      const call = slow.getOverview({}, { timeout: 10_000, signal: stopped.signal });
      stopped.abort(new Error("no longer needed"));
      await assert.rejects(call, /no longer needed/);
      await assert.rejects(slow.getOverview({}, { signal: AbortSignal.abort() }), { name: "AbortError" });
    },
  );
});

test("what is no answer of haldir is an error, also a redirect", async () => {
  const pages: [number, string, object][] = [
    [502, "<html>bad gateway</html>", {}],
    [200, "<html>hello</html>", {}],
    [302, "", { Location: "http://127.0.0.1:9/" }],
    [200, "", {}],
  ];
  for (const [status, text, headers] of pages) {
    await withServer(
      (_, response) => response.writeHead(status, { ...headers }).end(text),
      async (baseUrl) => {
        const error = await refused(new HaldirClient({ baseUrl, retries: 0 }).getOverview());
        assert.deepEqual([error.code, error.status], ["invalid_response", status]);
      },
    );
  }
  const error = await refused(new HaldirClient({ baseUrl: "http://127.0.0.1:9", retries: 0 }).getOverview());
  assert.equal(error.code, "connection");
  assert.match(error.message, /127\.0\.0\.1:9/);
});

test("a client does not show its key, and says which settings are wrong", () => {
  assert.ok(!inspect(haldir, { depth: 9, showHidden: true }).includes(key) && !JSON.stringify(haldir).includes(key));
  assert.throws(() => new HaldirClient({ baseUrl: "localhost:8000" }), /baseUrl "localhost:8000"/);
  assert.throws(() => new HaldirClient({ retries: 1000 }), /retries is 1000/);
});

test("secrets in settings that cannot be sent are in no message", async () => {
  const settings = [{ apiKey: "hld_hunter2\nx" }, { apiKey: "\u201chld_hunter2\u201d" }, { baseUrl: "http://user:hunter2@127.0.0.1" }];
  for (const setting of settings) {
    assert.throws(() => client(setting), (error) => error instanceof TypeError && !inspect(error).includes("hunter2"), inspect(setting));
  }
  await client({ apiKey: `${key}\n` }).getOverview(); // as read from a file
});

test("times, ids and idempotency keys that cannot be used are refused before a call", async () => {
  let calls = 0;
  const counting = { fetch: (...request: Parameters<typeof fetch>) => (calls++, fetch(...request)) };
  for (const timeout of [0, -1, NaN, Infinity, 2 ** 31]) {
    assert.throws(() => client({ timeout }), /timeout is/);
    await assert.rejects(client(counting).getOverview({}, { timeout }), RangeError);
  }
  const id = await refused(client(counting).getSession({ session_id: "ses_\ud800" }));
  assert.deepEqual([id.code, id.field], ["invalid_argument", "session_id"]);
  for (const idempotencyKey of ["", "a\nb", " a", "\u00e4", "x".repeat(256)]) {
    const error = await refused(client(counting).createSession({ agent_id: "x" }, { idempotencyKey }));
    assert.equal(error.code, "invalid_argument");
    assert.match(error.message, /idempotencyKey/);
  }
  assert.equal(calls, 0);
  await client({ timeout: 2 ** 31 - 1 }).getOverview();
});

test("long texts and numbers of every kind arrive as they are", async () => {
  const text = `${'"\\'.repeat(200_000)}`;
  const details = { text, "1": [-0.5, 1e21, 12, { "key 2": "3" }], __proto: null };
  await withServer(
    (_, response, body) => answer(response, 201, { entry_id: "aud_x", cost_usd: 1, echo: JSON.parse(body) }),
    async (baseUrl) => {
      const logged: unknown = await new HaldirClient({ baseUrl }).logAction({ session_id: "s", action: "a", details, cost_usd: "1.50" });
      assert.deepEqual((logged as { echo: object }).echo, { session_id: "s", action: "a", details, cost_usd: 1.5 });
    },
  );
});
