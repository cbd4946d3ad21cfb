/** The Vercel AI SDK, the package `ai`. A denied tool is an error of that tool: the model reads the reason as its result. */
import { type LanguageModel, type LanguageModelMiddleware, type ToolExecutionOptions, type ToolSet, wrapLanguageModel } from "ai";
import { type GovernedSession, requireTools, type Rules } from "./governed.js";
import type { Prices, Tokens } from "./spend.js";

type ModelObject = Exclude<LanguageModel, string>;
type Generated = Awaited<ReturnType<NonNullable<LanguageModelMiddleware["wrapGenerate"]>>>;
type Streamed = Awaited<ReturnType<NonNullable<LanguageModelMiddleware["wrapStream"]>>>;
type StreamPart = Streamed["stream"] extends ReadableStream<infer Part> ? Part : never;
type Execute = (input: unknown, options: ToolExecutionOptions<unknown>) => unknown;

/**
 * The same tools, each of which asks the session before it runs. `rules` are by the tools' names. A tool without `execute` is an error: the
 * provider or the browser runs it, where haldir cannot stop it.
 */
export function governTools<Tools extends ToolSet>(session: GovernedSession, tools: Tools, rules: Rules = {}): Tools {
  requireTools(Object.keys(tools), rules);
  const governed = Object.entries(tools).map(([name, tool]) => {
    const execute = tool.execute as Execute | undefined;
    if (!execute) throw new TypeError(`the tool ${name} has no execute function, so haldir cannot govern it: pass it beside the governed tools`);
    return [name, { ...tool, execute: governExecute(session, name, execute.bind(tool), rules) }];
  });
  return Object.fromEntries(governed) as Tools;
}

/** The same model; the cost of each of its calls is logged in the session. */
export function governModel(session: GovernedSession, model: ModelObject, prices: Prices): ModelObject {
  const name = `${model.provider}/${model.modelId}`;
  const log = (usage: Generated["usage"] | undefined) => session.logModelCall(name, usage && tokensOf(usage), prices);
  return wrapLanguageModel({
    model,
    middleware: {
      specificationVersion: "v4",
      async wrapGenerate({ doGenerate }) {
        const result = await doGenerate();
        await log(result.usage);
        return result;
      },
      async wrapStream({ doStream }) {
        const { stream, ...rest } = await doStream();
        let isLogged = false;
        const logging = new TransformStream<StreamPart, StreamPart>({
          async transform(part, controller) {
            if (part.type === "finish") {
              isLogged = true;
              await log(part.usage);
            }
            controller.enqueue(part);
          },
          async flush() {
            if (!isLogged) await log(undefined);
          },
        });
        return { stream: stream.pipeThrough(logging), ...rest };
      },
    },
  });
}

function governExecute(session: GovernedSession, name: string, execute: Execute, rules: Rules): Execute {
  // The SDK looks for a stream of results in what `execute` returns at once, so its kind has to be known before the session has decided.
  if (execute.constructor.name === "AsyncGeneratorFunction") {
    return async function* (input, options) {
      const call = await session.admit(name, input, rules[name]);
      try {
        yield* execute(input, options) as AsyncIterable<unknown>;
      } catch (error) {
        await call.failed(error);
        throw error;
      }
      await call.succeeded();
    };
  }
  return (input, options) => session.runTool(name, input, () => last(execute(input, options)), rules[name]);
}

/** The result, or the last one of a stream of results. */
async function last(result: unknown): Promise<unknown> {
  if (typeof result !== "object" || result === null || !(Symbol.asyncIterator in result)) return result;
  let latest: unknown;
  for await (latest of result as AsyncIterable<unknown>);
  return latest;
}

function tokensOf({ inputTokens, outputTokens }: Generated["usage"]): Tokens | undefined {
  if (inputTokens.total === undefined || outputTokens.total === undefined) return undefined;
  return {
    input: inputTokens.total,
    output: outputTokens.total,
    cachedInput: inputTokens.cacheRead,
    cacheWrite: inputTokens.cacheWrite,
  };
}
