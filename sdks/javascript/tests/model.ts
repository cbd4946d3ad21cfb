// OpenAI's chat completions and responses on loopback. It makes the calls that it is given, one after the other, then says "done", and
// keeps the results that it was sent.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";

export type Call = [name: string, input: object];

/** The tokens of each answer. */
export const TOKENS = { input: 1000, cached: 400, output: 100 };

interface Item {
  role?: string;
  type?: string;
  content?: unknown;
  output?: unknown;
}

const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function chat(call: Call | undefined, number: number, model: string) {
  const toolCalls = call && [{ id: `call_${number}`, type: "function", function: { name: call[0], arguments: JSON.stringify(call[1]) } }];
  return {
    id: `chat_${number}`,
    object: "chat.completion",
    created: 1,
    model,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: call ? null : "done", ...(toolCalls && { tool_calls: toolCalls }) },
        finish_reason: call ? "tool_calls" : "stop",
        logprobs: null,
      },
    ],
    usage: {
      prompt_tokens: TOKENS.input,
      completion_tokens: TOKENS.output,
      total_tokens: TOKENS.input + TOKENS.output,
      prompt_tokens_details: { cached_tokens: TOKENS.cached },
    },
  };
}

function response(call: Call | undefined, number: number, model: string) {
  const item = call
    ? { type: "function_call", id: `fc_${number}`, call_id: `call_${number}`, name: call[0], arguments: JSON.stringify(call[1]), status: "completed" }
    : { type: "message", id: "msg_1", role: "assistant", status: "completed", content: [{ type: "output_text", text: "done", annotations: [] }] };
  return {
    id: `resp_${number}`,
    object: "response",
    created_at: 1,
    status: "completed",
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model,
    output: [item],
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: "auto",
    tools: [],
    top_p: 1,
    usage: {
      input_tokens: TOKENS.input,
      input_tokens_details: { cached_tokens: TOKENS.cached },
      output_tokens: TOKENS.output,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: TOKENS.input + TOKENS.output,
    },
  };
}

/** The same answer as a stream. */
function chatStream(call: Call | undefined, number: number, model: string): string {
  const { usage, choices, ...answer } = chat(call, number, model);
  const { message, finish_reason } = choices[0]!;
  const toolCalls = message.tool_calls?.map((toolCall, index) => ({ index, ...toolCall }));
  const chunk = { ...answer, object: "chat.completion.chunk" };
  const parts = [
    { ...chunk, choices: [{ index: 0, delta: { ...message, ...(toolCalls && { tool_calls: toolCalls }) }, finish_reason: null }] },
    { ...chunk, choices: [{ index: 0, delta: {}, finish_reason }] },
    { ...chunk, choices: [], usage },
  ];
  return `${parts.map((part) => `data: ${JSON.stringify(part)}\n\n`).join("")}data: [DONE]\n\n`;
}

/** Starts the model for the rest of the file, and points OpenAI's clients to it. `results` has what it was sent last. */
export async function openAI() {
  const state = { calls: [] as Call[], results: [] as string[], url: "" };
  const server = createServer((request, reply) => {
    let body = "";
    request.on("data", (part) => (body += part)).on("end", () => {
      const sent = JSON.parse(body) as { model: string; stream?: boolean; messages?: Item[]; input?: Item[] | string };
      const items = sent.messages ?? (Array.isArray(sent.input) ? sent.input : []);
      state.results = items
        .filter(({ role, type }) => role === "tool" || type === "function_call_output")
        .map(({ content, output }) => text(content ?? output));
      const number = state.results.length;
      if (sent.messages && sent.stream) {
        reply.writeHead(200, { "Content-Type": "text/event-stream" }).end(chatStream(state.calls[number], number, sent.model));
        return;
      }
      const answer = (sent.messages ? chat : response)(state.calls[number], number, sent.model);
      reply.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  Object.assign(process.env, { OPENAI_BASE_URL: state.url, OPENAI_API_KEY: "none" });
  return state;
}
