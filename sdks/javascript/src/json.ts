import { type AmountInput, amountToJson } from "./money.js";

/** Where amounts stand in a JSON value: `true` at an amount; "*" stands for every item or member. */
export type Amounts = true | { readonly [member: string]: Amounts };

const QUOTE_OR_NUMBER = /"|[-+.\d][-+.\deE]*/g; // what is no number in JSON too, to refuse it
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/; // RFC 8259, section 6

/**
 * Parses JSON, with amounts as the texts of their numbers. JSON.parse alone would make them inexact: it hands out the text of a number
 * only in newer engines. So each number is replaced by its index in a list of their texts, and looked up there after parsing.
 */
export function parse(text: string, amounts: Amounts | undefined): unknown {
  if (!amounts) return JSON.parse(text);
  const numbers: string[] = [];
  return restore(JSON.parse(indexNumbers(text, numbers)), amounts, numbers);
}

/** The text with each number replaced by its index in `numbers`. Strings are skipped by hand: as a pattern, a long one exceeds the stack. */
function indexNumbers(text: string, numbers: string[]): string {
  const parts: string[] = [];
  const tokens = new RegExp(QUOTE_OR_NUMBER);
  let copied = 0;
  for (let match = tokens.exec(text); match; match = tokens.exec(text)) {
    if (match[0] === '"') {
      tokens.lastIndex = endOfString(text, match.index);
    } else {
      parts.push(text.slice(copied, match.index), String(numbers.push(match[0]) - 1));
      copied = tokens.lastIndex;
    }
  }
  return parts.join("") + text.slice(copied);
}

/** Where the string that begins at `start` has ended. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

function restore(value: unknown, amounts: Amounts | undefined, numbers: readonly string[]): unknown {
  if (typeof value === "number") {
    const text = numbers[value]!;
    if (!NUMBER.test(text)) throw new SyntaxError(`${text} is no number in JSON`);
    return amounts === true ? text : Number(text);
  }
  if (Array.isArray(value)) {
    const items = amountsAt(amounts, "*");
    for (let index = 0; index < value.length; index++) value[index] = restore(value[index], items, numbers);
  } else if (typeof value === "object" && value !== null) {
    const members = value as Record<string, unknown>;
    for (const name of Object.keys(members)) {
      const restored = restore(members[name], amountsAt(amounts, name), numbers);
      if (name !== "__proto__") members[name] = restored;
      // An assignment would set the prototype, and leave the member as it is.
      else Object.defineProperty(members, name, { value: restored, configurable: true, enumerable: true, writable: true });
    }
  }
  return value;
}

/** JSON with each amount as a number of just the digits that it was given with. */
export function stringify(value: unknown, amounts: Amounts | undefined): string {
  if (amounts === true && (typeof value === "string" || typeof value === "number")) return amountToJson(value as AmountInput);
  if (!amounts || typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map((item) => stringify(item, amountsAt(amounts, "*"))).join(",")}]`;
  const members = Object.entries(value).filter(([, part]) => part !== undefined);
  return `{${members.map(([name, part]) => `${JSON.stringify(name)}:${stringify(part, amountsAt(amounts, name))}`).join(",")}}`;
}

function amountsAt(amounts: Amounts | undefined, name: string): Amounts | undefined {
  if (amounts === undefined || amounts === true) return undefined;
  return Object.hasOwn(amounts, name) ? amounts[name] : amounts["*"];
}
