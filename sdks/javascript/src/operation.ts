import type { operations } from "./generated/api.js";
import type { OPERATIONS } from "./generated/operations.js";
import type { Amounts } from "./json.js";

/** How an operation is called. */
export interface Operation {
  readonly method: string;
  /** With its parameters in braces. */
  readonly path: string;
  readonly query: readonly string[];
  /** Whether the fields that are in neither path nor query are sent as JSON. */
  readonly body?: true;
  /** Whether it takes an idempotency key, so that a call that is sent twice is carried out once. */
  readonly idempotent?: true;
  /** "response": the answer has other types than JSON, and is handed out as it is, so that a long one can be streamed. */
  readonly answer: "json" | "nothing" | "response";
  readonly sent?: Amounts;
  readonly received?: Amounts;
}

export type OperationName = keyof typeof OPERATIONS & keyof operations;

/** Settings of one call. */
export interface CallOptions {
  /** Ends the call. It then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for each try, instead of the client's. */
  timeout?: number | undefined;
  /** The idempotency key, for operations that take one. Without it the client makes one for each call, which its retries share. */
  idempotencyKey?: string | undefined;
}

type Part<T> = [NonNullable<T>] extends [never] ? unknown : NonNullable<T>;
type Body<T> = T extends { content: { "application/json": infer B } } ? (string extends keyof B ? unknown : B) : unknown; // a body without fields has any
type Content<T> = T extends { content: infer C } ? C : never;
type Success<T> = T extends { responses: infer R } ? R[keyof R] : never;

/** The fields of an operation, wherever they stand in the request. */
export type Input<Name extends OperationName> = Part<operations[Name]["parameters"]["path"]> &
  Part<operations[Name]["parameters"]["query"]> &
  Body<Part<operations[Name]["requestBody"]>>;

/** What an operation answers. */
export type Output<Name extends OperationName> = (typeof OPERATIONS)[Name]["answer"] extends "json"
  ? Content<Success<operations[Name]>> extends { "application/json": infer B }
    ? B
    : never
  : (typeof OPERATIONS)[Name]["answer"] extends "nothing"
    ? undefined
    : Response;

/** The method of an operation. Its input may be left out where nothing in it is required. */
export type Method<Name extends OperationName> = object extends Input<Name>
  ? (input?: Input<Name>, options?: CallOptions) => Promise<Output<Name>>
  : (input: Input<Name>, options?: CallOptions) => Promise<Output<Name>>;
