import type { components } from "./generated/api.js";

/** What the server says is wrong, or why there is no answer of it. */
export type ErrorCode = components["schemas"]["Error"]["code"] | "connection" | "timeout" | "invalid_response";

/** The parts of an error that a caller can act on. */
export interface ErrorParts {
  code: ErrorCode;
  status?: number | undefined;
  field?: string | undefined;
  requestId?: string | undefined;
  retryable?: boolean | undefined;
  retryAfter?: number | undefined;
  body?: Readonly<Record<string, unknown>> | undefined;
}

/** A call that was refused, or that had no answer. The message says what is wrong, and what would be right. */
export class HaldirError extends Error {
  override readonly name = "HaldirError";
  /** Stable, for programs. "connection", "timeout" and "invalid_response" are the client's own; the others are the server's. */
  readonly code: ErrorCode;
  /** The HTTP status; undefined where no answer arrived. */
  readonly status: number | undefined;
  /** The input field that the error is about. */
  readonly field: string | undefined;
  /** Names the call in the server's log. */
  readonly requestId: string | undefined;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** Seconds until it may, where the server says so. */
  readonly retryAfter: number | undefined;
  /** Everything that the server answered, such as `remaining_budget` of a refused payment. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(message: string, parts: ErrorParts, options?: ErrorOptions) {
    super(message, options);
    this.code = parts.code;
    this.status = parts.status;
    this.field = parts.field;
    this.requestId = parts.requestId;
    this.retryable = parts.retryable ?? false;
    this.retryAfter = parts.retryAfter;
    this.body = parts.body ?? {};
  }
}
