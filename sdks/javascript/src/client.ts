import { HaldirError, type ErrorCode } from "./errors.js";
import { type Methods, OPERATIONS } from "./generated/operations.js";
import { parse, stringify, type Amounts } from "./json.js";
import type { CallOptions, Input, Operation, OperationName, Output } from "./operation.js";

const DEFAULT_URL = "http://127.0.0.1:8000"; // where `haldir-mcp serve` listens
const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_TIMEOUT_MS = 2 ** 31 - 1; // a timer of more fires at once
const DEFAULT_RETRIES = 2;
const MAX_RETRIES = 10;
const FIRST_WAIT_MS = 100; // doubled for each further try
const MAX_WAIT_MS = 10_000; // an hourly limit that is reached can ask for an hour; such a call fails at once
const PASSING = [408, 429, 502, 503, 504]; // the statuses of what passes by itself
const API_KEY = /^[!-~]+$/; // fetch quotes in its error what it refuses to send, also where that is a key
const IDEMPOTENCY_KEY = /^[!-~](?:[ -~]*[!-~])?$/; // as in the OpenAPI document
const MAX_IDEMPOTENCY_KEY = 255; // characters
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Settings of a client. */
export interface ClientOptions {
  /** The server's address. Default: the variable HALDIR_BASE_URL, else http://127.0.0.1:8000. */
  baseUrl?: string | undefined;
  /** Default: the variable HALDIR_API_KEY. With "" no key is sent. */
  apiKey?: string | undefined;
  /** Milliseconds for each try of a call. Default: 30,000. */
  timeout?: number | undefined;
  /** Further tries after a lost connection, a timeout, a full server or a rate limit; at most 10. Default: 2. */
  retries?: number | undefined;
  /** Another `fetch`, such as one with a proxy. */
  fetch?: typeof fetch | undefined;
}

/**
 * A client of a haldir server: a method for each operation, with its fields in one object.
 *
 * A call rejects with a {@link HaldirError}, or with the reason of its signal. A call is sent again where that is safe and promising: all
 * that change something and are not idempotent by themselves carry an idempotency key.
 */
export class HaldirClient {
  readonly baseUrl: string;
  readonly #apiKey: string | undefined;
  readonly #timeout: number;
  readonly #retries: number;
  readonly #fetch: typeof fetch;

  constructor(options: ClientOptions = {}) {
    this.baseUrl = (options.baseUrl ?? environment("HALDIR_BASE_URL") ?? DEFAULT_URL).replace(/\/+$/, "");
    checkUrl(this.baseUrl);
    this.#apiKey = (options.apiKey ?? environment("HALDIR_API_KEY"))?.trim() || undefined; // files end with a newline
    if (this.#apiKey !== undefined && !API_KEY.test(this.#apiKey)) {
      throw new TypeError("apiKey has characters that no key has: expected one such as hld_…, without spaces or quotes");
    }
    this.#timeout = checkedTimeout(options.timeout ?? DEFAULT_TIMEOUT_MS);
    this.#retries = options.retries ?? DEFAULT_RETRIES;
    if (!Number.isInteger(this.#retries) || this.#retries < 0 || this.#retries > MAX_RETRIES) {
      throw new RangeError(`retries is ${this.#retries}: expected a whole number from 0 to ${MAX_RETRIES}`);
    }
    const given = options.fetch;
    this.#fetch = given ?? ((...request) => fetch(...request)); // not as a method: browsers refuse that
  }

  /** Calls an operation by its name. */
  async call<Name extends OperationName>(name: Name, input?: Input<Name>, options: CallOptions = {}): Promise<Output<Name>> {
    const operation: Operation = OPERATIONS[name];
    const request = this.#request(name, operation, { ...(input as Record<string, unknown> | undefined) }, options);
    for (let attempt = 0; ; attempt++) {
      options.signal?.throwIfAborted();
      try {
        return (await this.#attempt(operation, request, options)) as Output<Name>;
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!(error instanceof HaldirError) || attempt >= this.#retries) throw error;
        const wait = waitBefore(error, attempt);
        if (wait === undefined) throw error;
        await sleep(wait, options.signal);
      }
    }
  }

  #request(name: string, operation: Operation, fields: Record<string, unknown>, options: CallOptions): { url: string; init: RequestInit } {
    const take = (field: string) => {
      const value = fields[field];
      delete fields[field];
      return value;
    };
    const path = operation.path.replace(/\{(\w+)\}/g, (_, field: string) => {
      const value = take(field);
      // An empty segment, or one of dots, would lead to another operation.
      if (typeof value !== "string" || /^\.{0,2}$|\p{Surrogate}/u.test(value)) {
        throw new HaldirError(`${name}: ${field} is ${JSON.stringify(value)}: expected an id or a name`, { code: "invalid_argument", field });
      }
      return encodeURIComponent(value);
    });
    const query = new URLSearchParams();
    for (const field of operation.query) {
      const value = take(field);
      if (value !== undefined && value !== null) query.set(field, String(value));
    }
    const headers: Record<string, string> = { Accept: operation.answer === "response" ? "*/*" : "application/json" };
    if (this.#apiKey !== undefined) headers["Authorization"] = `Bearer ${this.#apiKey}`;
    if (operation.idempotent) headers["Idempotency-Key"] = idempotencyKey(options);
    const init: RequestInit = { method: operation.method, headers, redirect: "manual" }; // the API redirects nowhere
    if (operation.body) {
      headers["Content-Type"] = "application/json";
      init.body = body(name, fields, operation.sent);
    } else if (Object.keys(fields).length > 0) {
      const field = Object.keys(fields)[0]!;
      throw new HaldirError(`${name} has no field ${field}`, { code: "invalid_argument", field });
    }
    const search = query.toString();
    return { url: `${this.baseUrl}${path}${search && `?${search}`}`, init };
  }

  /** One try. Its timer covers the whole answer, but of a `Response` only the start: the caller reads the rest. */
  async #attempt(operation: Operation, request: { url: string; init: RequestInit }, options: CallOptions): Promise<unknown> {
    const timeout = options.timeout === undefined ? this.#timeout : checkedTimeout(options.timeout);
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), timeout);
    const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
    try {
      const response = await this.#fetch(request.url, { ...request.init, signal });
      if (!response.ok) throw refusal(response, await readText(response), operation.received);
      if (operation.answer === "response") return response;
      const text = await readText(response);
      return operation.answer === "nothing" ? undefined : parseAnswer(text, operation.received, response.status);
    } catch (error) {
      if (error instanceof HaldirError) throw error;
      if (stop.signal.aborted) {
        const message = `${this.baseUrl} did not answer within ${timeout} ms`;
        throw new HaldirError(message, { code: "timeout", retryable: true }, { cause: error });
      }
      const message = `no answer from ${this.baseUrl}: ${reason(error)}`;
      throw new HaldirError(message, { code: "connection", retryable: true }, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The methods, which are added to the prototype below. */
export interface HaldirClient extends Methods {}

for (const name of Object.keys(OPERATIONS) as OperationName[]) {
  Object.defineProperty(HaldirClient.prototype, name, {
    value(this: HaldirClient, input?: Input<typeof name>, options?: CallOptions) {
      return this.call(name, input, options);
    },
    configurable: true,
    writable: true,
  });
}

/** Throws for what is no address. Its user and password would be part of messages, which the model may read, so it has none. */
function checkUrl(url: string): void {
  const parsed = /^https?:\/\/[^?#]+$/.test(url) && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.username || parsed?.password) throw new TypeError("baseUrl has a user or a password: leave them out, and give the key as apiKey");
  if (!parsed) throw new TypeError(`baseUrl ${JSON.stringify(url)} is no address of a server: expected one such as ${DEFAULT_URL}`);
}

function checkedTimeout(timeout: number): number {
  if (timeout > 0 && timeout <= MAX_TIMEOUT_MS) return timeout;
  throw new RangeError(`timeout is ${timeout}: expected milliseconds, more than 0 and at most ${MAX_TIMEOUT_MS}`);
}

function idempotencyKey({ idempotencyKey: key = crypto.randomUUID() }: CallOptions): string {
  if (key.length <= MAX_IDEMPOTENCY_KEY && IDEMPOTENCY_KEY.test(key)) return key;
  throw new HaldirError(`idempotencyKey is ${JSON.stringify(key)}: expected 1 to ${MAX_IDEMPOTENCY_KEY} characters of ASCII, without spaces at its ends`, { code: "invalid_argument" });
}

function environment(name: string): string | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env?.[name] || undefined; // set and empty is not set
}

function body(name: string, fields: Record<string, unknown>, amounts: Amounts | undefined): string {
  try {
    return stringify(fields, amounts ?? {});
  } catch (error) {
    throw new HaldirError(`${name}: ${reason(error)}`, { code: "invalid_argument" }, { cause: error });
  }
}

async function readText(response: Response): Promise<string> {
  if (!response.body) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > MAX_ANSWER_BYTES) {
      await reader.cancel();
      const message = `the answer has more than ${MAX_ANSWER_BYTES} bytes`;
      throw new HaldirError(message, { code: "invalid_response", status: response.status });
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parseAnswer(text: string, amounts: Amounts | undefined, status: number): unknown {
  try {
    return parse(text, amounts);
  } catch (error) {
    throw new HaldirError(`the answer is no JSON: ${reason(error)}`, { code: "invalid_response", status }, { cause: error });
  }
}

/** The error of a response. What a proxy in front of the server answers need not be JSON. */
function refusal(response: Response, text: string, amounts: Amounts | undefined): HaldirError {
  let answer: Record<string, unknown> = {};
  try {
    const parsed = parse(text, amounts);
    if (typeof parsed === "object" && parsed !== null) answer = parsed as Record<string, unknown>;
  } catch {
    // An error page: the status says enough.
  }
  const status = response.status;
  const string = (name: string) => (typeof answer[name] === "string" ? answer[name] : undefined);
  const code = string("code") as ErrorCode | undefined;
  const seconds = Number(response.headers.get("Retry-After") ?? answer["retry_after"] ?? NaN);
  return new HaldirError(string("error") ?? `the server answered with status ${status}, and not with JSON of haldir`, {
    code: code ?? "invalid_response",
    status,
    field: string("field"),
    requestId: string("request_id") ?? response.headers.get("X-Request-ID") ?? undefined,
    retryable: code === undefined ? PASSING.includes(status) : answer["retryable"] === true,
    retryAfter: Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined,
    body: answer,
  });
}

/** Milliseconds until the next try; undefined where another try would fail too. */
function waitBefore(error: HaldirError, attempt: number): number | undefined {
  // Others, such as a payment that needs an approval, may succeed later too, but not within seconds.
  if (!error.retryable || !(error.status === undefined || PASSING.includes(error.status))) return undefined;
  const backoff = FIRST_WAIT_MS * 2 ** attempt * (0.5 + Math.random() / 2); // so that many clients do not return at once
  const wait = error.retryAfter === undefined ? backoff : Math.max(error.retryAfter * 1000, backoff);
  return wait <= MAX_WAIT_MS ? wait : undefined;
}

async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** The text of an error, with its cause: fetch says no more than "fetch failed". */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
