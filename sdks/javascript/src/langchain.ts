/** LangChain.js, the package `langchain`. The model reads a denial as a tool message with the status "error". */
import type { UsageMetadata } from "@langchain/core/messages";
import { type AgentMiddleware, AIMessage, createMiddleware, ToolMessage } from "langchain";
import { type GovernedSession, type Rules, ToolDenied } from "./governed.js";
import type { Prices, Tokens } from "./spend.js";

/** How an agent is governed: the prices of its model, and the rules of its tools by their names. */
export interface MiddlewareOptions {
  prices: Prices;
  rules?: Rules;
}

/** A middleware for `createAgent`. It asks the session before each tool runs, and logs what each call of the model costs. */
export function haldirMiddleware(session: GovernedSession, { prices, rules = {} }: MiddlewareOptions): AgentMiddleware {
  return createMiddleware({
    name: "haldir",
    async wrapToolCall(request, handler) {
      const { name, args, id = "" } = request.toolCall;
      let call;
      try {
        call = await session.admit(name, args, rules[name]);
      } catch (error) {
        if (!(error instanceof ToolDenied)) throw error;
        return new ToolMessage({ content: error.message, tool_call_id: id, name, status: "error" });
      }
      let result;
      try {
        result = await handler(request);
      } catch (error) {
        await call.failed(error);
        throw error;
      }
      if (ToolMessage.isInstance(result) && result.status === "error") await call.failed(result.text);
      else await call.succeeded();
      return result;
    },
    async wrapModelCall(request, handler) {
      const message = await handler(request);
      await session.logModelCall(modelName(message) ?? request.model.getName(), tokensOf(message), prices);
      return message;
    },
  });
}

function modelName({ response_metadata }: AIMessage): string | undefined {
  const name: unknown = response_metadata["model_name"];
  return typeof name === "string" ? name : undefined;
}

function tokensOf(message: AIMessage): Tokens | undefined {
  const usage = message.usage_metadata as UsageMetadata | undefined; // its type depends on a parameter of AIMessage
  if (!usage) return undefined;
  return {
    input: usage.input_tokens,
    output: usage.output_tokens,
    cachedInput: usage.input_token_details?.cache_read,
    cacheWrite: usage.input_token_details?.cache_creation,
  };
}
