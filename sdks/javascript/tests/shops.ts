// What holds in every framework: an agent with the tools `search` and `buy`, a budget of 20 USD, and a model on loopback.
import assert from "node:assert/strict";
import type { GovernedSession, HaldirClient, InclusionProof } from "@haldir/client";
import type { openAI } from "./model.ts";

export interface Shopped {
  text: unknown;
  session: GovernedSession;
  proofs: InclusionProof[];
}

/** The example `shop` searches, buys a book for 12.99 USD, and is refused a second one. */
export async function checkShop(haldir: HaldirClient, model: Awaited<ReturnType<typeof openAI>>, shop: (prompt: string) => Promise<Shopped>) {
  const buy = { item: "book", price: "12.99" };
  model.calls = [["search", { query: "book" }], ["buy", buy], ["buy", buy]];
  const { text, session, proofs } = await shop("Buy two books.");
  assert.equal(text, "done");
  const [found, bought, refused] = model.results;
  assert.match(found!, /1 result for book: 12\.99 USD/);
  assert.match(bought!, /bought book/);
  assert.match(refused!, /haldir did not allow the call of buy.*12\.99 USD is more than the 7\.01 USD/);
  const { total_usd, authorized_usd, by_tool } = await haldir.getSpend({ session_id: session.sessionId });
  assert.deepEqual([total_usd, authorized_usd], ["0.009", "12.99"]); // 4 × (1000 × 1.25 + 100 × 10) for a million
  assert.deepEqual(Object.entries(by_tool).filter(([, cost]) => cost !== "0"), [["gpt-5", "0.009"]]);
  assert.equal(session.cost, total_usd);
  assert.deepEqual(session.unlogged, []);
  assert.equal(proofs.length, 4 + 3); // calls of the model, and of tools
  assert.equal((await haldir.getSession({ session_id: session.sessionId })).revoked, true);
}
