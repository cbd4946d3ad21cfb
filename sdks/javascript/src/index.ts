/**
 * A client for haldir: {@link HaldirClient} calls its operations, {@link governed} runs an agent within a session. The adapters for agent
 * frameworks are at `@haldir/client/ai` and beside it.
 */
export { HaldirClient, type ClientOptions } from "./client.js";
export { HaldirError, type ErrorCode } from "./errors.js";
export type { components } from "./generated/api.js";
export { API_VERSION } from "./generated/operations.js";
export { governed, GovernedSession, ToolDenied, type AdmittedCall, type Governed, type Rule, type Rules, type RunOptions } from "./governed.js";
export { fromNanos, toNanos, type Amount, type AmountInput } from "./money.js";
export type { CallOptions, Input, OperationName, Output } from "./operation.js";
export { verifyInclusionProof, type InclusionProof } from "./proofs.js";
export { tokenCost, type Prices, type Tokens } from "./spend.js";
