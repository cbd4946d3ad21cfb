import assert from "node:assert/strict";
import { test } from "node:test";
import { governed, type GovernedSession } from "@haldir/client";
import { governModel, governProvider, governTool } from "@haldir/client/openai-agents";
import { Agent, type Model, OpenAIProvider, Runner, type StreamEvent } from "@openai/agents";
import { z } from "zod";
import { shop } from "../examples/openai-agents.ts";
import { house } from "./house.ts";
import { openAI } from "./model.ts";
import { checkShop } from "./shops.ts";

const { haldir } = await house();
const model = await openAI();
const prices = { input: "1", output: "2", cachedInput: "0.5" };
const options = { agent_id: "agent", scopes: ["execute:search", "spend"], spend_limit: "10" };
const none = z.object({});
const isRevoked = async (session: GovernedSession) => (await haldir.getSession({ session_id: session.sessionId })).revoked;
const runner = (session: GovernedSession) => new Runner({ modelProvider: governProvider(session, new OpenAIProvider(), prices), tracingDisabled: true });

test("the example", () => checkShop(haldir, model, shop));

test("a denied tool does not run, and the model reads why", async () => {
  model.calls = [["remove", {}], ["search", {}]];
  let removed = 0;
  const { session } = await governed(haldir, options, (session) => {
    const tools = [
      governTool(session, { name: "remove", description: "Remove.", parameters: none, execute: () => ++removed }),
      governTool(session, { name: "find", description: "Search.", parameters: none, execute: () => "found" }, "execute:search"),
    ];
    model.calls = [["remove", {}], ["find", {}]];
    return runner(session).run(new Agent({ name: "agent", model: "gpt-5", tools }), "go");
  });
  assert.equal(removed, 0);
  assert.match(model.results[0]!, /remove.*does not have the scope execute:remove; it has execute:search, spend/);
  assert.equal(model.results[1], "found");
  assert.equal(session.cost, "0.003"); // 3 × (600 × 1 + 400 × 0.5 + 100 × 2) for a million
  assert.equal(await isRevoked(session), true);
});

test("a tool that fails gives its payment back, and its error goes where the tool says", async () => {
  model.calls = [["buy", {}], ["told", {}]];
  const execute = () => Promise.reject(new Error("sold out"));
  await governed(haldir, options, async (session) => {
    const rule = { scope: "spend", amount: () => "4" };
    const buy = governTool(session, { name: "buy", description: "Buy.", parameters: none, execute }, rule);
    const told = governTool(session, { name: "told", description: "Buy.", parameters: none, execute, errorFunction: (_, error) => String(error) }, rule);
    await runner(session).run(new Agent({ name: "agent", model: "gpt-5", tools: [buy, told] }), "go");
    assert.deepEqual(model.results, ["the tool buy failed", "Error: sold out"]);
    const fatal = governTool(session, { name: "buy", description: "Buy.", parameters: none, execute, errorFunction: null }, rule);
    await assert.rejects(runner(session).run(new Agent({ name: "agent", model: "gpt-5", tools: [fatal] }), "go"), /sold out/);
    assert.equal((await haldir.getSession({ session_id: session.sessionId })).remaining_budget, "10");
  });
});

test("streamed answers are logged with their cost", async () => {
  const usage = { inputTokens: 1000, outputTokens: 100, totalTokens: 1100, inputTokensDetails: { cached_tokens: 400 } };
  const output = { type: "message" as const, role: "assistant" as const, status: "completed" as const, content: [{ type: "output_text" as const, text: "done" }] };
  const streaming: Model = {
    getResponse: () => assert.fail("a stream was asked for"),
    async *getStreamedResponse(): AsyncGenerator<StreamEvent> {
      yield { type: "response_started" };
      yield { type: "response_done", response: { id: "resp_1", usage, output: [output] } };
    },
  };
  const { result, session } = await governed(haldir, options, async (session) => {
    const agent = new Agent({ name: "agent", model: governModel(session, streaming, prices, "streaming") });
    const streamed = await new Runner({ tracingDisabled: true }).run(agent, "go", { stream: true });
    await streamed.completed;
    return streamed.finalOutput;
  });
  assert.equal(result, "done");
  assert.deepEqual((await haldir.getSpend({ session_id: session.sessionId })).by_tool, { streaming: "0.001" });
});

test("an aborted run leaves no session behind", async () => {
  model.calls = [["search", {}], ["search", {}], ["search", {}]];
  const stop = new AbortController();
  let calls = 0;
  let seen: GovernedSession;
  const run = governed(haldir, { ...options, signal: stop.signal }, (session) => {
    seen = session;
    const execute = () => (++calls === 2 && stop.abort(new Error("stopped")), "found");
    const search = governTool(session, { name: "search", description: "Search.", parameters: none, execute });
    return runner(session).run(new Agent({ name: "agent", model: "gpt-5", tools: [search] }), "go", { signal: stop.signal });
  });
  await assert.rejects(run);
  assert.equal(calls, 2);
  assert.equal(await isRevoked(seen!), true);
});
