import assert from "node:assert/strict";
import { test } from "node:test";
import { governed, type GovernedSession } from "@haldir/client";
import { governModel, governTools } from "@haldir/client/llamaindex";
import { tool } from "@llamaindex/core/tools";
import { OpenAI } from "@llamaindex/openai";
import { agent } from "@llamaindex/workflow";
import { z } from "zod";
import { shop } from "../examples/llamaindex.ts";
import { house } from "./house.ts";
import { openAI } from "./model.ts";
import { checkShop } from "./shops.ts";

const { haldir } = await house();
const model = await openAI();
const prices = { input: "1", output: "2", cachedInput: "0.5" };
const options = { agent_id: "agent", scopes: ["execute:search", "spend"], spend_limit: "10" };
const none = z.object({});
const isRevoked = async (session: GovernedSession) => (await haldir.getSession({ session_id: session.sessionId })).revoked;
const openai = () => new OpenAI({ model: "gpt-5", additionalChatOptions: { stream_options: { include_usage: true } } });

test("the example", () => checkShop(haldir, model, shop));

test("a denied tool does not run, and the model reads why", async () => {
  model.calls = [["remove", {}], ["search", {}]];
  let removed = 0;
  const tools = [
    tool(() => String(++removed), { name: "remove", description: "Remove.", parameters: none }),
    tool(() => "found", { name: "search", description: "Search.", parameters: none }),
  ];
  const { session } = await governed(haldir, options, (session) =>
    agent({ llm: governModel(session, openai(), prices), tools: governTools(session, tools) }).run("go"),
  );
  assert.equal(removed, 0);
  assert.match(model.results[0]!, /remove.*does not have the scope execute:remove; it has execute:search, spend/);
  assert.equal(model.results[1], "found");
  assert.equal(session.cost, "0.003"); // 3 × (600 × 1 + 400 × 0.5 + 100 × 2) for a million
  assert.equal(await isRevoked(session), true);
});

test("a tool that fails gives its payment back, and the model reads its error", async () => {
  model.calls = [["buy", {}]];
  const buy = tool(() => Promise.reject(new Error("sold out")), { name: "buy", description: "Buy.", parameters: none });
  await governed(haldir, options, async (session) => {
    const tools = governTools(session, [buy], { buy: { scope: "spend", amount: () => "4" } });
    await agent({ llm: governModel(session, openai(), prices), tools }).run("go");
    assert.equal((await haldir.getSession({ session_id: session.sessionId })).remaining_budget, "10");
  });
  assert.match(model.results[0]!, /sold out/);
});

test("answers that are not streamed are logged too, also those of methods that call chat", async () => {
  model.calls = [];
  const { session } = await governed(haldir, options, async (session) => {
    const llm = governModel(session, openai(), prices);
    await llm.chat({ messages: [{ role: "user", content: "go" }] });
    assert.equal((await llm.complete({ prompt: "go" })).text, "done");
    assert.equal(llm.metadata.model, "gpt-5");
  });
  assert.equal(session.cost, "0.002");
});

test("a run whose session is revoked ends, and leaves no tool running", async () => {
  model.calls = [["search", {}], ["search", {}], ["search", {}]];
  const stop = new AbortController();
  let calls = 0;
  let seen: GovernedSession;
  const search = tool(() => (++calls === 2 && stop.abort(), "found"), { name: "search", description: "Search.", parameters: none });
  const run = governed(haldir, { ...options, signal: stop.signal }, (session) => {
    seen = session;
    return agent({ llm: governModel(session, openai(), prices), tools: governTools(session, [search]) }).run("go");
  });
  await assert.rejects(run, { name: "AbortError" });
  assert.equal(calls, 2);
  assert.equal(await isRevoked(seen!), true);
});

test("a failing model ends the run with its error, and the session", async () => {
  const llm = new OpenAI({ model: "gpt-5", baseURL: "http://127.0.0.1:9/v1", maxRetries: 0 });
  let seen: GovernedSession;
  const run = governed(haldir, options, (session) => {
    seen = session;
    const search = tool(() => "found", { name: "search", description: "Search.", parameters: none });
    return agent({ llm: governModel(session, llm, prices), tools: governTools(session, [search]) }).run("go");
  });
  await assert.rejects(run, /Connection error/);
  assert.equal(await isRevoked(seen!), true);
});

test("rules without a tool are refused", async () => {
  await governed(haldir, options, (session) => assert.throws(() => governTools(session, [], { serach: "read" }), /rules for serach/));
});
