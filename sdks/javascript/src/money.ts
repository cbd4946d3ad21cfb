/**
 * An amount in USD as a decimal text, such as "29.99". haldir counts in nano-USD (nine decimals), up to 9223372036.854775807, which
 * a JavaScript number cannot hold: it is exact to 15 digits only, and 0.1 + 0.2 is not 0.3.
 */
export type Amount = string;

/** An amount that is sent. A text is sent as it is. A number is sent with the digits that JavaScript shows for it. */
export type AmountInput = Amount | number;

const DECIMALS = 9;
const AMOUNT = /^(\d{1,19})(?:\.(\d{1,9}))?$/;
const JSON_NUMBER = /^-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?$/;

/** The JSON number for an amount. Throws a RangeError for what is not a number: a text is written into JSON as it is. */
export function amountToJson(amount: AmountInput): string {
  const text = String(amount);
  if (!JSON_NUMBER.test(text)) throw new RangeError(`${JSON.stringify(amount)} is no amount: send a decimal text, such as "29.99"`);
  return text;
}

/** The amount in nano-USD, to calculate with. Throws a RangeError for more than nine decimals, for negative amounts, and for other texts. */
export function toNanos(amount: AmountInput): bigint {
  const match = AMOUNT.exec(String(amount));
  if (!match) {
    throw new RangeError(`${JSON.stringify(amount)} is no amount: expected a decimal text with at most nine decimals, such as "29.99"`);
  }
  return BigInt(match[1]! + (match[2] ?? "").padEnd(DECIMALS, "0"));
}

/** The amount of that many nano-USD. */
export function fromNanos(nanos: bigint): Amount {
  const digits = (nanos < 0n ? -nanos : nanos).toString().padStart(DECIMALS + 1, "0");
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, "");
  return `${nanos < 0n ? "-" : ""}${digits.slice(0, -DECIMALS)}${fraction && `.${fraction}`}`;
}
