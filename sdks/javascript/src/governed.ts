import type { HaldirClient } from "./client.js";
import { HaldirError } from "./errors.js";
import { type Amount, type AmountInput, fromNanos, toNanos } from "./money.js";
import type { Input } from "./operation.js";
import type { InclusionProof } from "./proofs.js";
import { type Prices, tokenCost, type Tokens } from "./spend.js";

const MAX_ENTRIES = 10_000; // of one run: it keeps their ids
const MAX_DETAILS_CHARACTERS = 16_000; // of at most 3 bytes each in UTF-8; the server takes 64 KiB
const MAX_ACTION_CHARACTERS = 1_024;
const MAX_TOOL_CHARACTERS = 256;
const PROOFS_AT_A_TIME = 8;

/** What a run may do: the fields of createSession, and the signal that ends it. */
export type RunOptions = Input<"createSession"> & {
  /** When it is aborted, the session is revoked at once. */
  signal?: AbortSignal | undefined;
};

/** How a tool is governed. `Args` are its arguments. */
export interface Rule<Args = any> {
  /** The scope that the session must hold. Default: `execute:` and the tool's name. */
  scope?: string;
  /**
   * What a call costs. It is deducted from the session's budget before the tool runs, and given back if the tool fails. The server gives
   * back for operators' keys alone, since an agent could refill its own budget: with an agent's key the amount stays deducted.
   */
  amount?: (args: Args) => AmountInput;
  /** What is logged instead of the arguments, for example without secrets in them. */
  details?: (args: Args) => unknown;
}

/** The rules by the names of tools; a text is a scope. */
export type Rules = Readonly<Record<string, string | Rule>>;

/** A tool was not run. The message is for the model: it says why. */
export class ToolDenied extends Error {
  override readonly name = "ToolDenied";
  readonly tool: string;
  /** Why, without the name of the tool. */
  readonly reason: string;

  constructor(tool: string, reason: string, options?: ErrorOptions) {
    super(`haldir did not allow the call of ${tool}, and it was not made: ${reason}`, options);
    this.tool = tool;
    this.reason = reason;
  }
}

/** A call that was allowed and logged. Its caller says how it ends. */
export interface AdmittedCall {
  succeeded(): Promise<void>;
  failed(error: unknown): Promise<void>;
}

/**
 * A session of haldir around one run of an agent. Everything that the run does goes through it: each tool is admitted before it runs, and the
 * cost of each call of a model is logged. It fails closed: without an answer of the server no tool runs.
 */
export class GovernedSession implements AsyncDisposable {
  readonly client: HaldirClient;
  readonly sessionId: string;
  readonly agentId: string;
  /** The calls that were denied, at most 10,000. */
  readonly denied: { readonly tool: string; readonly reason: string }[] = [];
  /** Why entries could not be written, or payments not be completed, after a tool had run or was denied; the call ended as it would have otherwise. At most 10,000. */
  readonly unlogged: Error[] = [];
  readonly #entries: string[] = [];
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => {
    this.fail(this.#signal?.reason);
    this.end().catch(() => {}); // it returns the same promise again, so its next caller gets the error
  };
  #failure: { readonly error: unknown } | undefined;
  #nanos = 0n;
  #ended: Promise<void> | undefined;

  private constructor(client: HaldirClient, sessionId: string, agentId: string, signal: AbortSignal | undefined) {
    this.client = client;
    this.sessionId = sessionId;
    this.agentId = agentId;
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** Creates the session. Its caller ends it: with `end`, or with `await using`. */
  static async open(client: HaldirClient, options: RunOptions): Promise<GovernedSession> {
    const { signal, ...input } = options;
    signal?.throwIfAborted();
    // Without the signal: the server may have created the session when it is aborted, and its id has to arrive for it to be revoked.
    const session = await client.createSession(input);
    return new GovernedSession(client, session.session_id, session.agent_id, signal);
  }

  /** The ids of the entries that this run has logged. */
  get entries(): readonly string[] {
    return this.#entries;
  }

  /** What this run has logged as cost. */
  get cost(): Amount {
    return fromNanos(this.#nanos);
  }

  /** Why the run has failed, if its signal was aborted, or an adapter could not throw an error through its framework. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Says that the run has failed; `governed` then rejects with the first such error. For adapters. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Runs a tool if it is allowed, and logs the call. Rejects with {@link ToolDenied} if it is not: `body` has not run then. */
  async runTool<T>(tool: string, args: unknown, body: () => T | PromiseLike<T>, rule?: string | Rule): Promise<T> {
    const call = await this.admit(tool, args, rule);
    let result: T;
    try {
      result = await body();
    } catch (error) {
      await call.failed(error);
      throw error;
    }
    await call.succeeded();
    return result;
  }

  /** Allows and logs a call, or rejects with {@link ToolDenied}. For adapters; others use `runTool`. */
  async admit(tool: string, args: unknown, rule: string | Rule = {}): Promise<AdmittedCall> {
    const { scope = `execute:${tool}`, amount, details }: Rule = typeof rule === "string" ? { scope: rule } : rule;
    let authorization: string | undefined;
    try {
      await this.#requireScope(tool, scope);
      if (amount) authorization = await this.#pay(tool, amount(args));
      await this.#log({ action: "call", tool, details: bounded(details ? details(args) : { arguments: args }) });
      this.#requireRunning(tool); // the run may have ended meanwhile
    } catch (error) {
      if (authorization) await this.#later(this.#void(authorization));
      const denial = error instanceof ToolDenied ? error : undecided(tool, error);
      if (this.denied.length < MAX_ENTRIES) this.denied.push({ tool, reason: denial.reason });
      await this.#later(this.#log({ action: "denied", tool, details: { scope, reason: denial.reason.slice(0, MAX_ACTION_CHARACTERS) } }));
      throw denial;
    }
    return {
      succeeded: async () => {
        if (authorization) await this.#later(this.client.capturePayment({ authorization_id: authorization }));
      },
      failed: async (error) => {
        if (authorization) await this.#later(this.#void(authorization));
        await this.#later(this.#log({ action: "failed", tool, details: bounded({ error: String(error) }) }));
      },
    };
  }

  /** Logs a call of a model with what it cost, which counts as the session's spend. Without tokens its cost is unknown, and logged as 0. */
  async logModelCall(model: string, tokens: Tokens | undefined, prices: Prices): Promise<void> {
    const cost = tokens ? tokenCost(tokens, prices) : "0";
    await this.#log({ action: "model call", tool: model.slice(0, MAX_TOOL_CHARACTERS), cost_usd: cost, details: { tokens: tokens ?? "not reported" } });
  }

  /** Revokes the session, and with it all that it delegated to. No tool runs afterwards. Ending it twice is no error. */
  end(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#abort);
    // Without the run's signal, which may be aborted already.
    this.#ended ??= this.client.revokeSession({ session_id: this.sessionId }).then(() => undefined);
    return this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  /** Proofs that the entries of this run are in the log, in their order. Also after its end. */
  async proofs(): Promise<InclusionProof[]> {
    const proofs: InclusionProof[] = [];
    for (let start = 0; start < this.#entries.length; start += PROOFS_AT_A_TIME) {
      const ids = this.#entries.slice(start, start + PROOFS_AT_A_TIME);
      proofs.push(...(await Promise.all(ids.map((entry_id) => this.client.getInclusionProof({ entry_id })))));
    }
    return proofs;
  }

  #requireRunning(tool: string): void {
    if (this.#ended) throw new ToolDenied(tool, "the run has ended");
  }

  async #requireScope(tool: string, scope: string): Promise<void> {
    this.#requireRunning(tool);
    if (this.#entries.length >= MAX_ENTRIES) throw new ToolDenied(tool, `the run has logged ${MAX_ENTRIES} entries, the most of one run`);
    const { allowed } = await this.client.checkPermission({ session_id: this.sessionId, scope }, { signal: this.#signal });
    if (allowed) return;
    const session = await this.client.getSession({ session_id: this.sessionId }, { signal: this.#signal });
    if (session.revoked) throw new ToolDenied(tool, "the session was revoked");
    if (!session.is_valid) throw new ToolDenied(tool, "the session is no longer valid: it has expired, or what it depends on was revoked");
    throw new ToolDenied(tool, `the session does not have the scope ${scope}; it has ${session.scopes.join(", ") || "none"}`);
  }

  async #pay(tool: string, amount: AmountInput): Promise<string> {
    const input = { session_id: this.sessionId, amount, description: tool };
    const { authorization_id } = await this.client.authorizePayment(input, { signal: this.#signal });
    if (!authorization_id) throw new HaldirError("the payment has no authorization_id", { code: "invalid_response" });
    return authorization_id;
  }

  async #void(authorization_id: string): Promise<void> {
    await this.client.voidPayment({ authorization_id });
  }

  async #log(entry: Omit<Input<"logAction">, "session_id">): Promise<void> {
    const { entry_id, cost_usd } = await this.client.logAction({ session_id: this.sessionId, ...entry });
    if (this.#entries.length < MAX_ENTRIES) this.#entries.push(entry_id);
    this.#nanos += toNanos(cost_usd);
  }

  /** Waits for what follows a decision. If it fails, the decision stands. */
  async #later(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (this.unlogged.length < MAX_ENTRIES) this.unlogged.push(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** What a run leaves: its result, and the session, which has ended, with its entries, costs, denials and proofs. */
export interface Governed<T> {
  result: T;
  session: GovernedSession;
}

/**
 * Opens a session, runs `body` in it, and ends it, however `body` ends. Rejects with the reason of its signal once that is aborted, else with
 * what `body` rejects with; where the session can then not be revoked either, with an AggregateError of both. Such a session ends with its `ttl`.
 */
export async function governed<T>(
  client: HaldirClient,
  options: RunOptions,
  body: (session: GovernedSession) => T | PromiseLike<T>,
): Promise<Governed<T>> {
  const session = await GovernedSession.open(client, options);
  let result: T;
  try {
    throwIfFailed(session); // aborted while the session was created
    result = await body(session);
    throwIfFailed(session);
  } catch (thrown) {
    const error = session.failure ? session.failure.error : thrown; // what `body` then throws follows from it, such as a denial
    await session.end().catch((failure: unknown) => {
      throw new AggregateError([error, failure], `the run failed (${String(error)}), and its session could not be revoked`);
    });
    throw error;
  }
  await session.end();
  return { result, session };
}

function throwIfFailed({ failure }: GovernedSession): void {
  if (failure) throw failure.error;
}

function undecided(tool: string, error: unknown): ToolDenied {
  const reason = error instanceof Error ? error.message : String(error);
  return new ToolDenied(tool, reason, { cause: error });
}

/** Details that the server takes: of longer ones the beginning. */
function bounded(details: unknown): unknown {
  const text = JSON.stringify(details) ?? "null";
  if (text.length <= MAX_DETAILS_CHARACTERS) return details;
  return { truncated: true, characters: text.length, beginning: text.slice(0, MAX_DETAILS_CHARACTERS / 2) };
}

/** Throws for rules of tools that are not there: such a rule governs nothing. For adapters. */
export function requireTools(tools: readonly string[], rules: Rules): void {
  const unknown = Object.keys(rules).filter((name) => !tools.includes(name));
  if (unknown.length === 0) return;
  throw new TypeError(`there are rules for ${unknown.join(", ")}, but the tools are ${tools.join(", ") || "none"}`);
}
