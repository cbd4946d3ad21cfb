/** LlamaIndex.TS, the packages `@llamaindex/core` and `@llamaindex/workflow`. The model reads a denial as the error of its tool. */
import type { BaseToolWithCall, ToolCallLLM } from "@llamaindex/core/llms";
import { type GovernedSession, requireTools, type Rules } from "./governed.js";
import type { Prices, Tokens } from "./spend.js";

interface Part {
  raw: unknown;
}
type Chat = (params: { stream?: boolean }) => Promise<unknown>;

/** The same tools, each of which asks the session before it runs. `rules` are by the tools' names. */
export function governTools(session: GovernedSession, tools: readonly BaseToolWithCall[], rules: Rules = {}): BaseToolWithCall[] {
  requireTools(
    tools.map(({ metadata }) => metadata.name),
    rules,
  );
  return tools.map((tool) => {
    const { name } = tool.metadata;
    return { metadata: tool.metadata, call: (input: unknown) => session.runTool(name, input, () => tool.call(input), rules[name]) };
  });
}

/**
 * The same model; the cost of each of its calls is logged in the session. An error of a stream rejects `governed`, and not the agent. LlamaIndex hands out usage as the provider wrote it: `tokensOf` reads it
 * from a response or a part of a stream. The default knows OpenAI's, which reports usage of streams only if `additionalChatOptions` has
 * `stream_options: { include_usage: true }`.
 */
export function governModel<Model extends ToolCallLLM<any, any>>(
  session: GovernedSession,
  model: Model,
  prices: Prices,
  tokensOf: (raw: unknown) => Tokens | undefined = openAITokens,
): Model {
  const chat = model.chat.bind(model) as Chat;
  const log = (tokens: Tokens | undefined) => session.logModelCall(model.metadata.model, tokens, prices);
  const loggedChat: Chat = async (params) => {
    if (params.stream) return loggedStream(session, () => chat(params) as Promise<AsyncIterable<Part>>, log, tokensOf);
    const response = (await chat(params)) as Part;
    await log(tokensOf(response.raw));
    return response;
  };
  return new Proxy(model, {
    get(target, property) {
      if (property === "chat") return loggedChat;
      const value: unknown = Reflect.get(target, property, target); // a getter may need private fields, which a proxy does not have
      if (typeof value !== "function") return value;
      // These call `chat`, which has to be the logged one. Others may use private fields.
      return ["complete", "exec", "streamExec"].includes(String(property)) ? value : value.bind(target);
    },
  });
}

/**
 * A stream that logs the cost at its end. An error ends the stream and is the session's failure: from a step of a workflow it would not reach the
 * workflow's caller, who would wait forever, but be an unhandled rejection.
 */
async function* loggedStream(
  session: GovernedSession,
  start: () => Promise<AsyncIterable<Part>>,
  log: (tokens: Tokens | undefined) => Promise<void>,
  tokensOf: (raw: unknown) => Tokens | undefined,
): AsyncGenerator<Part> {
  if (session.failure) return;
  try {
    let tokens: Tokens | undefined;
    for await (const part of await start()) {
      tokens = tokensOf(part.raw) ?? tokens; // a later report contains the earlier ones
      yield part;
    }
    await log(tokens);
  } catch (error) {
    session.fail(error);
  }
}

interface OpenAIUsage {
  prompt_tokens?: number;
  completion_tokens?: number;
  prompt_tokens_details?: { cached_tokens?: number } | null;
  input_tokens?: number;
  output_tokens?: number;
  input_tokens_details?: { cached_tokens?: number } | null;
}

/** Usage of OpenAI's chat completions, and of its responses and their events. */
function openAITokens(raw: unknown): Tokens | undefined {
  const { usage, response } = (raw ?? {}) as { usage?: OpenAIUsage | null; response?: { usage?: OpenAIUsage | null } };
  const found = usage ?? response?.usage;
  const input = found?.prompt_tokens ?? found?.input_tokens;
  const output = found?.completion_tokens ?? found?.output_tokens;
  if (input === undefined || output === undefined) return undefined;
  return { input, output, cachedInput: (found?.prompt_tokens_details ?? found?.input_tokens_details)?.cached_tokens };
}
