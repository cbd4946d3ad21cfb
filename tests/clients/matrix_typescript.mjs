// A TypeScript SDK asks one server: matrix_typescript.mjs REQUEST (JSON, see matrix.py); answers as a JSON list on standard
// output. Each answer has what came over the transport, its keys in their order, and what the SDK made of it.
import { createRequire } from 'node:module';

const request = JSON.parse(process.argv[2]);
const load = createRequire(`${request.packages}/x.js`);
const { server, offers, questions, mode, sdk: version, pause } = request;

const sdk =
  version === 2
    ? { ...load('@modelcontextprotocol/client'), ...load('@modelcontextprotocol/client/stdio') }
    : {
        ...load('@modelcontextprotocol/sdk/client/index.js'),
        ...load('@modelcontextprotocol/sdk/client/stdio.js'),
        ...load('@modelcontextprotocol/sdk/client/streamableHttp.js'),
      };

const transport = server.url
  ? new sdk.StreamableHTTPClientTransport(new URL(server.url))
  : new sdk.StdioClientTransport({ command: server.command, args: server.args, stderr: 'ignore' });

const answers = {
  'sampling/createMessage': () => ({ role: 'assistant', content: { type: 'text', text: 'sampled' }, model: 'm' }),
  'elicitation/create': () => ({ action: 'decline' }),
  'roots/list': () => ({ roots: [{ uri: 'file:///tmp', name: 'tmp' }] }),
};
const capabilities = offers ? { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } } : {};
const options = { capabilities, ...(mode === 'auto' ? { versionNegotiation: { mode: 'auto' } } : {}) };
const client = new sdk.Client({ name: 'tests', version: '1' }, options);
if (offers) {
  const types = version === 1 && load('@modelcontextprotocol/sdk/types.js');
  const schemas = types && [types.CreateMessageRequestSchema, types.ElicitRequestSchema, types.ListRootsRequestSchema];
  Object.entries(answers).forEach(([method, answer], index) =>
    client.setRequestHandler(schemas ? schemas[index] : method, answer),
  );
}
await client.connect(transport);

let heard = [];
const inner = transport.onmessage;
transport.onmessage = (message, ...more) => {
  // Here, since what is on its way at the end of a call is let go of by an SDK.
  if (message.method === 'notifications/progress') {
    const { progressToken, ...step } = message.params;
    heard.push(step);
  }
  if ('result' in message || 'error' in message) heard.push(message.result ?? message.error);
  return inner(message, ...more);
};
await new Promise(resolve => setTimeout(resolve, pause * 1000));

const calls = {
  'tools/list': () => client.listTools(),
  'prompts/list': () => client.listPrompts(),
  'resources/list': () => client.listResources(),
  'resources/templates/list': () => client.listResourceTemplates(),
  'resources/read': params => client.readResource(params),
  'tools/call': (params, more) => (version === 1 ? client.callTool(params, undefined, more) : client.callTool(params, more)),
  'prompts/get': params => client.getPrompt(params),
  'completion/complete': params => client.complete(params),
};
const seen = [];
for (const [method, params] of questions) {
  heard = [];
  const given = await calls[method](params, { onprogress: () => {} }).catch(error => `${error}`);
  seen.push({ received: heard, given });
}
await client.close();
process.stdout.write(JSON.stringify(seen));
