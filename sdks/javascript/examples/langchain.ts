// An agent of LangChain that may search, and buy for at most 20 USD.
import { governed, HaldirClient } from "@haldir/client";
import { haldirMiddleware } from "@haldir/client/langchain";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import { z } from "zod";

const search = tool(({ query }) => `1 result for ${query}: 12.99 USD`, {
  name: "search",
  description: "Search the shop.",
  schema: z.object({ query: z.string() }),
});
const buy = tool(({ item }) => `bought ${item}`, {
  name: "buy",
  description: "Buy an item.",
  schema: z.object({ item: z.string(), price: z.string() }),
});

export async function shop(prompt: string) {
  const haldir = new HaldirClient(); // HALDIR_BASE_URL and HALDIR_API_KEY
  const { result, session } = await governed(
    haldir,
    { agent_id: "shopper", scopes: ["execute:search", "spend"], spend_limit: "20" },
    (session) => {
      const rules = { buy: { scope: "spend", amount: ({ price }: { price: string }) => price } };
      const prices = { input: "1.25", output: "10" }; // USD for a million tokens
      const agent = createAgent({
        model: new ChatOpenAI({ model: "gpt-5" }),
        tools: [search, buy],
        middleware: [haldirMiddleware(session, { prices, rules })],
      });
      return agent.invoke({ messages: [{ role: "user", content: prompt }] });
    },
  );
  return { text: result.messages.at(-1)?.text, session, proofs: await session.proofs() };
}
