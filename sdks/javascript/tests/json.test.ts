import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, stringify } from "../dist/json.js";

const ROUNDS = 20_000;
const SEED = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));

/** Whole numbers below `end` (mulberry32), the same for the same seed. */
function random(seed: number) {
  let state = seed;
  return (end: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  };
}

test("but for amounts, JSON is read and written as by JSON.parse and JSON.stringify", () => {
  const next = random(SEED);
  const pick = <T>(values: readonly T[]) => values[next(values.length)]!;
  const pieces = ['"', "\\", "a", "1", "-", "+", ".", "e", "\n", "é", "😀", "{", "}", "[", "]", ":", ",", " ", "\u0000", "\u2028"];
  const text = () => Array.from({ length: next(8) }, () => pick(pieces)).join("");
  const value = (depth: number): unknown => {
    const kind = next(depth > 4 ? 4 : 6);
    if (kind === 0) return pick([0, 1.5, 1e21, -1e-7, 123_456_789, next(1e9)]);
    if (kind === 1) return pick([null, true, false]);
    if (kind < 4) return text();
    if (kind === 4) return Array.from({ length: next(4) }, () => value(depth + 1));
    return Object.fromEntries(Array.from({ length: next(4) }, () => [next(9) === 0 ? "__proto__" : text(), value(depth + 1)]));
  };
  const outcome = (read: () => unknown) => {
    try {
      return { value: read() };
    } catch {
      return "refused";
    }
  };
  for (let round = 0; round < ROUNDS; round++) {
    const given = value(0);
    const written = JSON.stringify(given, null, next(3));
    assert.deepEqual(parse(written, { none: true }), JSON.parse(written), `SEED=${SEED}`);
    assert.equal(stringify(given, { none: true }), JSON.stringify(given), `SEED=${SEED}`);
    const at = next(written.length + 1);
    const altered = written.slice(0, at) + pick(pieces) + written.slice(at + next(2));
    assert.deepEqual(outcome(() => parse(altered, { none: true })), outcome(() => JSON.parse(altered)), `SEED=${SEED} ${altered}`);
  }
});

test("amounts keep their digits wherever they stand", () => {
  const amounts = { total: true, by: { "*": true }, list: { "*": { cost: true } } } as const;
  const text = '{"total":9223372036.854775807,"by":{"a":0.10,"__proto__":1e2,"total":3},"list":[{"cost":1.50,"n":1.50},{"cost":null}],"n":1.50}';
  const read = parse(text, amounts) as { list: unknown[]; total: string; by: object };
  assert.deepEqual([read.total, read.list], ["9223372036.854775807", [{ cost: "1.50", n: 1.5 }, { cost: null }]]);
  assert.deepEqual(Object.entries(read.by), [["a", "0.10"], ["__proto__", "1e2"], ["total", "3"]]);
  assert.equal(stringify(read, amounts), text.replace('"n":1.50}', '"n":1.5}').replace('"n":1.50}', '"n":1.5}'));
});

test("a text as long as an answer may be is read", () => {
  const text = JSON.stringify({ text: '\\"'.repeat(8_000_000) });
  assert.equal((parse(`${text.slice(0, -1)},"n":1.50}`, { n: true }) as { n: string }).n, "1.50");
});
