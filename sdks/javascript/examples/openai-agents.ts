// An agent of the OpenAI Agents SDK that may search, and buy for at most 20 USD.
import { governed, HaldirClient } from "@haldir/client";
import { governProvider, governTool } from "@haldir/client/openai-agents";
import { Agent, OpenAIProvider, Runner } from "@openai/agents";
import { z } from "zod";

const search = {
  name: "search",
  description: "Search the shop.",
  parameters: z.object({ query: z.string() }),
  execute: ({ query }: { query: string }) => `1 result for ${query}: 12.99 USD`,
};
const buy = {
  name: "buy",
  description: "Buy an item.",
  parameters: z.object({ item: z.string(), price: z.string() }),
  execute: ({ item }: { item: string }) => `bought ${item}`,
};

export async function shop(prompt: string) {
  const haldir = new HaldirClient(); // HALDIR_BASE_URL and HALDIR_API_KEY
  const { result, session } = await governed(
    haldir,
    { agent_id: "shopper", scopes: ["execute:search", "spend"], spend_limit: "20" },
    (session) => {
      const rule = { scope: "spend", amount: ({ price }: { price: string }) => price };
      const tools = [governTool(session, search), governTool(session, buy, rule)];
      const prices = { input: "1.25", output: "10" }; // USD for a million tokens
      const runner = new Runner({ modelProvider: governProvider(session, new OpenAIProvider(), prices), tracingDisabled: true });
      return runner.run(new Agent({ name: "shopper", model: "gpt-5", tools }), prompt);
    },
  );
  return { text: result.finalOutput, session, proofs: await session.proofs() };
}
