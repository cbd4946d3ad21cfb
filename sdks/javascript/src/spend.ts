import { type Amount, type AmountInput, fromNanos, toNanos } from "./money.js";

/** What a model costs: USD for a million tokens, as decimal texts, such as `{ input: "1.25", output: "10" }`. */
export interface Prices {
  input: AmountInput;
  output: AmountInput;
  /** Of input tokens that the provider had in its cache. Default: as `input`. */
  cachedInput?: AmountInput;
  /** Of input tokens that the provider wrote to its cache. Default: as `input`. */
  cacheWrite?: AmountInput;
}

/** The tokens of one call of a model. */
export interface Tokens {
  /** All input tokens, cached ones included. */
  input: number;
  output: number;
  cachedInput?: number | undefined;
  cacheWrite?: number | undefined;
}

const PRICED_TOKENS = 1_000_000n;

/** The exact cost of the tokens, rounded up to a nano-USD. */
export function tokenCost(tokens: Tokens, prices: Prices): Amount {
  const cached = count("cachedInput", tokens.cachedInput ?? 0);
  const written = count("cacheWrite", tokens.cacheWrite ?? 0);
  const fresh = count("input", tokens.input) - cached - written;
  const sum =
    (fresh > 0n ? fresh : 0n) * toNanos(prices.input) +
    cached * toNanos(prices.cachedInput ?? prices.input) +
    written * toNanos(prices.cacheWrite ?? prices.input) +
    count("output", tokens.output) * toNanos(prices.output);
  return fromNanos((sum + PRICED_TOKENS - 1n) / PRICED_TOKENS);
}

function count(name: string, tokens: number): bigint {
  if (!Number.isSafeInteger(tokens) || tokens < 0) throw new RangeError(`${name} is ${tokens} tokens: expected a whole number`);
  return BigInt(tokens);
}
