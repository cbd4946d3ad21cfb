import assert from "node:assert/strict";
import { test } from "node:test";
import { governed, type GovernedSession } from "@haldir/client";
import { haldirMiddleware } from "@haldir/client/langchain";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import { z } from "zod";
import { shop } from "../examples/langchain.ts";
import { house } from "./house.ts";
import { openAI } from "./model.ts";
import { checkShop } from "./shops.ts";

const { haldir } = await house();
const model = await openAI();
const prices = { input: "1", output: "2", cachedInput: "0.5" };
const options = { agent_id: "agent", scopes: ["execute:search", "spend"], spend_limit: "10" };
const none = z.object({});
const isRevoked = async (session: GovernedSession) => (await haldir.getSession({ session_id: session.sessionId })).revoked;

test("the example", () => checkShop(haldir, model, shop));

test("a denied tool does not run, and the model reads why", async () => {
  model.calls = [["remove", {}], ["search", {}]];
  let removed = 0;
  const tools = [
    tool(() => String(++removed), { name: "remove", description: "Remove.", schema: none }),
    tool(() => "found", { name: "search", description: "Search.", schema: none }),
  ];
  const { result, session } = await governed(haldir, options, (session) =>
    createAgent({ model: new ChatOpenAI({ model: "gpt-5" }), tools, middleware: [haldirMiddleware(session, { prices })] }).invoke({
      messages: [{ role: "user", content: "go" }],
    }),
  );
  assert.equal(removed, 0);
  assert.match(model.results[0]!, /remove.*does not have the scope execute:remove; it has execute:search, spend/);
  assert.equal(model.results[1], "found");
  assert.deepEqual(result.messages.map((message) => ("status" in message ? message.status : undefined)).filter(Boolean), ["error", "success"]);
  assert.equal(session.cost, "0.003"); // 3 × (600 × 1 + 400 × 0.5 + 100 × 2) for a million
  assert.equal(await isRevoked(session), true);
});

test("a tool that fails gives its payment back, and the session ends with the run's error", async () => {
  model.calls = [["buy", {}]];
  const buy = tool(() => Promise.reject(new Error("sold out")), { name: "buy", description: "Buy.", schema: none });
  let seen: GovernedSession;
  const run = governed(haldir, options, (session) => {
    seen = session;
    const middleware = [haldirMiddleware(session, { prices, rules: { buy: { scope: "spend", amount: () => "4" } } })];
    return createAgent({ model: new ChatOpenAI({ model: "gpt-5" }), tools: [buy], middleware }).invoke({ messages: [{ role: "user", content: "go" }] });
  });
  await assert.rejects(run, /sold out/);
  const { revoked, remaining_budget } = await haldir.getSession({ session_id: seen!.sessionId });
  assert.deepEqual([revoked, remaining_budget], [true, "10"]);
});

test("an aborted run leaves no session behind", async () => {
  model.calls = [["search", {}], ["search", {}], ["search", {}]];
  const stop = new AbortController();
  let calls = 0;
  const search = tool(() => (++calls === 2 ? (stop.abort(new Error("stopped")), "found") : "found"), { name: "search", description: "Search.", schema: none });
  let seen: GovernedSession;
  const run = governed(haldir, { ...options, signal: stop.signal }, (session) => {
    seen = session;
    const agent = createAgent({ model: new ChatOpenAI({ model: "gpt-5" }), tools: [search], middleware: [haldirMiddleware(session, { prices })] });
    return agent.invoke({ messages: [{ role: "user", content: "go" }] }, { signal: stop.signal });
  });
  await assert.rejects(run);
  assert.equal(calls, 2);
  assert.equal(await isRevoked(seen!), true);
});
