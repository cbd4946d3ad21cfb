/** The OpenAI Agents SDK, the package `@openai/agents`. The model reads a denial as the output of its tool. */
import { type FunctionTool, type Model, type ModelProvider, tool, type ToolInputParameters, type ToolOptions, type Usage } from "@openai/agents";
import { type GovernedSession, type Rule, ToolDenied } from "./governed.js";
import type { Prices, Tokens } from "./spend.js";

/**
 * As `tool` of the SDK, with a tool that asks the session before it runs. It takes the options of a tool and no finished tool, which hides from
 * others whether it has failed. Errors of the tool itself go to `errorFunction` as always.
 */
export function governTool<Parameters extends ToolInputParameters = undefined, Context = unknown>(
  session: GovernedSession,
  options: ToolOptions<Parameters, Context>,
  rule?: string | Rule,
): FunctionTool<Context, Parameters, string> {
  const { name } = tool<Parameters, Context>(options);
  const execute = options.execute as (...args: unknown[]) => unknown;
  const { errorFunction } = options;
  return tool<Parameters, Context>({
    ...options,
    execute: (...args: unknown[]) => session.runTool(name, args[0], () => execute(...args), rule),
    errorFunction(context, error, details) {
      if (error instanceof ToolDenied) return error.message;
      if (errorFunction === null) throw error;
      // Without an error function the SDK keeps the error from the model too: it may contain secrets.
      return errorFunction ? errorFunction(context, error, details) : `the tool ${name} failed`;
    },
  } as ToolOptions<Parameters, Context>);
}

/** The same models; the cost of each of their calls is logged in the session. For `new Runner({ modelProvider })`. */
export function governProvider(session: GovernedSession, provider: ModelProvider, prices: Prices): ModelProvider {
  return {
    async getModel(name) {
      return governModel(session, await provider.getModel(name), prices, name);
    },
  };
}

/** The same model; the cost of each of its calls is logged in the session under `name`. */
export function governModel(session: GovernedSession, model: Model, prices: Prices, name = "model"): Model {
  const log = (usage: Pick<Usage, "inputTokens" | "outputTokens" | "inputTokensDetails"> | undefined) =>
    session.logModelCall(name, usage && tokensOf(usage), prices);
  return {
    ...(model.supportsPromptModelSelection !== undefined && { supportsPromptModelSelection: model.supportsPromptModelSelection }),
    ...(model.getRetryAdvice && { getRetryAdvice: model.getRetryAdvice.bind(model) }),
    async getResponse(request) {
      const response = await model.getResponse(request);
      await log(response.usage);
      return response;
    },
    async *getStreamedResponse(request) {
      let isLogged = false;
      for await (const event of model.getStreamedResponse(request)) {
        if (event.type === "response_done") {
          isLogged = true;
          const { inputTokensDetails = [], ...usage } = event.response.usage;
          await log({ ...usage, inputTokensDetails: [inputTokensDetails].flat() });
        }
        yield event;
      }
      if (!isLogged) await log(undefined);
    },
  };
}

function tokensOf({ inputTokens, outputTokens, inputTokensDetails }: Pick<Usage, "inputTokens" | "outputTokens" | "inputTokensDetails">): Tokens | undefined {
  if (inputTokens + outputTokens === 0) return undefined; // what the SDK makes of a response without usage
  return {
    input: inputTokens,
    output: outputTokens,
    cachedInput: inputTokensDetails.reduce((sum, { cached_tokens = 0 }) => sum + cached_tokens, 0),
  };
}
