// An agent of the Vercel AI SDK that may search, and buy for at most 20 USD.
import { governed, HaldirClient } from "@haldir/client";
import { governModel, governTools } from "@haldir/client/ai";
import { generateText, isStepCount, type LanguageModel, tool } from "ai";
import { z } from "zod";

const search = tool({
  description: "Search the shop.",
  inputSchema: z.object({ query: z.string() }),
  execute: ({ query }) => `1 result for ${query}: 12.99 USD`,
});
const buy = tool({
  description: "Buy an item.",
  inputSchema: z.object({ item: z.string(), price: z.string() }),
  execute: ({ item }) => `bought ${item}`,
});

export async function shop(model: Exclude<LanguageModel, string>, prompt: string) {
  const haldir = new HaldirClient(); // HALDIR_BASE_URL and HALDIR_API_KEY
  const { result, session } = await governed(
    haldir,
    { agent_id: "shopper", scopes: ["execute:search", "spend"], spend_limit: "20" },
    (session) =>
      generateText({
        model: governModel(session, model, { input: "1.25", output: "10" }), // USD for a million tokens
        tools: governTools(session, { search, buy }, { buy: { scope: "spend", amount: ({ price }) => price } }),
        stopWhen: isStepCount(10),
        prompt,
      }),
  );
  return { text: result.text, session, proofs: await session.proofs() };
}
