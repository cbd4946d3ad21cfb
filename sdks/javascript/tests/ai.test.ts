import assert from "node:assert/strict";
import { test } from "node:test";
import { governed, type GovernedSession } from "@haldir/client";
import { governModel, governTools } from "@haldir/client/ai";
import { generateText, isStepCount, streamText, tool } from "ai";
import { convertArrayToReadableStream, MockLanguageModelV4 } from "ai/test";
import { z } from "zod";
import { shop } from "../examples/ai.ts";
import { house } from "./house.ts";

const { haldir } = await house();
const options = { agent_id: "agent", scopes: ["execute:search"] };
const prices = { input: "1", output: "2", cachedInput: "0.5" };
const usage = {
  inputTokens: { total: 1000, noCache: 600, cacheRead: 400, cacheWrite: undefined },
  outputTokens: { total: 100, text: 100, reasoning: undefined },
};
const COST = "0.001"; // of each call of the model: 600 × 1 + 400 × 0.5 + 100 × 2, for a million
type Call = [name: string, input: object];

/** A model that makes these calls, one after the other, and then says "done". */
function calling(...calls: Call[]) {
  const contents = [
    ...calls.map(([toolName, input], index) => ({
      content: { type: "tool-call" as const, toolCallId: `call_${index}`, toolName, input: JSON.stringify(input) },
      finishReason: { unified: "tool-calls" as const, raw: undefined },
    })),
    { content: { type: "text" as const, text: "done" }, finishReason: { unified: "stop" as const, raw: undefined } },
  ];
  return new MockLanguageModelV4({
    doGenerate: contents.map(({ content, finishReason }) => ({ content: [content], finishReason, usage, warnings: [] })),
    doStream: contents.map(({ content, finishReason }) => ({
      stream: convertArrayToReadableStream([
        ...(content.type === "text"
          ? [{ type: "text-start" as const, id: "1" }, { type: "text-delta" as const, id: "1", delta: "done" }, { type: "text-end" as const, id: "1" }]
          : [content]),
        { type: "finish" as const, finishReason, usage },
      ]),
    })),
  });
}

/** What the model read as the results of its tools, in its last request. */
function results(model: MockLanguageModelV4) {
  const { prompt } = [...model.doGenerateCalls, ...model.doStreamCalls].at(-1)!;
  return prompt.flatMap(({ role, content }) => (role === "tool" ? content : [])).map((part) => (part.type === "tool-result" ? part.output : part));
}

const isRevoked = async (session: GovernedSession) => (await haldir.getSession({ session_id: session.sessionId })).revoked;

test("the example: an allowed tool, a purchase, and one beyond the budget", async () => {
  const buy = { item: "book", price: "12.99" };
  const model = calling(["search", { query: "book" }], ["buy", buy], ["buy", buy]);
  const { text, session, proofs } = await shop(model, "Buy two books.");
  assert.equal(text, "done");
  const [found, bought, refused] = results(model);
  assert.deepEqual(found, { type: "text", value: "1 result for book: 12.99 USD" });
  assert.deepEqual(bought, { type: "text", value: "bought book" });
  assert.ok(refused?.type === "error-text" && /12\.99 USD is more than the 7\.01 USD/.test(refused.value), JSON.stringify(refused));
  const { total_usd, authorized_usd } = await haldir.getSpend({ session_id: session.sessionId });
  assert.deepEqual([total_usd, authorized_usd], ["0.009", "12.99"]); // 4 × (1000 × 1.25 + 100 × 10) for a million
  assert.equal(session.cost, total_usd);
  assert.equal(proofs.length, 4 + 3); // calls of the model, and of tools
  assert.equal(await isRevoked(session), true);
});

test("a denied tool does not run, and the model reads why", async () => {
  const model = calling(["remove", { path: "/" }], ["search", { query: "x" }]);
  let removed = 0;
  const tools = {
    search: tool({ inputSchema: z.object({ query: z.string() }), execute: () => "found" }),
    remove: tool({ inputSchema: z.object({ path: z.string() }), execute: () => ++removed }),
  };
  const { session } = await governed(haldir, options, (session) =>
    generateText({ model: governModel(session, model, prices), tools: governTools(session, tools), stopWhen: isStepCount(5), prompt: "go" }),
  );
  assert.equal(removed, 0);
  const [denial, found] = results(model);
  assert.ok(denial?.type === "error-text");
  assert.match(denial.value, /remove.*does not have the scope execute:remove; it has execute:search/);
  assert.deepEqual(found, { type: "text", value: "found" });
  assert.equal((await haldir.getSpend({ session_id: session.sessionId })).by_tool["mock-provider/mock-model-id"], "0.003");
  assert.equal(await isRevoked(session), true);
});

test("streams are governed alike, with tools that stream their results", async () => {
  const model = calling(["search", {}], ["slow", {}], ["remove", {}]);
  let removed = 0;
  const empty = z.object({});
  const tools = {
    search: tool({
      inputSchema: empty,
      async *execute() {
        yield "searching";
        yield "found";
      },
    }),
    slow: tool({ inputSchema: empty, execute: () => "done slowly" }),
    remove: tool({
      inputSchema: empty,
      async *execute() {
        removed++;
        yield "removed";
      },
    }),
  };
  const { result, session } = await governed(haldir, options, async (session) => {
    const governedTools = governTools(session, tools, { slow: "execute:search" });
    const { fullStream } = streamText({ model: governModel(session, model, prices), tools: governedTools, stopWhen: isStepCount(5), prompt: "go" });
    const parts = [];
    for await (const part of fullStream) parts.push(part);
    return parts;
  });
  const outputs = result.filter((part) => part.type === "tool-result").map(({ output, preliminary = false }) => [output, preliminary]);
  assert.deepEqual(outputs, [["searching", true], ["found", true], ["found", false], ["done slowly", false]]);
  assert.equal(removed, 0);
  const [, , denial] = results(model);
  assert.ok(denial?.type === "error-text" && denial.value.includes("execute:remove"), JSON.stringify(denial));
  assert.deepEqual([session.cost, COST], ["0.004", "0.001"]);
});

test("an aborted run leaves no session behind, and its tools stop", async () => {
  const stop = new AbortController();
  const model = calling(["search", {}], ["search", {}], ["search", {}]);
  let calls = 0;
  let seen: GovernedSession;
  const search = tool({ inputSchema: z.object({}), execute: () => (++calls === 2 ? stop.abort(new Error("stopped")) : "found") });
  const run = governed(haldir, { ...options, signal: stop.signal }, (session) => {
    seen = session;
    return generateText({
      model: governModel(session, model, prices),
      tools: governTools(session, { search }),
      stopWhen: isStepCount(5),
      abortSignal: stop.signal,
      prompt: "go",
    });
  });
  await assert.rejects(run, /stopped/);
  assert.equal(calls, 2);
  assert.equal(await isRevoked(seen!), true);
});

test("a failing model ends the session", async () => {
  const model = new MockLanguageModelV4({ doGenerate: () => Promise.reject(new Error("overloaded")) });
  let seen: GovernedSession;
  const run = governed(haldir, options, (session) => {
    seen = session;
    return generateText({ model: governModel(session, model, prices), prompt: "go" });
  });
  await assert.rejects(run, /overloaded/);
  assert.equal(await isRevoked(seen!), true);
});

test("tools that haldir cannot stop, and rules without a tool, are refused", async () => {
  await governed(haldir, options, (session) => {
    const search = tool({ inputSchema: z.object({ query: z.string() }) });
    assert.throws(() => governTools(session, { search }), /search has no execute/);
    assert.throws(() => governTools(session, {}, { serach: "read" }), /rules for serach/);
  });
});
