// An agent of LlamaIndex.TS that may search, and buy for at most 20 USD.
import { governed, HaldirClient } from "@haldir/client";
import { governModel, governTools } from "@haldir/client/llamaindex";
import { tool } from "@llamaindex/core/tools";
import { OpenAI } from "@llamaindex/openai";
import { agent } from "@llamaindex/workflow";
import { z } from "zod";

const search = tool(({ query }) => `1 result for ${query}: 12.99 USD`, {
  name: "search",
  description: "Search the shop.",
  parameters: z.object({ query: z.string() }),
});
const buy = tool(({ item }) => `bought ${item}`, {
  name: "buy",
  description: "Buy an item.",
  parameters: z.object({ item: z.string(), price: z.string() }),
});

export async function shop(prompt: string) {
  const haldir = new HaldirClient(); // HALDIR_BASE_URL and HALDIR_API_KEY
  const { result, session } = await governed(
    haldir,
    { agent_id: "shopper", scopes: ["execute:search", "spend"], spend_limit: "20" },
    (session) => {
      const tools = governTools(session, [search, buy], { buy: { scope: "spend", amount: ({ price }) => price } });
      const openai = new OpenAI({ model: "gpt-5", additionalChatOptions: { stream_options: { include_usage: true } } });
      const llm = governModel(session, openai, { input: "1.25", output: "10" }); // USD for a million tokens
      return agent({ llm, tools }).run(prompt);
    },
  );
  return { text: result.data.result, session, proofs: await session.proofs() };
}
