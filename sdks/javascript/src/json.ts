import { type AmountInput, amountToJson } from "./money.js";

/** Where amounts stand in a JSON value: `true` at an amount; "*" stands for every item or member. */
export type Amounts = true | { readonly [member: string]: Amounts };

// The strings of a JSON text, to skip them, and its numbers.
const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

/**
 * Parses JSON, with amounts as the texts of their numbers. JSON.parse alone would make them inexact: it hands out the text of a number
 * only in newer engines. So each number is replaced by its index in a list of their texts, and looked up there after parsing.
 */
export function parse(text: string, amounts: Amounts | undefined): unknown {
  if (!amounts) return JSON.parse(text);
  const numbers: string[] = [];
  const indexed = text.replace(STRING_OR_NUMBER, (token) => (token.startsWith('"') ? token : String(numbers.push(token) - 1)));
  return restore(JSON.parse(indexed), amounts, numbers);
}

function restore(value: unknown, amounts: Amounts | undefined, numbers: readonly string[]): unknown {
  // JSON.parse sees to it that a text which is no number is an error.
  if (typeof value === "number") return amounts === true ? numbers[value] : JSON.parse(numbers[value]!);
  if (typeof value !== "object" || value === null) return value;
  for (const [name, part] of Object.entries(value)) {
    // Object.defineProperty: an assignment to __proto__ would not make a member.
    Object.defineProperty(value, name, {
      value: restore(part, amountsAt(amounts, name), numbers),
      configurable: true,
      enumerable: true,
      writable: true,
    });
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
